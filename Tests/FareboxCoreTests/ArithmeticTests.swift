import FareboxReference
import Testing

@testable import FareboxCore

@Suite struct ArithmeticTests {
  @Test(
    arguments: [
      (Rounding.halfEven, [-2, -2, -1, 0, 0, 0, 1, 2, 2]), (.halfUp, [-3, -2, -1, -1, 0, 1, 1, 2, 3]),
      (.down, [-2, -1, -1, 0, 0, 0, 1, 1, 2]), (.up, [-3, -2, -1, -1, 0, 1, 1, 2, 3]),
      (.ceiling, [-2, -1, -1, 0, 0, 1, 1, 2, 3]), (.floor, [-3, -2, -1, -1, 0, 0, 1, 1, 2]),
    ] as [(Rounding, [Int128])])
  func `each rounding does what its name says`(rounding: Rounding, expected: [Int128]) {
    let halves: [Int128] = [-5, -3, -2, -1, 0, 1, 2, 3, 5]
    #expect(halves.map { rounding.divide($0, by: 2) } == expected)
    #expect(halves.map { rounding.divide(-$0, by: -2) } == expected)
  }

  @Test func `division is safe at the ends of 128 bits`() {
    #expect(Rounding.halfEven.divide(1, by: 0) == nil)
    #expect(Rounding.halfEven.divide(.min, by: -1) == nil)
    #expect(Rounding.halfEven.divide(.min, by: 1) == .min)
    #expect(Rounding.up.divide(.min, by: .min) == 1)
    #expect(Rounding.halfUp.divide(.max, by: .max) == 1)
    #expect(Rounding.halfUp.divide(.max, by: .min) == -1)
    #expect(Rounding.up.divide(1, by: .max) == 1)
  }

  @Test(arguments: [
    ("5.0000000000000004E-8", "0.000000050000000000000004"), ("1e-12", "0.000000000001"), ("100", "100"),
    ("1.00", "1"), ("-0.50", "-0.5"), ("12e2", "1200"), ("0.00e5", "0"), ("10e-1", "1"),
    ("170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
  ])
  func `decimals are exact and in lowest form`(text: String, expected: String) throws {
    let decimal = try ExactDecimal.parse(text)
    #expect(decimal.description == expected)
    #expect(try ExactDecimal.parse(decimal.description) == decimal)
    #expect(ExactDecimal(mantissa: decimal.mantissa, scale: decimal.scale) == decimal)
  }

  @Test func `decimals are ordered by value`() throws {
    let texts = ["-1e37", "-2", "-0.1", "0", "1e-38", "0.1", "0.11", "2", "10", "1e37"]
    let decimals = try texts.map { try ExactDecimal.parse($0) }
    for i in decimals.indices {
      for j in decimals.indices { #expect((decimals[i] < decimals[j]) == (i < j), "\(texts[i]) < \(texts[j])") }
    }
  }

  @Test func `decimals are rescaled by name`() throws {
    let decimal = try ExactDecimal.parse("2.345")
    #expect(decimal.exactly(scale: 2) == nil)
    #expect(decimal.exactly(scale: 5) == 234_500)
    #expect(decimal.rounded(scale: 2, .halfEven) == 234)
    #expect(decimal.rounded(scale: 2, .up) == 235)
    #expect(decimal.rounded(scale: 0, .floor) == 2)
  }

  @Test(arguments: [
    ("0.02", "0.02"), ("1e-12", "0.000000000001"), ("9999999999", "9999999999"), ("0.000000000000", "0"),
  ])
  func `rates are exact to twelve digits`(text: String, expected: String) throws {
    #expect(try Rate.parse(text).description == expected)
  }

  @Test func `rates refuse what they cannot hold`() {
    #expect(failure { try Rate.parse("0.0000000000001") }.status == .tooPrecise)
    #expect(failure { try Rate.parse("-1") }.status == .invalidAmount)
    #expect(failure { try Rate.parse("1e30") }.status == .overflow)
    #expect(Rate(pico: -1) == nil)
  }

  @Test func `products equal those of a slow exact model`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for round in 0..<50_000 {
      let quantity = generator.magnitude(below: 63)
      let shift = round % 3 == 0 ? Int.random(in: 0...20, using: &generator) : 0
      let pico = Int128(generator.magnitude(below: 63)) << Int128(shift)
      let scale = round % 2 == 0 ? 9 : UInt8.random(in: 0...18, using: &generator)
      let flat = generator.magnitude(below: 63)
      let expected = ArithmeticTests.slowProduct(quantity, pico, scale: scale, flat: flat)
      let rate = try #require(Rate(pico: pico))
      let product = rate.times(quantity, scale: scale, flat: flat)
      #expect(product == expected, "seed \(seed): \(quantity) x \(pico) @\(scale)")
    }
  }

  /// The product in digits: split the quantity, add with carries, look at the rest.
  private static func slowProduct(_ quantity: Int64, _ pico: Int128, scale: UInt8, flat: Int64) -> Int64? {
    var divisor = UInt128(1)
    for _ in 0..<(18 - Int(scale)) { divisor *= 10 }
    let full = UInt128(quantity.magnitude).multipliedFullWidth(by: pico.magnitude)
    guard full.high == 0 else { return nil }
    let (sum, overflow) = full.low.addingReportingOverflow(UInt128(flat.magnitude) * divisor)
    guard !overflow, sum <= UInt128(Int128.max) else { return nil }
    let (quotient, rest) = sum.quotientAndRemainder(dividingBy: divisor)
    let twice = rest * 2
    return Int64(exactly: quotient + (twice > divisor || (twice == divisor && quotient % 2 == 1) ? 1 : 0))
  }

  @Test func `ties go to the even unit`() throws {
    let half = try Rate.parse("0.0000000005")
    #expect((1...6).map { half.times(Int64($0) * 1_000_000, scale: 9) } == [0, 1, 2, 2, 2, 3])
    #expect(half.times(1_000_000, scale: 9, flat: 1) == 2)
  }
}
