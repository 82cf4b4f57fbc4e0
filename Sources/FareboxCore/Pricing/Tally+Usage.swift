extension Tally {
  /// What a host has counted.
  ///
  /// - Parameters:
  ///   - usage: the counts.
  ///   - meters: those that were counted, also to nothing.
  ///   - scale: of the asset in whose atomic units `value` is counted.
  /// - Throws: `overflow` for a value that no sum can have.
  public init(_ usage: Usage, of meters: MeterSet, scale: UInt8 = 0) throws(Failure) {
    var micro = InlineArray<16, Int64>(repeating: 0)
    var fraction = InlineArray<16, Int64>(repeating: 0)
    for meter in meters.meters {
      let place = Int(meter.rawValue)
      guard meter == .value else {
        micro[place] = usage[meter]
        continue
      }
      let digits = Int(scale) - 6
      guard let power = PowersOfTen.power(abs(digits)), digits <= 12 else { throw Tally.tooLarge }
      let value = Int128(usage[meter])
      guard digits > 0 else {
        guard let whole = Int64(exactly: value * power) else { throw Tally.tooLarge }
        micro[place] = whole
        continue
      }
      guard let rest = PowersOfTen.power(12 - digits) else { throw Tally.tooLarge }
      micro[place] = Int64(truncatingIfNeeded: value / power)
      fraction[place] = Int64(truncatingIfNeeded: value % power * rest)
    }
    try self.init(given: UInt32(meters.rawValue), micro: micro, fraction: fraction)
  }

  private static let tooLarge = Failure(
    .overflow, field: "usage.value", "The value does not fit into 64 bits of millionths.")
}
