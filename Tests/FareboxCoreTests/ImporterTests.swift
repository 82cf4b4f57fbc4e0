import FareboxCore
import Testing

@Suite struct ImporterTests {
  @Test func `imported models cost what genai-prices itself says`() throws {
    let file = try #require(Vectors.load("genai_prices.json").object)
    let (card, _) = try RateCardImporter.genaiPrices(file["providers"] ?? .null)
    let cases = try Vectors.cases("genai_prices.json")
    #expect(card.entries.count >= 35)
    #expect(cases.count > 200)
    for each in cases {
      let model = try each.text("model")
      let price = card.price(for: model, at: each["at"]?.int64 ?? 0)
      guard let expect = each["expect"]?.object else {
        #expect(price == nil, "\(model) depends on the time of day")
        continue
      }
      let usage = try Usage.parse(each["usage"] ?? .null, scale: 9)
      var lines = 0
      let total = try #require(price, "\(model)").quote(usage) { _ in lines += 1 }.total
      #expect(try total == Amount(expect.text("total"), asset: .usd).units, "\(model) \(usage.json(scale: 9))")
      let exact = try ExactDecimal.parse(expect.text("exact"))
      let unit = try #require(exact.rounded(scale: 9, .floor))
      #expect((Int128(total) - unit).magnitude <= UInt128(lines), "\(model)")
    }
  }

  @Test func `gemini's cliff is where it was measured`() throws {
    let file = try #require(Vectors.load("genai_prices.json").object)
    let (card, _) = try RateCardImporter.genaiPrices(file["providers"] ?? .null)
    let price = try #require(card.price(for: "gemini-2.5-pro", at: 1_780_000_000_000_000))
    let measured: [(Int64, Int64)] = [(200_000, 250_000_000), (200_001, 500_002_500), (300_000, 750_000_000)]
    for (tokens, units) in measured {
      #expect(try price.quote(Usage(inputTokens: tokens)) { _ in }.total == units)
    }
  }

  @Test func `dated prices keep their dates`() throws {
    let file = try #require(Vectors.load("genai_prices.json").object)
    let (card, _) = try RateCardImporter.genaiPrices(file["providers"] ?? .null)
    let million = try Usage(inputTokens: 1_000_000)
    let early = try #require(card.price(for: "openai/o3", at: 1_704_067_200_000_000))
    let late = try #require(card.price(for: "openai/o3", at: 1_780_272_000_000_000))
    #expect(try early.quote(million) { _ in }.total == 10_000_000_000)
    #expect(try late.quote(million) { _ in }.total == 2_000_000_000)
  }

  @Test func `whatever genai-prices says beyond our meters is listed`() throws {
    let file = try #require(Vectors.load("genai_prices.json").object)
    let (card, issues) = try RateCardImporter.genaiPrices(file["providers"] ?? .null)
    let listed = Set(issues.map { "\($0.model) \($0.field) \($0.what.rawValue)" })
    for expected in [
      "anthropic/claude-opus-5 prices.cache_write_1h_mtok unrepresentable",
      "anthropic/claude-opus-5 prices.web_searches_kcount unrepresentable",
      "anthropic/claude-opus-5 price_variants unrepresentable",
      "deepseek/deepseek-chat prices[1].constraint skipped",
    ] {
      #expect(listed.contains(expected), "\(expected) is not among \(listed.sorted())")
    }
    #expect(card.entry(for: "deepseek/deepseek-chat", customer: nil)?.versions.isEmpty == true)
    let carried: Set = [
      "input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "output_reasoning_mtok", "input_audio_mtok",
      "output_audio_mtok", "requests_kcount",
    ]
    for provider in file["providers"]?.array ?? [] {
      let id = provider.object?["id"]?.string ?? ""
      for model in provider.object?["models"]?.array ?? [] {
        let name = "\(id)/\(model.object?["id"]?.string ?? "")"
        for field in (model.object?["prices"]?.object?.keys ?? []) where !carried.contains(field) {
          #expect(listed.contains("\(name) prices.\(field) unrepresentable"), "\(name) lost \(field)")
        }
      }
    }
  }

