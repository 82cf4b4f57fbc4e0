/// JSON, as much as a plugin needs of it: a host has checked that its input is well-formed.
enum JSON {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// Reads a value, or gives nil for what is not JSON or nested deeper than 64 levels.
  init?(_ bytes: [UInt8]) {
    var parser = Parser(bytes: bytes)
    guard let value = parser.value(depth: 0), parser.isAtEnd else { return nil }
    self = value
  }

  /// A text as a JSON string.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

private struct Parser {
  let bytes: [UInt8]
  var at = 0

  private var current: UInt8? { at < bytes.count ? bytes[at] : nil }

  var isAtEnd: Bool {
    mutating get {
      skipSpace()
      return at == bytes.count
    }
  }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
  }

  /// Whether this comes next, which is then behind.
  private mutating func take(_ text: StaticString) -> Bool {
    skipSpace()
    let wanted = Array(text.description.utf8)
    guard bytes.count - at >= wanted.count, bytes[at..<at + wanted.count].elementsEqual(wanted) else { return false }
    at += wanted.count
    return true
  }

  mutating func value(depth: Int) -> JSON? {
    guard depth <= 64 else { return nil }
    if take("null") { return .null }
    if take("true") { return .bool(true) }
    if take("false") { return .bool(false) }
    if take("{") { return object(depth: depth) }
    if take("[") { return array(depth: depth) }
    if current == UInt8(ascii: "\"") { return string().map(JSON.string) }
    return number()
  }

  private mutating func array(depth: Int) -> JSON? {
    var elements: [JSON] = []
    if take("]") { return .array([]) }
    repeat {
      guard let element = value(depth: depth + 1) else { return nil }
      elements.append(element)
    } while take(",")
    return take("]") ? .array(elements) : nil
  }

  private mutating func object(depth: Int) -> JSON? {
    var members: [String: JSON] = [:]
    if take("}") { return .object([:]) }
    repeat {
      skipSpace()
      guard let name = string(), take(":"), let member = value(depth: depth + 1) else { return nil }
      members[name] = member
    } while take(",")
    return take("}") ? .object(members) : nil
  }

  private mutating func number() -> JSON? {
    let start = at
    while let byte = current, "+-.eE0123456789".utf8.contains(byte) { at += 1 }
    return Double(String(decoding: bytes[start..<at], as: UTF8.self)).map(JSON.number)
  }

  private mutating func string() -> String? {
    guard take("\"") else { return nil }
    var text: [UInt8] = []
    while let byte = current {
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let scalar = escape() else { return nil }
        text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      default: text.append(byte)
      }
    }
    return nil
  }

  private mutating func escape() -> Unicode.Scalar? {
    guard let kind = current else { return nil }
    at += 1
    switch kind {
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return escapedScalar()
    default: return Unicode.Scalar(kind)
    }
  }

  /// The character of four digits, or of two such escapes that are a surrogate pair.
  private mutating func escapedScalar() -> Unicode.Scalar? {
    guard let first = fourDigits() else { return nil }
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xDC00, current == UInt8(ascii: "\\"), take("\\u"), let second = fourDigits(),
      0xDC00...0xDFFF ~= second
    else { return "\u{FFFD}" }
    return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
  }

  private mutating func fourDigits() -> UInt32? {
    guard bytes.count - at >= 4 else { return nil }
    defer { at += 4 }
    return UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
  }
}
