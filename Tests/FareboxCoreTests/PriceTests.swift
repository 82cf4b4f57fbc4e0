import FareboxCore
import Testing

@Suite struct PriceTests {
  @Test(arguments: [
    (#"{"cost":"1","prize":2}"#, "UNKNOWN_FIELD", "price.prize"),
    (
      #"{"components":[{"meter":"units","rate":"1"},{"meter":"units","rate":"x"}]}"#, "INVALID_AMOUNT",
      "price.components[1].rate"
    ),
    (
      #"{"components":[{"meter":"units","model":"volume","tiers":[{"up_to":1,"rate":"1"},{"rate":"-1"}]}]}"#,
      "INVALID_AMOUNT", "price.components[0].tiers[1].rate"
    ),
    (
      #"{"components":[{"meter":"units","model":"volume","tiers":[{"up_to":1,"cost":"1"},{"rate":"1"}]}]}"#,
      "UNKNOWN_FIELD", "price.components[0].tiers[0].cost"
    ),
    (
      #"{"components":[{"model":"percentage","percent":"1","minimum":"2","maximum":"1"}]}"#, "INVALID_ARGUMENT",
      "price.components[0].maximum"
    ),
    (
      #"{"components":[{"model":"percentage","percent":"0.00000000001"}]}"#, "UNREPRESENTABLE",
      "price.components[0].percent"
    ),
    (
      #"{"components":[{"model":"cliff","meter":"units","by":[],"tiers":[{"rate":"1"}]}]}"#, "INVALID_ARGUMENT",
      "price.components[0].by"
    ),
    (#"{"components":[{"meter":"value","rate":"1"}]}"#, "INVALID_ARGUMENT", "price.components[0].meter"),
    (#"{"components":{}}"#, "INVALID_ARGUMENT", "price.components"),
    (#"{"cost":"1","currency":"EURO"}"#, "ASSET_NOT_FOUND", "price.currency"),
    (#"{"cost":"1","per":"hour"}"#, "INVALID_ARGUMENT", "price.per"),
    (#"{"cost":"1","free":["everything"]}"#, "INVALID_ARGUMENT", "price.free"),
    (#"{"cost":"1","on_unpriced":"ignore"}"#, "INVALID_ARGUMENT", "price.on_unpriced"),
    (#"{"cost":true}"#, "INVALID_ARGUMENT", "price.cost"),
    (#"{"cost":null}"#, "MISSING_FIELD", "price.cost"),
    (#"[]"#, "INVALID_ARGUMENT", "price"),
  ])
  func `malformed prices name the member`(text: String, status: String, field: String) throws {
    let json = try JSON.parse(text)
    let failed = failure { try Price.parse(json, asset: { Asset.builtIn($0) }, path: "price") }
    #expect(failed.status.entry?.name == status, "\(text)")
    #expect(failed.field == field, "\(text)")
  }

  @Test func `components and tiers have limits`() throws {
    let component: JSON = ["meter": "units", "rate": "1"]
    let many: JSON = ["components": .array(Array(repeating: component, count: Limits.components + 1))]
    #expect(failure { try Price.parse(many, asset: { Asset.builtIn($0) }) }.status == .tooLong)
    let tiers = (1...Limits.tiers).map { JSON.object(["up_to": .int(Int64($0)), "rate": "1"]) } + [["rate": "1"]]
    let steep: JSON = ["components": [["meter": "units", "model": "volume", "tiers": .array(tiers)]]]
    #expect(failure { try Price.parse(steep, asset: { Asset.builtIn($0) }) }.status == .tooLong)
  }

  @Test func `short and long forms of the same price are equal`() throws {
    let short = try price(#"{"cost":"0.02"}"#)
    #expect(try price(#"{"currency":"USD","components":[{"meter":"request","rate":"0.02"}]}"#) == short)
    #expect(try price(#"{"components":[{"model":"flat","amount":0.0200}]}"#) == short)
    #expect(try Price.perRequest(Rate.parse("0.02"), asset: .usd) == short)
    #expect(try price(#"{"cost":"0.02","currency":"EUR"}"#) != short)
  }

  @Test func `the default currency is the caller's`() throws {
    let json = try JSON.parse(#"{"cost":"1"}"#)
    #expect(try Price.parse(json, asset: { Asset.builtIn($0) }, defaultCurrency: "CREDITS").asset == .credits)
  }

  @Test func `a value that is not charged for can be declared free`() throws {
    let free = try price(#"{"cost":"1","free":["value","images"]}"#)
    #expect(try free.quote(Usage(images: 2, value: 5)) { _ in }.total == 1_000_000_000)
    #expect(try Price.parse(free.json, asset: { Asset.builtIn($0) }) == free)
    let usage = try Usage(value: 5)
    #expect(failure { try price(#"{"cost":"1"}"#).quote(usage) { _ in } }.field == "usage.value")
  }

  @Test func `meters have the numbers of the header`() {
    #expect(Meter.allCases.map(\.rawValue) == Array(0...10))
    #expect(Meter.allCases.allSatisfy { Meter(name: $0.name) == $0 })
    #expect(Meter(name: "output_token") == .outputTokens)
    #expect(MeterSet.all.meters == Meter.allCases)
    #expect(MeterSet.tokens.meters.map(\.name).allSatisfy { $0.hasSuffix("tokens") })
    #expect(MeterSet.tokens.meters.count == 7)
  }

  @Test func `usage comes back from its JSON`() throws {
    let usage = try Usage(
      requests: 2, units: 4, unitsMicro: 500_000, inputTokens: 1200, outputTokens: 5, cacheReadTokens: 1,
      cacheWriteTokens: 2, reasoningTokens: 3, inputAudioTokens: 4, outputAudioTokens: 5, images: 6,
      value: 12_340_000_000)
    let json = usage.json(scale: 9)
    #expect(json.object?["units"] == "4.5")
    #expect(json.object?["value"] == "12.34")
    #expect(try Usage.parse(json, scale: 9) == usage)
    #expect(try Usage.parse([:], scale: 9) == .oneRequest)
    #expect(try Usage() == .oneRequest)
    #expect(try Usage(requests: 0) == .oneRequest)
  }

  @Test func `usage out of bounds is refused`() throws {
    #expect(failure { try Usage(units: -1) }.field == "usage.units")
    #expect(failure { try Usage(inputTokens: .max) }.status == .overflow)
    #expect(failure { try Usage(units: .max / 1_000_000, unitsMicro: .max) }.status == .overflow)
    #expect(failure { try Usage(value: -1) }.field == "usage.value")
    #expect(try Usage(value: .max)[.value] == .max)
    var usage = try Usage(inputTokens: 5)
    #expect(failure { try usage.add(.inputTokens, micro: -6_000_000) }.status == .invalidArgument)
    try usage.add(.inputTokens, micro: -5_000_000)
    #expect(usage == .oneRequest)
  }
}
