/// A decimal number that is exactly what was written: mantissa x 10^-scale.
///
/// It is kept in lowest form, without zeros at the end of the fraction, so that equal numbers have equal fields.
public struct ExactDecimal: Hashable, Sendable {
  /// The digits, with their sign.
  public let mantissa: Int128
  /// The digits after the point, 0 to 38.
  public let scale: UInt8

  /// Zero.
  public static let zero = ExactDecimal(lowest: 0, scale: 0)

  private init(lowest mantissa: Int128, scale: UInt8) {
    self.mantissa = mantissa
    self.scale = scale
  }

  /// The number mantissa x 10^-scale; nil for a scale above 38.
  public init?(mantissa: Int128, scale: UInt8) {
    guard Int(scale) <= PowersOfTen.highest else { return nil }
    var mantissa = mantissa
    var scale = mantissa == 0 ? 0 : scale
    while scale > 0 {
      let (quotient, remainder) = mantissa.quotientAndRemainder(dividingBy: 10)
      guard remainder == 0 else { break }
      mantissa = quotient
      scale -= 1
    }
    self.init(lowest: mantissa, scale: scale)
  }

  /// Reads a decimal number: an optional minus, digits, optionally a point and digits, optionally an exponent.
  ///
  /// `NaN`, infinities, a plus sign, spaces, separators, `.5` and `5.` are refused.
  /// - Throws: `invalidAmount`; `tooPrecise` beyond 38 digits after the point or 128 bits of digits; `overflow`.
  public static func parse(_ text: String, field: String = "") throws(Failure) -> ExactDecimal {
    var reader = DecimalReader(text)
    switch reader.read() {
    case .number(let mantissa, let exponent):
      guard exponent < 0 else {
        guard let whole = PowersOfTen.scale(mantissa, by: exponent) else {
          throw Failure(.overflow, field: field, "the number is too large")
        }
        return ExactDecimal(lowest: whole, scale: 0)
      }
      guard exponent >= -PowersOfTen.highest else {
        throw Failure(.tooPrecise, field: field, "the number has more than 38 digits after the point")
      }
      return ExactDecimal(lowest: mantissa, scale: UInt8(-exponent))
    case .tooLarge: throw Failure(.overflow, field: field, "the number is too large")
    case .tooPrecise: throw Failure(.tooPrecise, field: field, "the number has too many digits")
    case .malformed: throw Failure(.invalidAmount, field: field, "is not a decimal number such as 12.50")
    }
  }

  /// The integer number x 10^scale; nil when it is not a whole number or does not fit.
  public func exactly(scale wanted: UInt8) -> Int128? {
    guard wanted >= scale else { return nil }
    return PowersOfTen.scale(mantissa, by: Int(wanted) - Int(scale))
  }

  /// The integer nearest to number x 10^scale by a named rounding; nil when it does not fit.
  public func rounded(scale wanted: UInt8, _ rounding: Rounding) -> Int128? {
    guard wanted < scale else { return exactly(scale: wanted) }
    guard let divisor = PowersOfTen.power(Int(scale) - Int(wanted)) else { return nil }
    return rounding.divide(mantissa, by: divisor)
  }
}

extension ExactDecimal: Comparable {
  public static func < (left: ExactDecimal, right: ExactDecimal) -> Bool {
    let scale = max(left.scale, right.scale)
    // Where a side does not fit at the common scale its size alone decides, so its sign does.
    guard let a = left.exactly(scale: scale) else { return left.mantissa < 0 }
    guard let b = right.exactly(scale: scale) else { return right.mantissa > 0 }
    return a < b
  }
}

extension ExactDecimal: CustomStringConvertible {
  /// The number without an exponent and without zeros at the end: `0.0375`, `12`, `-3`.
  public var description: String {
    ExactDecimal.text(mantissa, scale: scale, places: 0)
  }

  /// The text of mantissa x 10^-scale with all its significant digits and at least `places` after the point.
  static func text(_ mantissa: Int128, scale: UInt8, places: UInt8) -> String {
    var digits = Array(String(mantissa.magnitude).utf8)
    let scale = Int(scale)
    if digits.count <= scale {
      digits.insert(contentsOf: repeatElement(UInt8(ascii: "0"), count: scale + 1 - digits.count), at: 0)
    }
    var fraction = digits[(digits.count - scale)...]
    while fraction.count > Int(places), fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
    while fraction.count < Int(places) { fraction.append(UInt8(ascii: "0")) }
    var text = mantissa < 0 ? "-" : ""
    text += String(decoding: digits[..<(digits.count - scale)], as: UTF8.self)
    guard !fraction.isEmpty else { return text }
    return text + "." + String(decoding: fraction, as: UTF8.self)
  }
}
