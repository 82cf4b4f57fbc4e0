import FareboxCore
import Testing

@testable import Farebox

@Suite struct WebhookVerificationTests {
  static let now: Int64 = 1_700_000_000_000_000
  static let seconds: Int64 = 1_700_000_000
  static let body = Array(#"{"amount":"12.50","to":"user:ana"}"#.utf8)
  static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

  static func failure(
    _ scheme: WebhookScheme, signature: String, id: String = "", timestamp: String = "", secrets: [String],
    body: [UInt8] = body, tolerance: Int64 = 0, now: Int64 = now
  ) -> Failure? {
    do {
      try verifyWebhook(
        scheme: scheme, body: body.span, signature: signature, id: id, timestamp: timestamp, secrets: secrets,
        now: now, toleranceSeconds: tolerance)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: WebhookScheme.allCases)
  func `what is signed is verified`(scheme: WebhookScheme) throws {
    let id = scheme == .standard ? "msg_1" : ""
    let timestamp = scheme == .standard ? String(Self.seconds) : ""
    let signature = try signWebhook(
      scheme: scheme, body: Self.body.span, secret: Self.secret, id: id, seconds: Self.seconds)
    #expect(Self.failure(scheme, signature: signature, id: id, timestamp: timestamp, secrets: [Self.secret]) == nil)
    let others = [Self.secret + "BBBB"]
    let other = Self.failure(scheme, signature: signature, id: id, timestamp: timestamp, secrets: others)
    #expect(other?.status == .signatureMismatch)
    #expect(other?.field == "signature")
  }

  @Test(arguments: [32, 64])
  func `a private key signs and its public key verifies`(size: Int) throws {
    let seed = [UInt8](repeating: 9, count: 32)
    let publicKey = try Ed25519.publicKey(seed: seed.span)
    var privateKey = seed
    if size == 64 { for index in publicKey.indices { privateKey.append(publicKey[index]) } }
    let signature = try signWebhook(
      scheme: .standard, body: Self.body.span, secret: "whsk_" + base64(privateKey.span), id: "msg_1",
      seconds: Self.seconds)
    let secrets = ["whpk_" + base64(publicKey.span)]
    let timestamp = String(Self.seconds)
    #expect(signature.hasPrefix("v1a,"))
    #expect(Self.failure(.standard, signature: signature, id: "msg_1", timestamp: timestamp, secrets: secrets) == nil)
    let moved = Self.failure(.standard, signature: signature, id: "msg_2", timestamp: timestamp, secrets: secrets)
    #expect(moved?.status == .signatureMismatch)
  }

  @Test func `a private key with another's public half does not sign`() {
    let key = "whsk_" + base64([UInt8](repeating: 9, count: 64).span)
    #expect(throws: Failure.self) {
      try signWebhook(scheme: .standard, body: Self.body.span, secret: key, id: "m", seconds: 1)
    }
  }

  @Test func `a failure names the secret to blame and repeats nothing`() throws {
    let secret = "whsec_hunter2*"
    let failure = try #require(
      Self.failure(.standard, signature: "v1,c2VjcmV0", id: "m", timestamp: "1", secrets: [Self.secret, secret]))
    #expect(failure.status == .secretInvalid)
    #expect(failure.field == "secrets[1]")
    #expect(!failure.description.contains("hunter2"))
    #expect(failure.details.isNull)
  }

  @Test func `a body past its bound is refused before it is hashed`() throws {
    let body = [UInt8](repeating: 0, count: Limits.webhookBody + 1)
    let failure = Self.failure(.robutler, signature: "x", secrets: ["s"], body: body)
    #expect(failure?.status == .tooLong)
    #expect(failure?.field == "body")
  }

  @Test func `a body at its bound is verified`() throws {
    let body = [UInt8](repeating: 0, count: Limits.webhookBody)
    let signature = try signWebhook(scheme: .robutler, body: body.span, secret: "s")
    #expect(Self.failure(.robutler, signature: signature, secrets: ["s"], body: body) == nil)
  }

  @Test(arguments: [Int64.min, -1, 0, 1, .max], [Int64.min, 0, .max])
  func `extreme times and tolerances trap nowhere`(now: Int64, tolerance: Int64) throws {
    for seconds in [0, Int64.max] {
      let stripe = try signWebhook(scheme: .stripe, body: Self.body.span, secret: "s", seconds: seconds)
      _ = Self.failure(.stripe, signature: stripe, secrets: ["s"], tolerance: tolerance, now: now)
      let standard = try signWebhook(
        scheme: .standard, body: Self.body.span, secret: Self.secret, id: "m", seconds: seconds)
      let failure = Self.failure(
        .standard, signature: standard, id: "m", timestamp: String(seconds), secrets: [Self.secret],
        tolerance: tolerance, now: now)
      if tolerance < 0 { #expect(failure == nil) }
    }
  }

  @Test func `random headers and secrets trap nowhere and verify nothing`() {
    var generator = SplitMix(state: 7)
    let alphabet = Array("v1a,t= =-+0123456789whsecpk_ABab/é\u{0}".utf8)
    func text(_ longest: Int) -> String {
      var bytes: [UInt8] = []
      for _ in 0..<generator.below(longest) { bytes.append(alphabet[generator.below(alphabet.count)]) }
      return String(decoding: bytes, as: UTF8.self)
    }
    for _ in 0..<20_000 {
      let scheme = WebhookScheme.allCases[generator.below(3)]
      let failure = Self.failure(
        scheme, signature: text(120), id: text(8), timestamp: scheme == .standard ? text(12) : "",
        secrets: [text(60), text(60)], tolerance: -1)
      #expect(failure != nil)
    }
  }

  @Test func `signing refuses an id with a full stop and a time before 1970`() {
    #expect(throws: Failure.self) {
      try signWebhook(scheme: .standard, body: Self.body.span, secret: Self.secret, id: "a.b", seconds: 1)
    }
    #expect(throws: Failure.self) {
      try signWebhook(scheme: .stripe, body: Self.body.span, secret: Self.secret, seconds: -1)
    }
  }

  private func base64(_ bytes: Span<UInt8>) -> String {
    String(decoding: Base64.encode(bytes), as: UTF8.self)
  }
}

/// A generator that gives the same numbers in every run.
private struct SplitMix {
  var state: UInt64

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return Int((mixed ^ mixed >> 31) % UInt64(bound))
  }
}
