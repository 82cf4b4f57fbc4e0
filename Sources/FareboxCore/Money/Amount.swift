/// A whole number of atomic units of one asset.
public struct Amount: Hashable, Sendable {
  /// Atomic units, 10^-scale of the asset's major unit.
  public let units: Int64
  /// What is counted.
  public let asset: Asset

  /// An amount of atomic units.
  public init(units: Int64, asset: Asset) {
    self.units = units
    self.asset = asset
  }

  /// Reads decimal text, exactly.
  /// - Throws: `invalidAmount`, `tooPrecise` for more digits than the asset's scale, `overflow`.
  public init(_ text: String, asset: Asset, field: String = "") throws(Failure) {
    self.init(units: try Amount.parse(text, scale: asset.scale, field: field), asset: asset)
  }

  /// All significant digits, and at least the asset's minor digits: `0.50`, `0.0375`.
  public var decimalText: String {
    Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits)
  }

  /// The sum.
  /// - Throws: `assetMismatch`, `overflow`.
  public func adding(_ other: Amount) throws(Failure) -> Amount {
    try combine(other, units.addingReportingOverflow(other.units))
  }

  /// The difference.
  /// - Throws: `assetMismatch`, `overflow`.
  public func subtracting(_ other: Amount) throws(Failure) -> Amount {
    try combine(other, units.subtractingReportingOverflow(other.units))
  }

  /// The same amount with the other sign.
  /// - Throws: `overflow` for the one Int64 that has no opposite.
  public func negated() throws(Failure) -> Amount {
    try Amount(units: 0, asset: asset).subtracting(self)
  }

  private func combine(
    _ other: Amount, _ result: (partialValue: Int64, overflow: Bool)
  ) throws(Failure) -> Amount {
    guard asset == other.asset else {
      throw Failure(.assetMismatch, "\(asset.code) and \(other.asset.code) cannot be combined")
    }
    guard !result.overflow else { throw Amount.tooLarge("") }
    return Amount(units: result.partialValue, asset: asset)
  }
}

extension Amount: CustomStringConvertible {
  /// The amount for people: `0.50 USD`.
  public var description: String {
    "\(decimalText) \(asset.code)"
  }
}

extension Amount {
  /// The atomic units of a decimal text at a scale, exactly.
  /// - Throws: `invalidAmount`, `tooPrecise` for more digits than the scale, `overflow`.
  public static func parse(_ text: String, scale: UInt8, field: String = "") throws(Failure) -> Int64 {
    let decimal = try ExactDecimal.parse(text, field: field)
    guard decimal.scale <= scale else {
      throw Failure(.tooPrecise, field: field, "has \(decimal.scale) digits after the point where \(scale) are kept")
    }
    guard let exact = decimal.exactly(scale: scale), let units = Int64(exactly: exact) else { throw tooLarge(field) }
    return units
  }

  /// The decimal text of atomic units: all significant digits, and at least the minor digits.
  public static func text(_ units: Int64, scale: UInt8, minorDigits: UInt8) -> String {
    ExactDecimal.text(Int128(units), scale: scale, places: minorDigits)
  }

  /// The atomic units rounded to the minor unit, still counted in atomic units; for invoices and rails only.
  /// - Throws: `overflow`.
  public static func roundedToMinor(
    _ units: Int64, scale: UInt8, minorDigits: UInt8, _ rounding: Rounding
  ) throws(Failure) -> Int64 {
    guard minorDigits < scale else { return units }
    guard let step = PowersOfTen.power(Int(scale) - Int(minorDigits)),
      let minor = rounding.divide(Int128(units), by: step),
      let whole = PowersOfTen.scale(minor, by: Int(scale) - Int(minorDigits)), let rounded = Int64(exactly: whole)
    else { throw tooLarge("") }
    return rounded
  }

  private static func tooLarge(_ field: String) -> Failure {
    Failure(.overflow, field: field, "the amount does not fit into 64 bits of atomic units")
  }
}
