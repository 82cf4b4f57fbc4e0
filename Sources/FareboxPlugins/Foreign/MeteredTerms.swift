package import Farebox
package import FareboxCore

/// How the calls of a C function are charged.
package struct MeteredTerms: Sendable {
  let signature: Signature
  let tool: OwnedText
  /// Empty is who the thread has named.
  let payer: OwnedText
  let usage: UsageSource
  let failure: FailureRule?
  /// The bits of what a refused call returns.
  let refused: UInt64
  let maxCost: Int64?
  /// The settings of each call.
  let call: CallTerms
  let durability: Durability?
  /// Whether nothing is written to the ledger.
  let isCheckOnly: Bool

  /// Where the units of a call come from.
  enum UsageSource: Sendable {
    /// One call is one request, and there are no units.
    case request
    /// The bytes of a parameter; `place` is the position of its first C parameter.
    case bytes(Signature.ParameterType, place: Int)
    case value(Signature.Scalar, place: Int)
  }

  /// Which results mean that the call failed.
  enum FailureRule: String, CaseIterable, Sendable {
    case negative, nonzero, zero
  }

  /// - Throws: what is wrong, with the field of `farebox_meter_args`.
  package init(
    signature text: BorrowedText, tool: BorrowedText, payer: BorrowedText, usage: BorrowedText, failure: BorrowedText,
    refused: (integer: Int64, number: Double), maxCost: Int64?, call: CallTerms = [], durability: Durability?,
    isCheckOnly: Bool
  ) throws(Failure) {
    let signature = try Signature.parse(text, field: "args.signature")
    self.signature = signature
    guard !tool.isEmpty else { throw Failure(.missingField, field: "args.tool", "A tool's price is needed.") }
    guard payer.count <= Limits.accountName else {
      throw Failure(.tooLong, field: "args.payer", "It has at most \(Limits.accountName) bytes.")
    }
    guard payer.isText else { throw Failure(.invalidUTF8, field: "args.payer", "It is not UTF-8 text without NUL.") }
    self.tool = OwnedText(tool)
    self.payer = OwnedText(payer)
    self.usage = try MeteredTerms.source(usage, signature)
    self.failure = try MeteredTerms.rule(failure, signature)
    self.refused = try MeteredTerms.bits(refused, signature)
    if let maxCost, maxCost < 0 {
      throw Failure(.invalidAmount, field: "args.max_cost", "It must not be negative.")
    }
    self.maxCost = maxCost
    self.call = call
    self.durability = durability
    self.isCheckOnly = isCheckOnly
  }

  private static func source(_ text: BorrowedText, _ signature: Signature) throws(Failure) -> UsageSource {
    if text.isEmpty { return .request }
    guard text.count <= Limits.parameterName + 6 else {
      throw Failure(.tooLong, field: "args.usage", "A usage is 'bytes:NAME' or 'value:NAME'.")
    }
    let parts = (text.string ?? "").split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0] == "bytes" || parts[0] == "value" else {
      throw Failure(.invalidArgument, field: "args.usage", "A usage is 'bytes:NAME' or 'value:NAME'.")
    }
    guard let index = signature.index(of: String(parts[1])) else {
      throw Failure(.invalidArgument, field: "args.usage", "The signature has no parameter '\(parts[1])'.")
    }
    let type = signature.parameters[index].type
    let place = signature.parameters[..<index].reduce(0) { $0 + $1.type.count }
    switch (parts[0], type) {
    case ("bytes", .bytes), ("bytes", .out), ("bytes", .outByReference), ("bytes", .scalar(.string)):
      return .bytes(type, place: place)
    case ("value", .scalar(let scalar)) where scalar.isInteger: return .value(scalar, place: place)
    default:
      throw Failure(
        .invalidArgument, field: "args.usage",
        parts[0] == "bytes" ? "\(type) is no range of bytes and no string." : "\(type) is no integer.")
    }
  }

  private static func rule(_ text: BorrowedText, _ signature: Signature) throws(Failure) -> FailureRule? {
    if text.isEmpty { return nil }
    guard text.count <= 16, let rule = text.string.flatMap(FailureRule.init(rawValue:)) else {
      throw Failure(.invalidArgument, field: "args.failure", "It is 'negative', 'nonzero' or 'zero'.")
    }
    let fits: Bool
    switch signature.result {
    case .i8, .i16, .i32, .i64: fits = true
    case .u8, .u16, .u32, .u64, .string, .pointer: fits = rule != .negative
    case .double, nil: fits = false
    }
    guard fits else {
      throw Failure(
        .invalidArgument, field: "args.failure",
        "A result of \(signature.result?.rawValue ?? "void") is never '\(rule.rawValue)'.")
    }
    return rule
  }

  private static func bits(
    _ refused: (integer: Int64, number: Double), _ signature: Signature
  ) throws(Failure) -> UInt64 {
    guard let result = signature.result else { return 0 }
    if result == .double { return refused.number.bitPattern }
    guard result.holds(refused.integer) else {
      throw Failure(
        .invalidArgument, field: "args.refused_integer", "\(refused.integer) does not fit into \(result.rawValue).")
    }
    return UInt64(bitPattern: refused.integer)
  }
}

extension Signature {
  /// Reads a signature that a caller in this process gives, who may pass pointers.
  package static func parse(_ text: BorrowedText, field: String) throws(Failure) -> Signature {
    guard text.count <= Limits.signature else {
      throw Failure(.tooLong, field: field, "A signature has at most \(Limits.signature) bytes.")
    }
    guard let string = text.string else { throw Failure(.invalidUTF8, field: field, "It is not UTF-8 text.") }
    return try parse(string, field: field, allowsPointers: true)
  }

  /// The same without names: what decides how a call is made.
  var shape: Signature {
    Signature(result: result, parameters: parameters.map { Parameter(name: nil, type: $0.type) })
  }
}

extension Signature.ParameterType {
  /// Its C parameters.
  var count: Int {
    switch self {
    case .scalar: 1
    case .bytes, .out, .outByReference: 2
    }
  }
}

extension MeteredTerms.FailureRule {
  func applies(to word: UInt64, _ scalar: Signature.Scalar) -> Bool {
    let integer = scalar.integer(word)
    switch self {
    case .negative: return integer < 0
    case .nonzero: return integer != 0
    case .zero: return integer == 0
    }
  }
}
