/// The named ways to turn an exact quotient into an integer.
///
/// The engine itself only uses `halfEven`; the others are for invoices, imports and conversions that say so.
public enum Rounding: String, Sendable, CaseIterable {
  /// To the nearest; a tie goes to the even neighbour.
  case halfEven = "half_even"
  /// To the nearest; a tie goes away from zero.
  case halfUp = "half_up"
  /// Towards zero.
  case down
  /// Away from zero.
  case up
  /// Towards positive infinity.
  case ceiling
  /// Towards negative infinity.
  case floor

  /// Divides and rounds; nil when the divisor is zero or the quotient does not fit.
  public func divide(_ dividend: Int128, by divisor: Int128) -> Int128? {
    guard divisor != 0 else { return nil }
    let negative = (dividend < 0) != (divisor < 0)
    let magnitude = divide(dividend.magnitude, by: divisor.magnitude, negative: negative)
    guard negative else { return Int128(exactly: magnitude) }
    guard magnitude <= Int128.min.magnitude else { return nil }
    return Int128(truncatingIfNeeded: 0 &- magnitude)
  }

  private func divide(_ dividend: UInt128, by divisor: UInt128, negative: Bool) -> UInt128 {
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
    guard remainder != 0, goesUp(quotient, remainder, divisor, negative) else { return quotient }
    // A remainder means a divisor of at least two, so the quotient has room for one more.
    return quotient &+ 1
  }

  /// Whether a magnitude with a remainder is rounded away from zero.
  private func goesUp(
    _ quotient: UInt128, _ remainder: UInt128, _ divisor: UInt128, _ negative: Bool
  ) -> Bool {
    let rest = divisor &- remainder
    return switch self {
    case .halfEven: remainder > rest || (remainder == rest && quotient & 1 == 1)
    case .halfUp: remainder >= rest
    case .down: false
    case .up: true
    case .ceiling: !negative
    case .floor: negative
    }
  }
}
