import Farebox
import FareboxCore
import Glibc
import Testing

/// Runs `Tests/Vectors/webhooks.json`, which holds the verdicts of the schemes' own libraries.
@Suite struct WebhookVectorTests {
  @Test func `every vector gets its verdict`() throws {
    let json = try JSON.parse(Vectors.read("webhooks.json"))
    let file = try #require(json.object)
    let now = try #require(file["now"]?.int64)
    let cases = try #require(file["cases"]?.array)
    #expect(cases.count > 200)
    var accepted = 0
    for json in cases {
      let vector = try Vector(json, now: now)
      let verdict = vector.verdict()
      #expect(verdict == vector.expected, "\(vector.name)")
      if verdict == "OK" { accepted += 1 }
    }
    // Neither "refuse all" nor "accept all" passes for a verifier.
    #expect(accepted > 50 && accepted < cases.count / 2)
  }

  @Test func `a tampered body of an accepted vector is refused`() throws {
    let json = try JSON.parse(Vectors.read("webhooks.json"))
    let file = try #require(json.object)
    let now = try #require(file["now"]?.int64)
    let cases = try #require(file["cases"]?.array)
    for json in cases {
      var vector = try Vector(json, now: now)
      guard vector.expected == "OK" else { continue }
      for index in vector.body.indices {
        vector.body[index] ^= 1
        #expect(vector.verdict() == "SIGNATURE_MISMATCH", "\(vector.name)")
        vector.body[index] ^= 1
      }
    }
  }
}

private struct Vector {
  let name: String
  let expected: String
  let scheme: WebhookScheme
  var body: [UInt8]
  let signature: String
  let id: String
  let timestamp: String
  let secrets: [String]
  let now: Int64
  let tolerance: Int64

  init(_ json: JSON, now: Int64) throws {
    let fields = try #require(json.object)
    name = try #require(fields["name"]?.string)
    expected = try #require(fields["expect"]?.string)
    let schemeName = try #require(fields["scheme"]?.string)
    scheme = try #require(WebhookScheme(name: schemeName))
    if let text = fields["body"]?.string {
      body = Array(text.utf8)
    } else {
      let text = try #require(fields["body_base64"]?.string)
      body = try #require(Vectors.decodeBase64(text))
    }
    signature = try #require(fields["signature"]?.string)
    id = fields["id"]?.string ?? ""
    timestamp = fields["timestamp"]?.string ?? ""
    let list = try #require(fields["secrets"]?.array)
    secrets = try list.map { try #require($0.string) }
    self.now = fields["now"]?.int64 ?? now
    tolerance = fields["tolerance"]?.int64 ?? 0
  }

  func verdict() -> String {
    do {
      try verifyWebhook(
        scheme: scheme, body: body.span, signature: signature, id: id, timestamp: timestamp, secrets: secrets,
        now: now, toleranceSeconds: tolerance)
      return "OK"
    } catch {
      return error.status.entry?.name ?? "?"
    }
  }
}

/// The files that all languages test with.
enum Vectors {
  struct Missing: Error {
    let name: String
  }

  static func read(_ name: String) throws -> String {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    guard let file = unsafe fopen("\(root)/Vectors/\(name)", "r") else { throw Missing(name: name) }
    defer { unsafe _ = fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while case let count = unsafe fread(&chunk, 1, chunk.count, file), count > 0 {
      bytes.append(contentsOf: chunk[..<count])
    }
    return try #require(String(validating: bytes, as: UTF8.self))
  }

  /// Its own decoder, so that the one under test does not judge itself.
  static func decodeBase64(_ text: String) -> [UInt8]? {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var bits = 0
    var width = 0
    var bytes: [UInt8] = []
    for character in text where character != "=" {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      bits = (bits << 6 | value) & 0xffff
      width += 6
      if width >= 8 {
        width -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> width))
      }
    }
    return bytes
  }
}
