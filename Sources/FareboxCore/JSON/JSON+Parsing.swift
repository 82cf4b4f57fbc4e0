extension JSON {
  /// Reads one JSON text, strictly by RFC 8259.
  ///
  /// Beyond the grammar it refuses a key that an object has twice, a lone surrogate, nesting deeper than
  /// `Limits.jsonDepth` and anything after the value. Messages name line and column, both counted from 1, columns in
  /// Unicode scalars.
  /// - Throws: `invalidJSON`, `invalidUTF8`, or `tooLong` for the nesting.
  public static func parse(_ bytes: [UInt8]) throws(Failure) -> JSON {
    var parser = JSONParser(bytes)
    return try parser.document()
  }

  /// Reads one JSON text, as the form for bytes does.
  public static func parse(_ text: String) throws(Failure) -> JSON {
    try parse(Array(text.utf8))
  }
}

/// A recursive-descent reader over bytes; its recursion is bounded by `Limits.jsonDepth`.
struct JSONParser {
  let bytes: [UInt8]
  var position = 0
  private var depth = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func document() throws(Failure) -> JSON {
    skipSpace()
    let value = try value()
    skipSpace()
    guard position == bytes.count else { throw failure("text after the value") }
    return value
  }

  mutating func value() throws(Failure) -> JSON {
    guard let byte = peek() else { throw failure("the text ends where a value must stand") }
    switch byte {
    case UInt8(ascii: "{"): return try nested { parser throws(Failure) in try parser.object() }
    case UInt8(ascii: "["): return try nested { parser throws(Failure) in try parser.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  private mutating func nested(
    _ read: (inout JSONParser) throws(Failure) -> JSON
  ) throws(Failure) -> JSON {
    guard depth < Limits.jsonDepth else {
      throw failure("nesting deeper than \(Limits.jsonDepth)", status: .tooLong)
    }
    depth += 1
    position += 1
    skipSpace()
    let value = try read(&self)
    depth -= 1
    return value
  }

  private mutating func object() throws(Failure) -> JSON {
    var object = JSONObject()
    if take(UInt8(ascii: "}")) { return .object(object) }
    while true {
      let start = position
      guard peek() == UInt8(ascii: "\"") else { throw failure("a key must stand here, in double quotes") }
      let key = try string()
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw failure("a colon must follow the key") }
      skipSpace()
      guard object.insert(key, try value()) else { throw failure("the object has this key twice", at: start) }
      skipSpace()
      if take(UInt8(ascii: "}")) { return .object(object) }
      guard take(UInt8(ascii: ",")) else { throw failure("a comma or a closing brace must stand here") }
      skipSpace()
    }
  }

  private mutating func array() throws(Failure) -> JSON {
    var elements: [JSON] = []
    if take(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      elements.append(try value())
      skipSpace()
      if take(UInt8(ascii: "]")) { return .array(elements) }
      guard take(UInt8(ascii: ",")) else { throw failure("a comma or a closing bracket must stand here") }
      skipSpace()
    }
  }

  private mutating func word(_ word: StaticString, _ value: JSON) throws(Failure) -> JSON {
    let expected = Array(word.description.utf8)
    guard bytes.count - position >= expected.count,
      bytes[position..<position + expected.count].elementsEqual(expected)
    else { throw failure("not a JSON value") }
    position += expected.count
    return value
  }

  func peek() -> UInt8? {
    position < bytes.count ? bytes[position] : nil
  }

  mutating func take(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    position += 1
    return true
  }

  mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  func failure(_ what: String, at place: Int? = nil, status: Status = .invalidJSON) -> Failure {
    let (line, column) = lineAndColumn(of: place ?? position)
    return Failure(status, "line \(line) column \(column): \(what)")
  }

  /// The line and column of a byte, both from 1, columns in Unicode scalars.
  func lineAndColumn(of place: Int) -> (line: Int, column: Int) {
    var line = 1
    var column = 1
    for byte in bytes[..<min(place, bytes.count)] {
      if byte == 0x0A {
        line += 1
        column = 1
      } else if byte & 0xC0 != 0x80 {
        column += 1
      }
    }
    return (line, column)
  }
}