  @Test func `an excerpt of litellm's table gives this card and this report`() throws {
    let file = try #require(Vectors.load("litellm.json").object)
    let (card, issues) = try RateCardImporter.litellm(file["models"] ?? .null)
    #expect(JSON.array(issues.map(\.json)) == file["report"])
    for each in try Vectors.cases("litellm.json") {
      let model = try each.text("model")
      guard let expected = each["expect"]?.string else {
        #expect(card.price(for: model, at: 0) == nil, "\(model)")
        continue
      }
      let usage = try Usage.parse(each["usage"] ?? .null, scale: 9)
      let total = try #require(card.price(for: model, at: 0), "\(model)").quote(usage) { _ in }.total
      #expect(Amount(units: total, asset: .usd).decimalText == expected, "\(model) \(usage.json(scale: 9))")
    }
  }

  @Test func `rates are rounded half to even at 1e-12, and said to be`() throws {
    let table: JSON = [
      "noise": ["input_cost_per_token": .number("5.0000000000000004E-8")],
      "even": ["input_cost_per_token": .number("0.0000000000025")],
      "odd": ["input_cost_per_token": .number("0.0000000000035")],
      "none": ["input_cost_per_token": .number("4e-13")],
      "exact": ["input_cost_per_token": .number("1.3e-10")],
    ]
    let (card, issues) = try RateCardImporter.litellm(table)
    let rates = [
      "noise": "0.00000005", "even": "0.000000000002", "odd": "0.000000000004", "none": "0", "exact": "0.00000000013",
    ]
    for (model, rate) in rates {
      #expect(card.price(for: model, at: 0)?.components.first?.rate.description == rate, "\(model)")
    }
    #expect(issues.map(\.model).sorted() == ["even", "noise", "none", "odd"])
    #expect(issues.allSatisfy { $0.what == .changed })
  }

  @Test(arguments: ["-1e-6", "NaN", "1e-40", "true"])
  func `a rate that is no rate leaves the model out`(rate: String) throws {
    let table: JSON = ["m": ["input_cost_per_token": .string(rate), "output_cost_per_token": "0.1"]]
    let (card, issues) = try RateCardImporter.litellm(table)
    #expect(card.price(for: "m", at: 0) == nil)
    #expect(issues.contains { $0.field == "input_cost_per_token" && $0.what == .skipped })
  }

  @Test(arguments: [
    ("cache_creation_input_token_cost_above_200k_tokens", "2.5e-07", Meter.cacheWriteTokens),
    ("cache_read_input_token_cost", "-1", .cacheReadTokens), ("cache_read_input_token_cost", "free", .cacheReadTokens),
    ("input_cost_per_audio_token_above_128k_tokens", "1e-06", .inputAudioTokens),
    ("output_cost_per_reasoning_token", "1e-40", .reasoningTokens),
    ("output_cost_per_image", "none", .images), ("input_cost_per_request", "-0.1", .requests),
  ])
  func `a model with one incomplete class is priced without that class`(
    field: String, value: String, meter: Meter
  ) throws {
    let table: JSON = [
      "m": .object(
        JSONObject([
          ("input_cost_per_token", .number("1.25e-06")), ("output_cost_per_token", .number("1e-05")),
          ("input_cost_per_token_above_200k_tokens", .number("2.5e-06")), (field, .string(value)),
        ]))
    ]
    let (card, issues) = try RateCardImporter.litellm(table)
    let price = try #require(card.price(for: "m", at: 0))
    #expect(try price.quote(Usage(inputTokens: 1000, outputTokens: 100)) { _ in }.total == 2_250_000)
    #expect(issues.map(\.field) == [field])
    #expect(issues.map(\.what) == [.unrepresentable])
    guard meter != .requests else { return }
    var usage = Usage.oneRequest
    try usage.set(meter, count: 7)
    #expect(failure { try price.quote(usage) { _ in } }.status == .unpriceable)
  }

  @Test func `a row that is an alias has the rates of the other`() throws {
    let table: JSON = [
      "claude-latest": ["alias_of": "claude-9"],
      "claude-9": [
        "input_cost_per_token": .number("1e-06"), "litellm_provider": "anthropic",
        "aliases": ["claude-nine", "claude-8"],
      ], "claude-8": ["input_cost_per_token": .number("2e-06")], "lost": ["alias_of": "nobody"],
      "round": ["alias_of": "claude-latest"], "fallback_generalizations": ["rules": []],
    ]
    let (card, issues) = try RateCardImporter.litellm(table)
    for (name, units) in [("claude-latest", 1_000), ("claude-nine", 1_000), ("claude-9", 1_000), ("claude-8", 2_000)] {
      let price = try #require(card.price(for: name, at: 0), "\(name)")
      #expect(try price.quote(Usage(inputTokens: 1)) { _ in }.total == units, "\(name)")
    }
    #expect(card.entry(for: "claude-latest", customer: nil)?.vendor == "anthropic")
    #expect(issues.map(\.model) == ["lost", "round", "fallback_generalizations"])
    #expect(issues.allSatisfy { $0.what == .skipped })
  }

