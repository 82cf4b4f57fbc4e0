extension JSONParser {
  /// Reads a number and returns its own text, checked against the grammar.
  mutating func number() throws(Failure) -> String {
    let start = position
    _ = take(UInt8(ascii: "-"))
    let leading = position
    guard digits() else { throw failure(position == start ? "not a JSON value" : "a digit must stand here") }
    if bytes[leading] == UInt8(ascii: "0"), position - leading > 1 {
      throw failure("a number must not begin with a zero", at: leading)
    }
    if take(UInt8(ascii: ".")), !digits() { throw failure("a digit must follow the point") }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      guard digits() else { throw failure("a digit must stand in the exponent") }
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() -> Bool {
    let start = position
    while let byte = peek(), byte &- UInt8(ascii: "0") < 10 { position += 1 }
    return position > start
  }

  /// Reads a string from its opening to its closing quote.
  mutating func string() throws(Failure) -> String {
    position += 1
    let start = position
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        let text = try utf8(bytes[start..<position], at: start)
        position += 1
        return text
      case UInt8(ascii: "\\"): return try escapedString(from: start)
      case 0..<0x20: throw failure("a control character must be escaped")
      default: position += 1
      }
    }
    throw failure("the text ends inside a string")
  }

  private mutating func escapedString(from start: Int) throws(Failure) -> String {
    var text = Array(bytes[start..<position])
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try utf8(text[...], at: start)
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw failure("a control character must be escaped")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw failure("the text ends inside a string")
  }

  private mutating func escape(into text: inout [UInt8]) throws(Failure) {
    position += 1
    guard let byte = peek() else { throw failure("the text ends inside a string") }
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      position += 1
      text.append(contentsOf: String(Character(try scalar())).utf8)
      return
    default: throw failure("not an escape that JSON knows")
    }
    position += 1
  }

  private mutating func scalar() throws(Failure) -> Unicode.Scalar {
    let start = position
    let first = try unit()
    guard let scalar = Unicode.Scalar(first) else {
      guard first < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
        throw failure("a lone surrogate", at: start)
      }
      let second = try unit()
      guard second >= 0xDC00, second < 0xE000,
        let pair = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
      else { throw failure("a lone surrogate", at: start) }
      return pair
    }
    return scalar
  }

  /// Reads four hexadecimal digits.
  private mutating func unit() throws(Failure) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = JSONParser.hex(byte) else {
        throw failure("four hexadecimal digits must stand here")
      }
      unit = unit << 4 | digit
      position += 1
    }
    return unit
  }

  private static func hex(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
  }

  private func utf8(_ text: ArraySlice<UInt8>, at start: Int) throws(Failure) -> String {
    guard let text = String(validating: text, as: UTF8.self) else {
      throw failure("not valid UTF-8", at: start, status: .invalidUTF8)
    }
    return text
  }
}
