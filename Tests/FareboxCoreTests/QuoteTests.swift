import FareboxCore
import FareboxReference
import Testing

@Suite struct QuoteTests {
  @Test func `the shared price vectors hold`() throws {
    let cases = try Vectors.cases("prices.json")
    #expect(cases.count > 100)
    for each in cases {
      let name = try each.text("name")
      var lines: [QuoteLine] = []
      var asset = Asset.usd
      let (quote, error) = outcome {
        let price = try Price.parse(each["price"] ?? .null, asset: { Asset.builtIn($0) }, path: "price")
        asset = price.asset
        let usage = try Usage.parse(each["usage"] ?? .null, scale: asset.scale)
        return try price.quote(
          usage, dynamicAmount: QuoteTests.units(each["dynamic_amount"], asset),
          maxCost: QuoteTests.units(each["max_cost"], asset)
        ) { lines.append($0) }
      }
      #expect(error == each.expectedError, "\(name)")
      guard let quote, let expect = each["expect"]?.object else { continue }
      #expect(Amount(units: quote.total, asset: asset).decimalText == expect["total"]?.string, "\(name)")
      #expect(quote.capped == expect["capped"]?.bool, "\(name)")
      if let expected = expect["lines"] {
        #expect(JSON.array(lines.map { QuoteTests.json($0, asset) }) == expected, "\(name)")
      }
    }
  }

  @Test func `every price of the vectors comes back from its JSON`() throws {
    for each in try Vectors.cases("prices.json") {
      guard let price = try? Price.parse(each["price"] ?? .null, asset: { Asset.builtIn($0) }) else { continue }
      let text = price.json.serialized()
      #expect(try Price.parse(JSON.parse(text), asset: { Asset.builtIn($0) }) == price, "\(text)")
    }
  }

  @Test func `graduated and volume equal a model that walks unit by unit`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for round in 0..<2_000 {
      let tiers = SlowTiers(&generator)
      let quantity = Int64.random(in: 0...120, using: &generator)
      let volume = round % 2 == 0
      let price = try Price.parse(tiers.json(volume: volume), asset: { Asset.builtIn($0) })
      let usage = try Usage(units: quantity)
      var sum: Int64 = 0
      let total = try price.quote(usage) { sum += $0.amount }.total
      #expect(total == sum, "seed \(seed)")
      let slow = tiers.cost(of: quantity, volume: volume)
      #expect(total == slow, "seed \(seed): \(quantity) of \(price.json.serialized())")
    }
  }

  @Test func `more usage never costs less, but for volume tiers`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<300 {
      let tiers = SlowTiers(&generator)
      let price = try Price.parse(tiers.json(volume: false), asset: { Asset.builtIn($0) })
      var previous: Int64 = 0
      for micro in stride(from: Int64(0), to: 120_000_000, by: 1_700_000) {
        let usage = try Usage(units: micro / 1_000_000, unitsMicro: UInt32(micro % 1_000_000))
        let total = try price.quote(usage) { _ in }.total
        #expect(total >= previous, "seed \(seed)")
        previous = total
      }
    }
  }

  @Test func `no usage and no price makes the quote trap`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let prices = try Vectors.cases("prices.json").compactMap {
      try? Price.parse($0["price"] ?? .null, asset: { Asset.builtIn($0) })
    }
    for _ in 0..<400 {
      var usage = Usage.oneRequest
      for meter in Meter.allCases where Bool.random(using: &generator) {
        let largest = Bool.random(using: &generator)
        try usage.set(meter, micro: largest ? .max : generator.magnitude(below: 63))
      }
      for price in prices {
        let cap = generator.magnitude(below: 63)
        let (quote, error) = outcome { try price.quote(usage, dynamicAmount: .max, maxCost: cap) { _ in } }
        #expect(error == nil || error == "OVERFLOW" || error == "UNPRICEABLE", "seed \(seed)")
        if let quote {
          #expect(quote.total >= 0, "seed \(seed)")
          #expect(quote.total <= cap, "seed \(seed)")
        }
      }
    }
  }

  @Test func `a refusal names the meter`() throws {
    let usage = try Usage(outputTokens: 5)
    let refused = failure { try price(#"{"cost":"0.02"}"#).quote(usage) { _ in } }
    #expect(refused.status == .unpriceable)
    #expect(refused.field == "usage.output_tokens")
  }

  @Test func `a negative maximum is refused`() throws {
    #expect(failure { try price(#"{"cost":"1"}"#).quote(.oneRequest, maxCost: -1) { _ in } }.field == "max_cost")
  }

  private static func units(_ json: JSON?, _ asset: Asset) throws -> Int64? {
    guard let text = json?.string else { return nil }
    return try Amount(text, asset: asset).units
  }

  private static func json(_ line: QuoteLine, _ asset: Asset) -> JSON {
    let isValue = line.meter == .value
    let quantity = Amount.text(line.quantityMicro, scale: isValue ? asset.scale : 6, minorDigits: 0)
    return [
      "meter": .string(line.meter.name), "tier": .int(Int64(line.tier)), "quantity": .string(quantity),
      "rate": .string(Rate(pico: Int128(line.ratePico))?.description ?? ""),
      "amount": .string(Amount(units: line.amount, asset: asset).decimalText),
    ]
  }
}

/// Tiers with the slow and obvious way to apply them.
private struct SlowTiers {
  /// Whole units; nil in the last tier.
  var ends: [Int64?] = []
  /// 1e-12 dollars.
  var rates: [Int64] = []
  /// Atomic units.
  var flats: [Int64] = []
  var free: Int64

  init(_ generator: inout SeededGenerator) {
    var end: Int64 = 0
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      end += Int64.random(in: 1...30, using: &generator)
      ends.append(end)
    }
    ends.append(nil)
    for _ in ends {
      rates.append(generator.magnitude(below: 40))
      flats.append(Bool.random(using: &generator) ? 0 : generator.magnitude(below: 30))
    }
    free = Bool.random(using: &generator) ? 0 : Int64.random(in: 0...40, using: &generator)
  }

  func json(volume: Bool) -> JSON {
    let tiers = ends.indices.map { index -> JSON in
      var tier: JSONObject = [
        "rate": .string(Rate(pico: Int128(rates[index]))?.description ?? ""),
        "flat": .string(Amount(units: flats[index], asset: .usd).decimalText),
      ]
      tier["up_to"] = ends[index].map { .int($0) }
      return .object(tier)
    }
    let component: JSON = [
      "meter": "units", "model": volume ? "volume" : "graduated", "tiers": .array(tiers), "free_units": .int(free),
    ]
    return ["components": [component]]
  }

  func cost(of used: Int64, volume: Bool) -> Int64 {
    let quantity = max(0, used - free)
    guard quantity > 0 else { return 0 }
    var counts = Array(repeating: Int64(0), count: ends.count)
    for unit in 1...quantity { counts[tier(of: unit)] += 1 }
    if volume {
      let last = tier(of: quantity)
      counts = counts.indices.map { $0 == last ? quantity : 0 }
    }
    return counts.indices.reduce(0) { sum, index in
      guard counts[index] > 0 else { return sum }
      let pico = Int128(counts[index]) * Int128(rates[index]) + Int128(flats[index]) * 1_000
      return sum + Int64(Rounding.halfEven.divide(pico, by: 1_000) ?? -1)
    }
  }

  private func tier(of unit: Int64) -> Int {
    ends.firstIndex { end in end.map { unit <= $0 } ?? true } ?? 0
  }
}
