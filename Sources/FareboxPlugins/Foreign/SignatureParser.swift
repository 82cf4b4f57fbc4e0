package import FareboxCore

extension Signature {
  /// Reads a signature.
  ///
  /// - Parameters:
  ///   - field: the input field that a failure names.
  ///   - allowsPointers: whether `pointer` is a type; in manifests it is not.
  /// - Throws: `invalidArgument` with the column, counted from 1, or `tooLong`.
  package static func parse(
    _ text: String, field: String, allowsPointers: Bool
  ) throws(Failure) -> Signature {
    guard text.utf8.count <= Limits.signature else {
      throw Failure(.tooLong, field: field, "A signature has at most \(Limits.signature) bytes.")
    }
    var parser = SignatureParser(text, field: field, allowsPointers: allowsPointers)
    return try parser.signature()
  }
}

/// Reads one signature from left to right.
private struct SignatureParser {
  private let text: [UInt8]
  private let field: String
  private let allowsPointers: Bool
  private var position = 0

  init(_ text: String, field: String, allowsPointers: Bool) {
    self.text = Array(text.utf8)
    self.field = field
    self.allowsPointers = allowsPointers
  }

  mutating func signature() throws(Failure) -> Signature {
    skipSpaces()
    let result = try resultType()
    try expect(UInt8(ascii: "("), "after the return type")
    var parameters: [Signature.Parameter] = []
    skipSpaces()
    if !take(UInt8(ascii: ")")) {
      repeat {
        skipSpaces()
        parameters.append(try parameter(after: parameters, result))
        skipSpaces()
      } while take(UInt8(ascii: ","))
      try expect(UInt8(ascii: ")"), "or ',' after a parameter")
    }
    skipSpaces()
    guard position == text.count else { throw wrong(position, "Nothing follows the parameters.") }
    return Signature(result: result, parameters: parameters)
  }

  private mutating func resultType() throws(Failure) -> Signature.Scalar? {
    let start = position
    let word = word()
    guard word != "void" else { return nil }
    guard let scalar = Signature.Scalar(rawValue: word) else {
      throw wrong(start, "A return type is \(scalarNames) or void.")
    }
    return try allowed(scalar, at: start)
  }

  private mutating func parameter(
    after others: [Signature.Parameter], _ result: Signature.Scalar?
  ) throws(Failure) -> Signature.Parameter {
    let start = position
    guard others.count < Limits.signatureParameters else {
      throw Failure(
        .tooLong, field: field,
        "column \(start + 1): A signature has at most \(Limits.signatureParameters) parameters.")
    }
    let type = try parameterType()
    if type.isOut, others.contains(where: { $0.type.isOut }) {
      throw wrong(start, "A signature has at most one 'out'.")
    }
    if case .out = type, result?.isInteger != true {
      throw wrong(start, "An 'out' without '*' needs a function that returns an integer, which says what was written.")
    }
    skipSpaces()
    let nameStart = position
    let name = word()
    guard !name.isEmpty else { return Signature.Parameter(name: nil, type: type) }
    guard !isDigit(text[nameStart]) else { throw wrong(nameStart, "A name begins with a letter or '_'.") }
    guard name.utf8.count <= Limits.parameterName else {
      throw Failure(
        .tooLong, field: field, "column \(nameStart + 1): A name has at most \(Limits.parameterName) bytes.")
    }
    guard !others.contains(where: { $0.name == name }) else {
      throw wrong(nameStart, "Another parameter has the name '\(name)'.")
    }
    return Signature.Parameter(name: name, type: type)
  }

  private mutating func parameterType() throws(Failure) -> Signature.ParameterType {
    let start = position
    let word = word()
    if let scalar = Signature.Scalar(rawValue: word) { return .scalar(try allowed(scalar, at: start)) }
    guard word == "bytes" || word == "out" else {
      throw wrong(start, "A parameter is \(scalarNames), bytes:WIDTH or out:WIDTH.")
    }
    try expect(UInt8(ascii: ":"), "and u32 or u64 after '\(word)'")
    let widthStart = position
    guard let width = Signature.Width(rawValue: self.word()) else {
      throw wrong(widthStart, "The width of a length is u32 or u64.")
    }
    guard word == "out" else { return .bytes(width) }
    return take(UInt8(ascii: "*")) ? .outByReference(width) : .out(width)
  }

  private func allowed(_ scalar: Signature.Scalar, at start: Int) throws(Failure) -> Signature.Scalar {
    guard scalar != .pointer || allowsPointers else { throw wrong(start, "A pointer is not allowed here.") }
    return scalar
  }

  private var scalarNames: String {
    let names = Signature.Scalar.allCases.filter { $0 != .pointer || allowsPointers }
    return names.map(\.rawValue).joined(separator: ", ")
  }

  // MARK: Characters

  /// Takes letters, digits and underscores, which may be none.
  private mutating func word() -> String {
    let start = position
    while position < text.count, isWordByte(text[position]) { position += 1 }
    return String(decoding: text[start..<position], as: UTF8.self)
  }

  private mutating func skipSpaces() {
    while position < text.count, text[position] == UInt8(ascii: " ") { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard position < text.count, text[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ byte: UInt8, _ place: String) throws(Failure) {
    guard take(byte) else { throw wrong(position, "There must be '\(Character(Unicode.Scalar(byte)))' \(place).") }
  }

  private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private func isWordByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  private func wrong(_ position: Int, _ what: String) -> Failure {
    Failure(.invalidArgument, field: field, "column \(position + 1): \(what)")
  }
}
