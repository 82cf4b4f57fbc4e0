/// A share as an exact fraction in lowest terms, never negative: `0.70` is 7/10.
public struct Ratio: Hashable, Sendable {
  /// At least 0.
  public let numerator: Int64
  /// At least 1.
  public let denominator: Int64

  /// Nothing.
  public static let zero = Ratio(lowest: 0, 1)
  /// All of it.
  public static let one = Ratio(lowest: 1, 1)

  private init(lowest numerator: Int64, _ denominator: Int64) {
    self.numerator = numerator
    self.denominator = denominator
  }

  /// The fraction in lowest terms; nil when a side is negative or the denominator is zero.
  public init?(_ numerator: Int64, _ denominator: Int64) {
    self.init(Int128(numerator), Int128(denominator))
  }

  /// The fraction in lowest terms; nil as above, or when it does not fit into 64 bits a side.
  init?(_ numerator: Int128, _ denominator: Int128) {
    guard numerator >= 0, denominator > 0 else { return nil }
    var (divisor, rest) = (denominator, numerator)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    guard let top = Int64(exactly: numerator / divisor), let bottom = Int64(exactly: denominator / divisor) else {
      return nil
    }
    self.init(lowest: top, bottom)
  }

  /// Reads `0.70`, `70%` or `7/10`.
  /// - Throws: `invalidAmount` (also below zero), `tooPrecise` or `overflow` when it does not fit into 64 bits a side.
  public static func parse(_ text: String, field: String = "") throws(Failure) -> Ratio {
    let sides = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    if sides.count == 2 { return try fraction(sides[0], sides[1], field) }
    let percent = text.utf8.last == UInt8(ascii: "%")
    let decimal = try ExactDecimal.parse(percent ? String(text.dropLast()) : text, field: field)
    guard decimal.mantissa >= 0 else { throw Failure(.invalidAmount, field: field, "a share must not be negative") }
    guard let denominator = PowersOfTen.power(Int(decimal.scale) + (percent ? 2 : 0)),
      let ratio = Ratio(decimal.mantissa, denominator)
    else { throw Failure(.tooPrecise, field: field, "the share has too many digits") }
    return ratio
  }

  private static func fraction(_ top: Substring, _ bottom: Substring, _ field: String) throws(Failure) -> Ratio {
    guard let numerator = JSON.string(String(top)).int64, let denominator = JSON.string(String(bottom)).int64,
      let ratio = Ratio(numerator, denominator)
    else { throw Failure(.invalidAmount, field: field, "is not a fraction such as 7/10") }
    return ratio
  }

  /// The largest whole number not above this share of a magnitude; exact in 128 bits.
  ///
  /// The share must be at most one, which the split has checked; above that the result is cut to 64 bits.
  @inline(__always)
  func floor(of magnitude: UInt64) -> UInt64 {
    let product = magnitude.multipliedFullWidth(by: UInt64(bitPattern: numerator))
    guard product.high != 0 else { return product.low / UInt64(bitPattern: denominator) }
    let wide = UInt128(product.high) << 64 | UInt128(product.low)
    return UInt64(truncatingIfNeeded: wide / UInt128(UInt64(bitPattern: denominator)))
  }

  /// The sum; nil when it does not fit.
  func adding(_ other: Ratio) -> Ratio? {
    let left = Int128(numerator) * Int128(other.denominator)
    let right = Int128(other.numerator) * Int128(denominator)
    // Each product is below 2^126, so that the sum is below 2^127.
    return Ratio(left + right, Int128(denominator) * Int128(other.denominator))
  }

  /// What is missing to one; nil above one.
  var complement: Ratio? {
    Ratio(denominator - numerator, denominator)
  }
}

extension Ratio: CustomStringConvertible {
  /// Decimal text where that is exact (`0.7`), otherwise the fraction (`1/3`).
  public var description: String {
    var rest = denominator
    var scale: UInt8 = 0
    for factor: Int64 in [2, 5] {
      var count: UInt8 = 0
      while rest % factor == 0 {
        rest /= factor
        count += 1
      }
      scale = max(scale, count)
    }
    guard rest == 1, Int(scale) <= 18, let power = PowersOfTen.power(Int(scale)) else {
      return "\(numerator)/\(denominator)"
    }
    // Nineteen digits times ten to the eighteenth fit into 128 bits.
    return ExactDecimal.text(Int128(numerator) * power / Int128(denominator), scale: scale, places: 0)
  }
}