  @Test func `tiers of litellm's tables are cliffs by total input`() throws {
    let tiers: JSON = [
      [
        "range": [0, .number("32000.0")], "input_cost_per_token": .number("1e-06"),
        "output_cost_per_token": .number("4e-06"), "cache_read_input_token_cost": .number("1e-07"),
      ],
      [
        "range": [.number("32000.0"), .number("1e6")], "input_cost_per_token": .number("2e-06"),
        "output_cost_per_token": .number("8e-06"), "output_cost_per_reasoning_token": .number("9e-06"),
      ],
    ]
    let table: JSON = [
      "m": ["tiered_pricing": tiers], "gap": ["tiered_pricing": [tiers.array?.last ?? .null]],
      "query": [
        "tiered_pricing": [["max_results_range": [0, 5], "input_cost_per_query": 1]], "input_cost_per_token": 1,
      ],
    ]
    let (card, issues) = try RateCardImporter.litellm(table)
    let price = try #require(card.price(for: "m", at: 0))
    let cases: [(Usage, Int64)] = [
      (try Usage(inputTokens: 32_000, outputTokens: 10), 32_040_000),
      (try Usage(inputTokens: 2_000, outputTokens: 10, cacheReadTokens: 30_000), 5_040_000),
      (try Usage(inputTokens: 2_001, outputTokens: 10, cacheReadTokens: 30_000), 64_082_000),
      (try Usage(inputTokens: 40_000, outputTokens: 10, reasoningTokens: 1), 80_089_000),
      (try Usage(inputTokens: 10, outputTokens: 10, reasoningTokens: 1), 54_000),
      (try Usage(inputTokens: 2_000_000), 4_000_000_000),
    ]
    for (usage, units) in cases { #expect(try price.quote(usage) { _ in }.total == units, "\(usage.json(scale: 9))") }
    #expect(
      issues.map { "\($0.model) \($0.field) \($0.what.rawValue)" } == [
        "gap tiered_pricing skipped", "query tiered_pricing skipped",
      ])
  }

  @Test func `rules of litellm's own code are rules of its card`() throws {
    let rates: [(String, JSON)] = [
      ("input_cost_per_token", .number("1e-06")), ("input_cost_per_token_above_200k_tokens", .number("2e-06")),
    ]
    let row = { (vendor: String) in JSON.object(JSONObject(rates + [("litellm_provider", .string(vendor))])) }
    let (card, issues) = try RateCardImporter.litellm(["x": row("xai"), "f": row("fireworks_ai"), "o": row("openai")])
    #expect(issues.isEmpty)
    let cost = { (model: String, usage: Usage) in
      try #require(card.price(for: model, at: 0)).quote(usage) { _ in }.total
    }
    // The upper tier begins at its number of tokens, or above it.
    #expect(try cost("x", Usage(inputTokens: 200_000)) == 400_000_000)
    #expect(try cost("x", Usage(inputTokens: 199_999)) == 199_999_000)
    #expect(try cost("o", Usage(inputTokens: 200_000)) == 200_000_000)
    // Without a rate of their own, cache reads cost what input costs, or half of it.
    #expect(try cost("o", Usage(inputTokens: 1, cacheReadTokens: 10)) == 11_000)
    #expect(try cost("f", Usage(inputTokens: 1, cacheReadTokens: 10)) == 6_000)
  }

