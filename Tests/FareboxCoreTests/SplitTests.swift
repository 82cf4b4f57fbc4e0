import FareboxCore
import FareboxReference
import Testing

@Suite struct SplitTests {
  @Test func `the shared split vectors hold`() throws {
    let cases = try Vectors.cases("splits.json")
    #expect(cases.count > 20)
    for each in cases {
      let name = try each.text("name")
      let asset = try #require(Asset.builtIn(each.text("asset")))
      let units = try Amount(each.text("amount"), asset: asset).units
      let (split, error) = outcome { try Split.parse(each["split"] ?? .null, path: "split") }
      #expect(error == each.expectedError, "\(name)")
      guard let split else { continue }
      let expected = each["expect"]?.array?.compactMap(\.string)
      let shares = split.shares(of: units)
      #expect(shares.map { Amount(units: $0, asset: asset).decimalText } == expected, "\(name)")
      #expect(shares.indices.map { split.share($0, of: units) } == shares, "\(name)")
      #expect(try Split.parse(split.json, path: "") == split, "\(name)")
    }
  }

  @Test func `the shares of every split are the whole, and none is a unit off`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<5_000 {
      let count = Int.random(in: 1...Limits.recipients, using: &generator)
      let denominator = Int64.random(in: Int64(count)...1_000_000_007, using: &generator)
      var left = denominator
      var parts: [Split.Part] = []
      for index in 0..<count {
        let share = index == count - 1 ? left : Int64.random(in: 0...left, using: &generator)
        left -= share
        let ratio = try #require(Ratio(share, denominator))
        parts.append(Split.Part(account: "a\(index)", ratio: ratio))
      }
      let split = try Split(parts, remaining: Bool.random(using: &generator) ? count - 1 : nil)
      let units = generator.magnitude(below: 63)
      let shares = split.shares(of: units)
      #expect(shares.reduce(Int128(0)) { $0 + Int128($1) } == Int128(units), "seed \(seed)")
      #expect(split.shares(of: -units) == shares.map { -$0 }, "seed \(seed)")
      for (share, part) in zip(shares, parts) {
        let floor = Int128(units) * Int128(part.ratio.numerator) / Int128(part.ratio.denominator)
        #expect(Int128(share) == floor || Int128(share) == floor + 1, "seed \(seed)")
      }
    }
  }

  @Test func `the ends of 64 bits are shared too`() throws {
    let third = try Ratio.parse("1/3")
    let split = try Split(["a", "b", "c"].map { Split.Part(account: $0, ratio: third) })
    #expect(split.shares(of: .max).reduce(0, +) == .max)
    #expect(split.shares(of: .min).reduce(0, +) == .min)
    #expect(Split(all: "a").shares(of: .min) == [.min])
  }

  @Test(
    arguments: [
      ("0.70", "0.7", 7, 10), ("70%", "0.7", 7, 10), ("12.5%", "0.125", 1, 8), ("7/10", "0.7", 7, 10), ("1", "1", 1, 1),
      ("2/6", "1/3", 1, 3), ("0", "0", 0, 1), ("0/5", "0", 0, 1), ("7e-1", "0.7", 7, 10),
      ("1/1024", "0.0009765625", 1, 1024),
    ] as [(String, String, Int64, Int64)])
  func `shares are exact fractions`(text: String, written: String, numerator: Int64, denominator: Int64) throws {
    let ratio = try Ratio.parse(text)
    #expect(ratio == Ratio(numerator, denominator))
    #expect(ratio.description == written)
    #expect(try Ratio.parse(ratio.description) == ratio)
  }

  @Test(arguments: [
    "", "%", "1/", "/2", "1/0", "-1/2", "1/-2", "1/2/3", "0.5/1", "a", "-0.1", "1 /2", "0.00000000000000000001",
  ])
  func `what is no share is refused`(text: String) {
    #expect(throws: Failure.self) { try Ratio.parse(text) }
  }

  @Test func `sums beyond 64 bits are refused, not cut`() throws {
    let primes: [Int64] = [4_294_967_291, 4_294_967_279, 4_294_967_231, 4_294_967_197]
    let parts = try primes.map { Split.Part(account: "\($0)", ratio: try #require(Ratio(1, $0))) }
    let rest = Split.Part(account: "rest", ratio: .zero)
    #expect(failure { try Split(parts + [rest], remaining: 4) }.status == .unrepresentable)
  }

  @Test func `a revenue share leaves the rest to the platform`() throws {
    let split = try Split(owner: "user:ana", share: Ratio.parse("0.70"))
    #expect(split.parts.map(\.account) == ["user:ana", "platform"])
    #expect(split.shares(of: 10) == [7, 3])
    #expect(try Split(owner: "user:ana", share: .one) == Split(all: "user:ana"))
    #expect(try Split(owner: "user:ana", share: .zero).shares(of: 10) == [0, 10])
    let tooMuch = failure { try Split(owner: "a", share: Ratio.parse("1.1"), field: "revenue_share") }
    #expect(tooMuch.field == "revenue_share")
  }
}
