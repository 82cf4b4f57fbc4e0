/// What a call used: a quantity of each meter, plain data.
///
/// Quantities are millionths of the meter's unit, so that 4.5 hours are exact; `value` alone is in atomic units of the
/// price's asset. None is negative.
public struct Usage: Sendable {
  private var quantities: InlineArray<11, Int64> = InlineArray(repeating: 0)
  /// The meters whose quantity is not zero.
  public private(set) var present: MeterSet = []

  /// Millionths in one unit.
  public static let micro: Int64 = 1_000_000
  /// One request and nothing else.
  public static let oneRequest: Usage = {
    var usage = Usage(empty: ())
    usage.store(micro, .requests)
    return usage
  }()

  private init(empty: Void) {}

  /// A usage from whole counts.
  ///
  /// - Parameters:
  ///   - requests: 0 is read as 1: one call is one request.
  ///   - unitsMicro: Millionths of a unit on top of `units`.
  ///   - value: Atomic units that a percentage applies to.
  /// - Throws: `invalidArgument` for a negative count, `overflow` beyond 2^63 millionths.
  public init(
    requests: Int64 = 1, units: Int64 = 0, unitsMicro: UInt32 = 0, inputTokens: Int64 = 0, outputTokens: Int64 = 0,
    cacheReadTokens: Int64 = 0, cacheWriteTokens: Int64 = 0, reasoningTokens: Int64 = 0, inputAudioTokens: Int64 = 0,
    outputAudioTokens: Int64 = 0, images: Int64 = 0, value: Int64 = 0
  ) throws(Failure) {
    try set(.requests, count: requests == 0 ? 1 : requests)
    try set(.units, count: units)
    if unitsMicro != 0 { try add(.units, micro: Int64(unitsMicro)) }
    try set(.inputTokens, count: inputTokens)
    try set(.outputTokens, count: outputTokens)
    try set(.cacheReadTokens, count: cacheReadTokens)
    try set(.cacheWriteTokens, count: cacheWriteTokens)
    try set(.reasoningTokens, count: reasoningTokens)
    try set(.inputAudioTokens, count: inputAudioTokens)
    try set(.outputAudioTokens, count: outputAudioTokens)
    try set(.images, count: images)
    try set(.value, micro: value)
  }

  /// The quantity of a meter: millionths of its unit, or atomic units for `value`.
  public subscript(meter: Meter) -> Int64 {
    quantities[Int(meter.rawValue)]
  }

  /// Sets a meter to a whole count; for `value`, of atomic units.
  /// - Throws: `invalidArgument` below zero, `overflow`.
  public mutating func set(_ meter: Meter, count: Int64) throws(Failure) {
    guard count != 0 || present.contains(MeterSet(meter)) else { return }
    guard count >= 0 else { return try set(meter, micro: count) }
    let (quantity, overflow) = count.multipliedReportingOverflow(by: meter == .value ? 1 : Usage.micro)
    guard !overflow else { throw Usage.tooLarge(meter) }
    try set(meter, micro: quantity)
  }

  /// Sets a meter to millionths of its unit; for `value`, to atomic units.
  /// - Throws: `invalidArgument` below zero.
  public mutating func set(_ meter: Meter, micro quantity: Int64) throws(Failure) {
    guard quantity >= 0 else {
      throw Failure(.invalidArgument, field: "usage.\(meter.name)", "must not be negative")
    }
    store(quantity, meter)
  }

  /// Adds to a meter what another usage or event brings.
  /// - Throws: `invalidArgument` below zero, `overflow`.
  public mutating func add(_ meter: Meter, micro quantity: Int64) throws(Failure) {
    let (sum, overflow) = self[meter].addingReportingOverflow(quantity)
    guard !overflow else { throw Usage.tooLarge(meter) }
    try set(meter, micro: sum)
  }

  private mutating func store(_ quantity: Int64, _ meter: Meter) {
    quantities[Int(meter.rawValue)] = quantity
    if quantity == 0 {
      present.remove(MeterSet(meter))
    } else {
      present.insert(MeterSet(meter))
    }
  }

  private static func tooLarge(_ meter: Meter) -> Failure {
    Failure(.overflow, field: "usage.\(meter.name)", "the quantity does not fit into 64 bits of millionths")
  }

  /// The sum over some meters, or nil when it does not fit.
  @inline(__always)
  func total(_ meters: MeterSet) -> Int64? {
    var left = meters.intersection(present).rawValue
    var sum: Int64 = 0
    while left != 0 {
      let (next, overflow) = sum.addingReportingOverflow(quantities[left.trailingZeroBitCount])
      guard !overflow else { return nil }
      sum = next
      left &= left &- 1
    }
    return sum
  }
}

extension Usage: Hashable {
  public static func == (left: Usage, right: Usage) -> Bool {
    guard left.present == right.present else { return false }
    for index in left.quantities.indices where left.quantities[index] != right.quantities[index] { return false }
    return true
  }

  public func hash(into hasher: inout Hasher) {
    for index in quantities.indices { hasher.combine(quantities[index]) }
  }
}
