extension Rate {
  /// The atomic units of quantity x rate + flat, rounded once, half to even; nil when it does not fit.
  ///
  /// - Parameters:
  ///   - quantityMicro: Millionths of the unit that the rate is for.
  ///   - scale: The asset's scale, at most 18.
  ///   - flat: Atomic units added before rounding, because a tie then goes to the even sum.
  @inline(__always)
  public func times(_ quantityMicro: Int64, scale: UInt8, flat: Int64 = 0) -> Int64? {
    Rate.product(quantityMicro, pico, digits: 18 - Int(truncatingIfNeeded: scale), flat: flat)
  }

  /// The part of an amount: this rate as a fraction of it, plus `flat`, rounded once, half to even.
  public func fraction(of units: Int64, flat: Int64 = 0) -> Int64? {
    Rate.product(units, pico, digits: Int(Rate.digits), flat: flat)
  }

  /// quantity x factor / 10^digits + flat, rounded once, half to even.
  @inline(__always)
  static func product(_ quantity: Int64, _ factor: Int128, digits: Int, flat: Int64) -> Int64? {
    guard quantity >= 0, flat >= 0, let small = Int64(exactly: factor), small >= 0 else {
      return wide(quantity, factor, digits: digits, flat: flat)
    }
    let product = UInt64(bitPattern: quantity).multipliedFullWidth(by: UInt64(bitPattern: small))
    // Nine digits is a dollar's case: the division by a constant is a multiplication.
    guard product.high == 0, digits == 9 else { return wide(quantity, factor, digits: digits, flat: flat) }
    return sum(product.low / 1_000_000_000, product.low % 1_000_000_000, half: 500_000_000, flat)
  }

  @inline(__always)
  private static func sum(_ quotient: UInt64, _ remainder: UInt64, half: UInt64, _ flat: Int64) -> Int64? {
    // The quotient is below 2^35 and the flat below 2^63, so that the sum fits into 64 unsigned bits.
    var total = quotient &+ UInt64(bitPattern: flat)
    if remainder > half || (remainder == half && total & 1 == 1) { total &+= 1 }
    return Int64(exactly: total)
  }

  @inline(never)
  private static func wide(_ quantity: Int64, _ factor: Int128, digits: Int, flat: Int64) -> Int64? {
    guard let divisor = PowersOfTen.power(digits) else { return nil }
    let (product, productOverflow) = Int128(quantity).multipliedReportingOverflow(by: factor)
    // 2^63 x 10^18 is below 2^123, so that the flat itself fits.
    let (sum, sumOverflow) = product.addingReportingOverflow(Int128(flat) &* divisor)
    guard !productOverflow, !sumOverflow, let rounded = Rounding.halfEven.divide(sum, by: divisor) else { return nil }
    return Int64(exactly: rounded)
  }
}
