internal import FareboxCore

extension ForeignFunction {
  private static let longestSymbol = 256
  private static let percentRange: ClosedRange<Int64> = 1...100_000
  private static let plusRange: ClosedRange<Int64> = 0...1 << 30

  /// Reads the members of a tool that say what function to call.
  static func parse(_ fields: inout JSONFields) throws(Failure) -> ForeignFunction {
    let symbol = try ManifestFields.text("symbol", &fields, limit: longestSymbol)
    guard isSymbol(symbol) else {
      throw fields.wrong("symbol", "must be letters, digits and _, and not begin with a digit")
    }
    let text = try ManifestFields.text("signature", &fields, limit: Limits.signature)
    let signature = try Signature.parse(text, field: fields.path("signature"), allowsPointers: false)
    guard signature.parameters.allSatisfy({ $0.name != nil }) else {
      throw fields.wrong("signature", "every parameter needs a name, which is that of its argument")
    }
    guard !signature.parameters.contains(where: { $0.type.isOut && $0.name == "result" }) else {
      throw fields.wrong("signature", "an out parameter must not be called result, as the function's own result is")
    }
    return ForeignFunction(
      symbol: symbol, signature: signature, success: try success(signature, &fields),
      capacity: try capacity(signature, &fields))
  }

  /// Refuses these members in a tool that is not called by a signature.
  static func refuse(_ fields: inout JSONFields) throws(Failure) {
    for key in ["symbol", "signature", "success", "capacity"] where fields.optional(key) != nil {
      throw fields.wrong(key, "only a tool of a foreign plugin has it")
    }
  }

  private static func isSymbol(_ text: String) -> Bool {
    text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
        true
      default: false
      }
    } && !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text.utf8.first ?? UInt8(ascii: "0"))
  }

  private static func success(
    _ signature: Signature, _ fields: inout JSONFields
  ) throws(Failure) -> Success? {
    guard let json = fields.optional("success") else { return nil }
    guard signature.result?.isInteger == true else {
      throw fields.wrong("success", "needs a signature whose result is an integer")
    }
    var rule = try ManifestFields.read(json, path: fields.path("success"))
    let equal = try rule.integer("equal")
    let unequal = try rule.integer("unequal")
    let minimum = try rule.integer("minimum")
    try rule.finish()
    switch (equal, unequal, minimum) {
    case (let value?, nil, nil): return .equal(value)
    case (nil, let value?, nil): return .unequal(value)
    case (nil, nil, let value?): return .minimum(value)
    default: throw fields.wrong("success", "must have one of equal, unequal and minimum")
    }
  }

  private static func capacity(
    _ signature: Signature, _ fields: inout JSONFields
  ) throws(Failure) -> Capacity? {
    let hasOut = signature.parameters.contains { $0.type.isOut }
    guard let json = fields.optional("capacity") else {
      guard !hasOut else {
        throw Failure(.missingField, field: fields.path("capacity"), "is missing: the signature has an out parameter")
      }
      return nil
    }
    guard hasOut else { throw fields.wrong("capacity", "needs a signature with an out parameter") }
    var rule = try ManifestFields.read(json, path: fields.path("capacity"))
    let argument = try rule.text("of", limit: Limits.toolName)
    let percent = try ManifestFields.integer("percent", &rule, in: percentRange)
    let plus = try ManifestFields.integer("plus", &rule, in: plusRange)
    try rule.finish()
    if let argument {
      guard signature.parameters.contains(where: { $0.name == argument && $0.type.isBytes }) else {
        throw rule.wrong("of", "must be the name of a parameter that is bytes or a string")
      }
    } else {
      guard percent == nil else { throw rule.wrong("percent", "needs the argument that it is a percentage of") }
      guard plus ?? 0 > 0 else { throw rule.wrong("plus", "must be more than zero where there is no argument") }
    }
    return Capacity(argument: argument, percent: argument == nil ? 0 : percent ?? 100, plus: plus ?? 0)
  }
}

extension Signature.ParameterType {
  /// Whether it takes bytes that the caller gives.
  var isBytes: Bool {
    switch self {
    case .bytes, .scalar(.string): true
    case .scalar, .out, .outByReference: false
    }
  }

  /// Whether it takes a whole number.
  var isInteger: Bool {
    guard case .scalar(let scalar) = self else { return false }
    return scalar.isInteger
  }
}
