/// Powers of ten in 128 bits, from a table.
enum PowersOfTen {
  /// The largest exponent whose power fits into an Int128.
  static let highest = 38

  private static let table: [Int128] = {
    var powers: [Int128] = [1]
    for _ in 0..<highest {
      powers.append((powers.last ?? 1) &* 10)
    }
    return powers
  }()

  /// Ten to an exponent, or nil below 0 and above 38.
  static func power(_ exponent: Int) -> Int128? {
    table.indices.contains(exponent) ? table[exponent] : nil
  }

  /// A number times ten to an exponent, or nil when it does not fit.
  static func scale(_ number: Int128, by exponent: Int) -> Int128? {
    guard number != 0 else { return 0 }
    guard let power = power(exponent) else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: power)
    return overflow ? nil : product
  }
}
