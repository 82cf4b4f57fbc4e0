/// A price per unit: an exact decimal of the asset's major unit, to 1e-12.
///
/// A rate does not depend on the asset's scale; only the product with a quantity does.
public struct Rate: Hashable, Sendable {
  /// The rate in 1e-12 of the major unit, never negative.
  public let pico: Int128

  /// The digits after the point that a rate keeps.
  public static let digits: UInt8 = 12
  /// Nothing a unit.
  public static let zero = Rate(trusted: 0)

  init(trusted pico: Int128) {
    self.pico = pico
  }

  /// A rate in 1e-12 of the major unit; nil below zero.
  public init?(pico: Int128) {
    guard pico >= 0 else { return nil }
    self.init(trusted: pico)
  }

  /// Reads decimal text, exactly.
  /// - Throws: `invalidAmount` (also below zero), `tooPrecise` beyond twelve digits after the point, `overflow`.
  public static func parse(_ text: String, field: String = "") throws(Failure) -> Rate {
    try exact(ExactDecimal.parse(text, field: field), field: field)
  }

  /// The rate of a decimal, exactly.
  /// - Throws: as `parse`.
  public static func exact(_ decimal: ExactDecimal, field: String = "") throws(Failure) -> Rate {
    guard decimal.mantissa >= 0 else {
      throw Failure(.invalidAmount, field: field, "a rate must not be negative")
    }
    guard decimal.scale <= digits else {
      throw Failure(.tooPrecise, field: field, "has \(decimal.scale) digits after the point where a rate keeps 12")
    }
    guard let pico = decimal.exactly(scale: digits) else {
      throw Failure(.overflow, field: field, "the rate is too large")
    }
    return Rate(trusted: pico)
  }

  /// The rate as the binary interface carries it: `Int64.max` where it does not fit.
  public var pico64: Int64 {
    Int64(exactly: pico) ?? Int64.max
  }
}

extension Rate: CustomStringConvertible {
  /// The rate as decimal text without zeros at the end.
  public var description: String {
    ExactDecimal.text(pico, scale: Rate.digits, places: 0)
  }
}
