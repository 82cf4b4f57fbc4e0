import FareboxCore
import FareboxReference
import Testing

@Suite struct MoneyTests {
  @Test func `the shared money vectors hold`() throws {
    let cases = try Vectors.cases("money.json")
    #expect(cases.count > 40)
    for each in cases {
      let name = try each.text("name")
      let asset = try #require(Asset.builtIn(each.text("asset")))
      let (amount, error) = outcome { try Amount(each.text("amount"), asset: asset, field: "amount") }
      #expect(error == each.expectedError, "\(name)")
      guard let amount, let expect = each["expect"]?.object else { continue }
      #expect(amount.decimalText == expect["amount"]?.string, "\(name)")
      #expect(amount.units == expect["units"]?.int64, "\(name)")
      #expect(try Amount(amount.decimalText, asset: asset) == amount, "\(name)")
    }
  }

  @Test func `every amount comes back from its text, at every scale`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for round in 0..<20_000 {
      let scale = UInt8(round % 19)
      let minor = UInt8.random(in: 0...scale, using: &generator)
      let sign: Int64 = Bool.random(using: &generator) ? 1 : -1
      let units = sign &* generator.magnitude(below: 64)
      let text = Amount.text(units, scale: scale, minorDigits: minor)
      #expect(try Amount.parse(text, scale: scale) == units, "seed \(seed): \(text)")
    }
  }

  @Test func `sums that do not fit are refused`() throws {
    let dollar = Amount(units: 1_000_000_000, asset: .usd)
    let most = Amount(units: .max, asset: .usd)
    let least = Amount(units: .min, asset: .usd)
    #expect(try dollar.adding(dollar).decimalText == "2.00")
    #expect(try dollar.subtracting(most).units == 1_000_000_000 - Int64.max)
    #expect(failure { try most.adding(dollar) }.status == .overflow)
    #expect(failure { try least.subtracting(dollar) }.status == .overflow)
    #expect(failure { try least.negated() }.status == .overflow)
    #expect(try dollar.negated().decimalText == "-1.00")
    #expect(failure { try dollar.adding(Amount(units: 1, asset: .credits)) }.status == .assetMismatch)
  }

  @Test func `every ISO currency has a ledger scale at least two digits finer`() {
    #expect(Asset.iso4217.count > 150)
    #expect(Set(Asset.iso4217.map(\.code)).count == Asset.iso4217.count)
    for asset in Asset.iso4217 {
      #expect(asset.scale >= asset.minorDigits + 2, "\(asset.code)")
      #expect(asset.scale <= 9, "\(asset.code)")
    }
    let scales = ["USD": 9, "EUR": 9, "JPY": 7, "KRW": 6, "IDR": 5, "VND": 5, "KWD": 9, "CREDITS": 7]
    for (code, scale) in scales { #expect(Asset.builtIn(code)?.scale == UInt8(scale), "\(code)") }
    let minor = ["USD": 2, "JPY": 0, "ISK": 0, "BHD": 3, "CLF": 4, "UYW": 4, "MGA": 2]
    for (code, digits) in minor { #expect(Asset.builtIn(code)?.minorDigits == UInt8(digits), "\(code)") }
    for code in ["XAU", "XXX", "XTS", "DEM", "usd", ""] { #expect(Asset.builtIn(code) == nil, "\(code)") }
  }

  @Test(arguments: ["", "usd", "1USD", ":USD", "US D", "USD\0", "ÜSD", "ABCDEFGHIJKLMNOPQ"])
  func `malformed asset codes are refused`(code: String) {
    #expect(throws: Failure.self) { try Asset(code: code, scale: 2, minorDigits: 2) }
  }

  @Test func `own assets have bounds`() throws {
    let gold = try Asset(code: "ACME:GOLD_1-X", scale: 18, minorDigits: 0)
    #expect(try Amount("9.223372036854775807", asset: gold).units == .max)
    #expect(failure { try Asset(code: "A", scale: 19, minorDigits: 0) }.field == "scale")
    #expect(failure { try Asset(code: "A", scale: 2, minorDigits: 3) }.field == "minor_digits")
  }

  @Test func `the minor unit is reached by a named rounding`() throws {
    let cents = { (units: Int64, rounding: Rounding) in
      try Amount.roundedToMinor(units, scale: 9, minorDigits: 2, rounding)
    }
    #expect(try cents(125_000_000, .halfEven) == 120_000_000)
    #expect(try cents(135_000_000, .halfEven) == 140_000_000)
    #expect(try cents(125_000_000, .halfUp) == 130_000_000)
    #expect(try cents(-125_000_000, .floor) == -130_000_000)
    #expect(try cents(1, .up) == 10_000_000)
    #expect(failure { try cents(.max, .up) }.status == .overflow)
  }
}
