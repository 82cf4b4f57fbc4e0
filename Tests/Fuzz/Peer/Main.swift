import FareboxCore
import FareboxPlugins
import Glibc

/// Answers what this library's readers say of inputs, for the differential fuzzers: one line in, one line out.
///
/// A line is `schema` or `manifest`, a space, and the bytes of the input in hexadecimal. The input of `schema` is
/// `{"schema": ..., "value": ...}`. Answers: `unread` for what is not JSON or not of that form, `bad` and the field, as JSON, for
/// a schema or manifest that is refused, `no` and the field for a value that is not allowed, `beyond` for one that takes too
/// much to decide, and `yes`.
@main
struct Main {
  static func main() {
    while let line = readLine() {
      let parts = line.split(separator: " ", maxSplits: 1)
      let bytes = parts.count == 2 ? decoded(parts[1]) : []
      answer(parts.first == "schema" ? schema(bytes) : manifest(bytes))
    }
  }

  /// Writes a line at once; `print` would keep it while the other side waits.
  private static func answer(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = unsafe line.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
  }

  private static func schema(_ bytes: [UInt8]) -> String {
    guard let input = try? JSON.parse(bytes).object, let text = input["schema"], let value = input["value"] else {
      return "unread"
    }
    do throws(Failure) {
      let schema = try JSONSchema(text)
      return verdict(schema, value)
    } catch {
      return "bad \(quoted(error.field))"
    }
  }

  private static func verdict(_ schema: JSONSchema, _ value: JSON) -> String {
    do throws(Failure) {
      try schema.check(value)
      return "yes"
    } catch {
      return error.message.hasSuffix("to check") ? "beyond" : "no \(quoted(error.field))"
    }
  }

  private static func manifest(_ bytes: [UInt8]) -> String {
    guard (try? JSON.parse(bytes)) != nil else { return "unread" }
    do throws(Failure) {
      _ = try PluginManifest.parse(bytes)
      return "yes"
    } catch {
      return "bad \(quoted(error.field))"
    }
  }

  /// A field on one line, whatever is in it.
  private static func quoted(_ field: String) -> String {
    JSON.string(field).serialized()
  }

  private static func decoded(_ hex: Substring) -> [UInt8] {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in hex.utf8 {
      let digit = character < UInt8(ascii: "a") ? character &- UInt8(ascii: "0") : character &- 87
      if let first = high {
        bytes.append(first << 4 | digit & 15)
        high = nil
      } else {
        high = digit
      }
    }
    return bytes
  }
}
