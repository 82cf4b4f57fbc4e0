/// What a call has used so far, by meter: exact sums that are rounded once, when they become a `Usage`.
///
/// Sums are kept to 18 digits after the point, in two words a meter: millionths, and what is left of them in 1e-18.
public struct Tally: Sendable {
  /// Places for meters; those beyond today's stay zero.
  public static let places = 16

  /// Millionths of each meter's unit.
  public private(set) var micro: InlineArray<16, Int64> = InlineArray(repeating: 0)
  /// And what is left of them, in 1e-18: less than `fractions`.
  public private(set) var fraction: InlineArray<16, Int64> = InlineArray(repeating: 0)
  /// The meters that were given, also with a count of zero.
  public private(set) var given: MeterSet = []

  /// The digits after the point that a sum keeps.
  private static let digits = 18
  /// How many 1e-18 make a millionth.
  private static let fractions: Int128 = 1_000_000_000_000

  /// A tally of nothing.
  public init() {}

  /// A tally that a caller has kept.
  ///
  /// - Throws: `invalidArgument` for words that no tally can have.
  public init(
    given: UInt32, micro: InlineArray<16, Int64>, fraction: InlineArray<16, Int64>
  ) throws(Failure) {
    guard given & ~UInt32(MeterSet.all.rawValue) == 0 else {
      throw Failure(.invalidArgument, field: "recorded.meters", "A bit names no meter.")
    }
    self.given = MeterSet(rawValue: UInt16(truncatingIfNeeded: given))
    for index in micro.indices {
      let isGiven = index < 16 && given >> UInt32(index) & 1 == 1
      guard micro[index] >= 0, fraction[index] >= 0, Int128(fraction[index]) < Tally.fractions,
        isGiven || micro[index] | fraction[index] == 0
      else { throw Failure(.invalidArgument, field: "recorded", "The tally holds what farebox_record never writes.") }
    }
    self.micro = micro
    self.fraction = fraction
  }

  /// What a host has counted of one meter, in millionths of its unit; `value` is counted by `init(_:of:scale:)`.
  public init(_ meter: Meter, micro count: Int64) {
    micro[Int(meter.rawValue)] = max(0, count)
    given = MeterSet(meter)
  }

  /// What a host has counted.
  ///
  /// - Parameters:
  ///   - usage: the counts.
  ///   - meters: those that were counted, also to nothing.
  ///   - scale: of the asset in whose atomic units `value` is counted.
  /// - Throws: `overflow` for a value that no sum can have.
  public init(_ usage: Usage, of meters: MeterSet, scale: UInt8 = 0) throws(Failure) {
    for meter in meters.meters where meter != .value { micro[Int(meter.rawValue)] = usage[meter] }
    given = meters
    guard meters.contains(MeterSet(.value)) else { return }
    guard let atoms = PowersOfTen.scale(Int128(usage[.value]), by: Tally.digits - Int(scale)),
      let whole = Int64(exactly: atoms / Tally.fractions)
    else { throw Failure(.overflow, field: "usage.value", "The value does not fit into 64 bits of millionths.") }
    micro[Int(Meter.value.rawValue)] = whole
    fraction[Int(Meter.value.rawValue)] = Int64(truncatingIfNeeded: atoms % Tally.fractions)
  }

  /// Whether nothing was given.
  public var isEmpty: Bool { given.isEmpty }

  /// Adds usage: an object of counts by meter, or one number, which counts units.
  ///
  /// A count is a number or a string of one, not negative; null is not given. Names may be in the singular, and `tokens`
  /// is another name for `input_tokens`. All of it is added or nothing.
  /// - Throws: `invalidArgument`, `unknownField` and `overflow`, naming the member.
  public mutating func add(_ usage: JSON, path: String = "usage") throws(Failure) {
    var sum = self
    if let object = usage.object {
      for member in object.members where !member.value.isNull {
        guard let meter = member.key == "tokens" ? .inputTokens : Meter(name: member.key) else {
          throw Failure(
            .unknownField, field: "\(path).\(member.key.prefix(40))",
            "There is no meter of this name; the meters are \(Meter.allCases.map(\.name).joined(separator: ", ")).")
        }
        try sum.add(meter, member.value, field: "\(path).\(meter.name)")
      }
    } else if !usage.isNull {
      try sum.add(.units, usage, field: path)
    }
    self = sum
  }