  @Test func `of several dated prices the last that is active wins, and the first is the fallback`() throws {
    let providers = try JSON.parse(
      #"""
      [{"id":"p","name":"P","api_pattern":"x","models":[{"id":"m","match":{"equals":"m"},"prices":[
        {"constraint":{"start_date":"2026-01-03"},"prices":{"input_mtok":1000}},
        {"constraint":{"start_date":"2026-01-09"},"prices":{"input_mtok":9000}},
        {"constraint":{"start_date":"2026-01-05"},"prices":{"input_mtok":5000}},
        {"constraint":{"start_date":"2026-01-07"},"prices":{"input_mtok":7000}},
        {"constraint":{"start_date":"2026-01-07"},"prices":{"input_mtok":7500}}]}]}]
      """#)
    let (card, issues) = try RateCardImporter.genaiPrices(providers)
    let day = { (day: Int64) in (20_454 + day - 1) * 86_400_000_000 }
    let expected: [(Int64, String)] = [
      (0, "0.001"), (day(3), "0.001"), (day(5) - 1, "0.001"), (day(5), "0.005"), (day(7) - 1, "0.005"),
      (day(7), "0.0075"), (day(9), "0.0075"), (day(400), "0.0075"),
    ]
    for (time, rate) in expected {
      let price = try #require(card.price(for: "p/m", at: time))
      #expect(price.components.first?.rate.description == rate, "\(time)")
    }
    #expect(card.entries.first?.versions.count == 3)
    #expect(issues.isEmpty)
  }

  @Test(arguments: [
    (#"{"input_mtok":{"base":1,"tiers":[{"start":9,"price":2},{"start":9,"price":3}]}}"#, "prices.input_mtok.tiers[1]"),
    (#"{"input_mtok":{"base":1}}"#, "prices.input_mtok"), (#"{"input_mtok":-1}"#, "prices.input_mtok"),
    (#"{"input_mtok":{"base":1,"tiers":[{"start":9.5,"price":2}]}}"#, "prices.input_mtok.tiers[0]"),
    (#"{}"#, "prices"), (#"{"web_searches_kcount":3}"#, "prices"), (#"[]"#, "prices"),
    (#"[{"constraint":{"start_date":"soon"},"prices":{"input_mtok":1}}]"#, "prices[0].constraint"),
    (#"[{"constraint":null}]"#, "prices[0]"),
  ])
  func `a model whose price cannot be read stays on the card without one`(prices: String, field: String) throws {
    let providers = try JSON.parse(
      #"[{"id":"p","models":[{"id":"m","match":{"starts_with":"m"},"prices":\#(prices)},"#
        + #"{"id":"n","match":{"contains":"m"},"prices":{"input_mtok":1}}]}]"#)
    let (card, issues) = try RateCardImporter.genaiPrices(providers)
    #expect(issues.contains { $0.model == "p/m" && $0.field == field && $0.what == .skipped }, "\(issues)")
    #expect(card.price(for: "p/m-2", at: 0) == nil)
    #expect(card.price(for: "p/xm", at: 0) != nil)
  }

  @Test func `names that a card cannot have are left out`() throws {
    let long = String(repeating: "x", count: 256)
    let row: JSON = ["input_cost_per_token": 1, "aliases": ["a#1", "b", .string(long)]]
    let (card, issues) = try RateCardImporter.litellm(.object(JSONObject([("m", row), ("m#2", row), (long, row)])))
    #expect(card.entries.map(\.name) == ["m"])
    #expect(card.entries.first?.aliases == ["b"])
    #expect(issues.map(\.model) == ["m#2", long] && issues.allSatisfy { $0.what == .skipped })
    let providers = try JSON.parse(
      #"""
      [{"id":"p","model_match":{"contains":"m"},"models":[{"id":"m#1","match":{"equals":"m"},"prices":{"input_mtok":1}},
        {"id":"n","match":{"or":[{"equals":"m"},{"equals":"m#"}]},"prices":{"input_mtok":1}}]}]
      """#)
    let (other, told) = try RateCardImporter.genaiPrices(providers)
    #expect(other.entries.map(\.name) == ["n"] && other.entries.first?.aliases == ["m"])
    #expect(told.map(\.model) == ["p/m#1"])
  }

  @Test func `inputs of another form are refused as a whole`() {
    #expect(failure { try RateCardImporter.genaiPrices([:]) }.status == .invalidArgument)
    #expect(failure { try RateCardImporter.genaiPrices([["name": "x"]]) }.status == .missingField)
    #expect(failure { try RateCardImporter.litellm([]) }.status == .invalidArgument)
    #expect(failure { try RateCardImporter.litellm(["m": 1]) }.field == "m")
  }
}