  private mutating func add(_ meter: Meter, _ json: JSON, field: String) throws(Failure) {
    guard let text = json.numberText else {
      throw Failure(.invalidArgument, field: field, "Usage is a number, or a string of one, that is not negative.")
    }
    let atoms = try Tally.atoms(text, field: field)
    let place = Int(meter.rawValue)
    let before = Int128(micro[place]) * Tally.fractions + Int128(fraction[place])
    let (sum, overflow) = before.addingReportingOverflow(atoms)
    guard !overflow, let whole = Int64(exactly: sum / Tally.fractions) else {
      throw Failure(.overflow, field: field, "The sum does not fit into 64 bits of millionths.")
    }
    micro[place] = whole
    fraction[place] = Int64(truncatingIfNeeded: sum % Tally.fractions)
    given.insert(MeterSet(meter))
  }

  /// A decimal number in 1e-18, rounded half to even where it has more digits.
  private static func atoms(_ text: String, field: String) throws(Failure) -> Int128 {
    var reader = DecimalReader(shortened(text))
    switch reader.read() {
    case .number(let mantissa, let exponent):
      guard mantissa >= 0 else {
        throw Failure(.invalidArgument, field: field, "Usage is not negative; \(text.prefix(40)) was given.")
      }
      let shift = exponent + digits
      if shift < 0 { return dropping(-shift, mantissa) }
      guard let atoms = PowersOfTen.scale(mantissa, by: shift) else { break }
      return atoms
    case .malformed:
      throw Failure(.invalidArgument, field: field, "'\(text.prefix(40))' is not a number.")
    case .tooLarge, .tooPrecise: break
    }
    throw Failure(.overflow, field: field, "The quantity does not fit into 64 bits of millionths.")
  }

  /// A number with the last digits rounded away, half to even.
  private static func dropping(_ digits: Int, _ number: Int128) -> Int128 {
    guard digits > 0 else { return number }
    // More digits than the number has leave nothing.
    guard let divisor = PowersOfTen.power(digits) else { return 0 }
    return Rounding.halfEven.divide(number, by: divisor) ?? 0
  }

  /// A number without the digits after the point that no sum keeps: 30 are far more than one can round by.
  private static func shortened(_ text: String) -> String {
    let bytes = Array(text.utf8)
    guard bytes.count > 30, let point = bytes.firstIndex(of: UInt8(ascii: ".")), bytes.count <= 4_096 else {
      return text
    }
    var end = point + 1
    while end < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[end]) { end += 1 }
    guard end - point > 31 else { return text }
    return String(decoding: bytes[..<(point + 31)] + bytes[end...], as: UTF8.self)
  }

  /// The usage of the sums, each rounded once, half to even, to the digits that its meter has.
  ///
  /// - Parameter scale: of the asset in which `value` is counted.
  /// - Throws: `overflow`.
  public func usage(scale: UInt8) throws(Failure) -> Usage {
    var usage = Usage.oneRequest
    for meter in Meter.allCases where given.contains(MeterSet(meter)) {
      let place = Int(meter.rawValue)
      // Most counts are whole, and need no division of 128 bits.
      if meter != .value, fraction[place] == 0, meter == .units || micro[place] % Usage.micro == 0 {
        if meter != .requests || micro[place] != 0 { try usage.set(meter, micro: micro[place]) }
        continue
      }
      let atoms = Int128(micro[place]) * Tally.fractions + Int128(fraction[place])
      let field = "usage.\(meter.name)"
      let quantity: Int64?
      switch meter {
      case .value: quantity = Int64(exactly: Tally.dropping(Tally.digits - Int(scale), atoms))
      case .units: quantity = Int64(exactly: Tally.dropping(Tally.digits - 6, atoms))
      case .requests, .inputTokens, .outputTokens, .cacheReadTokens, .cacheWriteTokens, .reasoningTokens,
        .inputAudioTokens, .outputAudioTokens, .images:
        // Whole counts; a sum of 64 bits of millionths leaves room for this product.
        quantity = Int64(exactly: Tally.dropping(Tally.digits, atoms) &* Int128(Usage.micro))
      }
      guard let quantity else {
        throw Failure(.overflow, field: field, "The quantity does not fit into 64 bits of millionths.")
      }
      if meter != .requests || quantity != 0 { try usage.set(meter, micro: quantity) }
    }
    return usage
  }
}
