import Testing

@testable import FareboxCore

@Suite struct RateCardTests {
  private static let text = #"""
    {"name":"tools","currency":"EUR","source":"a test","entries":[
      {"name":"search","aliases":["web"],"versions":[
        {"from":"2026-01-01","to":"2026-03-01","price":{"cost":"1"}},
        {"from":"2026-02-01","price":{"cost":"2"}}]},
      {"name":"search","customer":"org:acme","price":{"cost":"0.5","currency":"USD"}},
      {"name":"gpt","provider":"openai","match":{"or":[{"starts_with":"GPT-4"},{"regex":"^o[13]-\\d{2}$"}]},
        "price":{"cost":"3"}},
      {"name":"odd","provider":"openai","match":{"regex":"(?<name>a)"},"price":{"cost":"4"}},
      {"name":"rest","provider":"openai","match":{"contains":"x"},"price":{"cost":"5"}},
      {"name":"old","versions":[]},
      {"name":"trial","versions":[{"from":"2026-01-01","to":"2026-01-02","price":{"cost":"9"}}]},
      {"name":"any","match":{"and":[{"ends_with":".run"},{"contains":"py"}]},"price":{"cost":"6"}}]}
    """#

  private static func card() throws -> RateCard {
    try RateCard.parse(JSON.parse(text), asset: { Asset.builtIn($0) })
  }

  /// Midnight in UTC of a day of 2026, in microseconds.
  private static func day(_ day: Int64) -> Int64 {
    (20_454 + day - 1) * 86_400_000_000
  }

  private static func cost(_ name: String, _ time: Int64, _ customer: String? = nil) throws -> String? {
    guard let price = try card().price(for: name, at: time, customer: customer) else { return nil }
    let total = try price.quote(.oneRequest) { _ in }.total
    return Amount(units: total, asset: price.asset).description
  }

  @Test func `versions apply from their first to before their last microsecond`() throws {
    #expect(try RateCardTests.cost("search", RateCardTests.day(1) - 1) == nil)
    #expect(try RateCardTests.cost("search", RateCardTests.day(1)) == "1.00 EUR")
    #expect(try RateCardTests.cost("search", RateCardTests.day(32) - 1) == "1.00 EUR")
    #expect(try RateCardTests.cost("search", RateCardTests.day(32)) == "2.00 EUR")
    #expect(try RateCardTests.cost("web", RateCardTests.day(300)) == "2.00 EUR")
    #expect(try RateCardTests.cost("old", 0) == nil)
    #expect(try RateCardTests.cost("trial", RateCardTests.day(2) - 1) == "9.00 EUR")
    #expect(try RateCardTests.cost("trial", RateCardTests.day(2)) == nil)
  }

  @Test func `a customer's own price wins, and everybody's is the fallback`() throws {
    #expect(try RateCardTests.cost("search", RateCardTests.day(1), "org:acme") == "0.50 USD")
    #expect(try RateCardTests.cost("search", RateCardTests.day(1), "org:other") == "1.00 EUR")
    #expect(try RateCardTests.cost("openai/gpt", 0, "org:acme") == "3.00 EUR")
  }

  @Test(
    arguments: [
      ("openai/gpt", "3.00 EUR"), ("openai/gpt-4o", "3.00 EUR"), ("openai/O1-99", "3.00 EUR"), ("gpt-4o", nil),
      ("openai/odd", "4.00 EUR"), ("openai/max", nil), ("openai/o1-999", nil), ("x", nil), ("main.py.run", "6.00 EUR"),
      ("main.sh.run", nil), ("unknown/gpt-4", nil),
    ] as [(String, String?)])
  func `names are found exactly, then by rules, and never by a rule that cannot be told`(
    name: String, expected: String?
  ) throws {
    #expect(try RateCardTests.cost(name, 0) == expected)
  }

  @Test func `a rate card comes back from its JSON`() throws {
    let card = try RateCardTests.card()
    #expect(try RateCard.parse(JSON.parse(card.json.serialized()), asset: { Asset.builtIn($0) }) == card)
  }

  @Test(arguments: [
    (#"{"name":"a","entries":[{"name":"x"}]}"#, "MISSING_FIELD", "entries[0].price"),
    (#"{"name":"a","entries":[{"name":"x","price":{"cost":"1","tax":1}}]}"#, "UNKNOWN_FIELD", "entries[0].price.tax"),
    (
      #"{"name":"a","entries":[{"name":"x","versions":[{"from":5,"to":5,"price":{"cost":"1"}}]}]}"#, "INVALID_ARGUMENT",
      "entries[0].versions[0].to"
    ),
    (
      #"{"name":"a","entries":[{"name":"x","versions":[{"from":"2026-02-30","price":{"cost":"1"}}]}]}"#,
      "INVALID_ARGUMENT", "entries[0].versions[0].from"
    ),
    (
      #"{"name":"a","entries":[{"name":"x","match":{"like":"y"},"price":{"cost":"1"}}]}"#, "UNKNOWN_FIELD",
      "entries[0].match.like"
    ),
    (
      #"{"name":"a","entries":[{"name":"x","match":{"or":[{"equals":""}]},"price":{"cost":"1"}}]}"#, "INVALID_ARGUMENT",
      "entries[0].match.or[0].equals"
    ),
    (#"{"entries":[]}"#, "MISSING_FIELD", "name"), (#"{"name":"a"}"#, "MISSING_FIELD", "entries"),
  ])
  func `malformed rate cards name the member`(text: String, status: String, field: String) throws {
    let json = try JSON.parse(text)
    let failed = failure { try RateCard.parse(json, asset: { Asset.builtIn($0) }) }
    #expect(failed.status.entry?.name == status)
    #expect(failed.field == field)
  }

  @Test func `rules nest only so far`() throws {
    var rule: JSON = ["equals": "a"]
    for _ in 0..<20 { rule = ["or": [rule]] }
    let card: JSON = ["name": "a", "entries": [["name": "x", "match": rule, "price": ["cost": "1"]]]]
    #expect(failure { try RateCard.parse(card, asset: { Asset.builtIn($0) }) }.status == .tooLong)
  }

  // MARK: Names

  private static let priced = [RateCard.Version(price: .perRequest(.zero, asset: .usd))]

  private static func found(_ card: RateCard, _ name: String) -> String {
    switch card.resolve(name) {
    case .found(let entry): entry.fullName
    case .ambiguous(let names): "ambiguous: \(names.joined(separator: " "))"
    case .missing(let names): "missing: \(names.joined(separator: " "))"
    }
  }

  private static let genai = #"""
    [{"id":"anthropic","model_match":{"contains":"claude"},"provider_match":{"contains":"anthropic"},"models":[
       {"id":"claude-sonnet-4-0","match":{"or":[{"starts_with":"claude-sonnet-4-2025"},{"equals":"claude-sonnet-4-0"}]},
        "prices":{"input_mtok":3}},
       {"id":"claude-opus-5","match":{"regex":"^claude-opus-5(-\\d{4}-\\d{2}-\\d{2})?$"},"prices":{"input_mtok":15}}]},
     {"id":"aws","provider_match":{"or":[{"contains":"bedrock"},{"contains":"amazon"}]},"models":[
       {"id":"claude-sonnet","match":{"ends_with":"anthropic.claude-sonnet-4"},"prices":{"input_mtok":3.3}}]},
     {"id":"azure","fallback_model_providers":["openai"],"models":[]},
     {"id":"google","model_match":{"contains":"gemini"},"provider_match":{"contains":"vertex"},
      "fallback_model_providers":["anthropic"],"models":[
       {"id":"gemini-2.5-pro","match":{"and":[{"starts_with":"gemini-2.5-pro"},{"regex":"^(?!.*-[tT][tT][sS](?:$|-))"}]},
        "prices":{"input_mtok":1.25}}]},
     {"id":"groq","models":[{"id":"llama-3.3-70b","match":{"contains":"llama-3.3-70b"},"prices":{"input_mtok":0.6}}]},
     {"id":"openai","model_match":{"or":[{"starts_with":"gpt-"},{"regex":"^o[134]"}]},"models":[
       {"id":"gpt-4o","match":{"or":[{"equals":"gpt-4o"},{"equals":"gpt-4o-2024-08-06"}]},"prices":{"input_mtok":2.5}},
       {"id":"o3","match":{"starts_with":"o3"},"prices":{"input_mtok":2}}]},
     {"id":"openrouter","models":[
       {"id":"meta/llama-3.3-70b","match":{"equals":"meta/llama-3.3-70b"},"prices":{"input_mtok":0.1}},
       {"id":"meta/llama-3.3-70b:free","match":{"equals":"meta/llama-3.3-70b:free"},"prices":{"input_mtok":0}}]}]
    """#

  @Test(
    arguments: [
      ("gpt-4o", "openai/gpt-4o"), ("GPT-4o", "openai/gpt-4o"), ("gpt-4o-2024-08-06", "openai/gpt-4o"),
      ("gpt-4o-20240806", "openai/gpt-4o"), ("azure/gpt-4o", "openai/gpt-4o"), ("openai/gpt-4o", "openai/gpt-4o"),
      ("litellm/azure/gpt-4o", "openai/gpt-4o"), ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-0"),
      ("claude-opus-5-20261001", "anthropic/claude-opus-5"), ("claude-opus-5-2026-10-01", "anthropic/claude-opus-5"),
      ("bedrock/us.anthropic.claude-sonnet-4", "aws/claude-sonnet"),
      ("vertex_ai/claude-opus-5", "anthropic/claude-opus-5"), ("vertex_ai/gemini-2.5-pro-x", "google/gemini-2.5-pro"),
      ("openrouter/meta/llama-3.3-70b:free", "openrouter/meta/llama-3.3-70b:free"), ("o3-mini", "openai/o3"),
      ("claude-opus-5-20261301", "missing: anthropic/claude-opus-5"),
      ("models/gemini-2.5-pro", "missing: google/gemini-2.5-pro"),
      ("gemini-2.5-pro-tts", "missing: google/gemini-2.5-pro"),
      ("azure/claude-opus-5", "missing: anthropic/claude-opus-5 aws/claude-sonnet anthropic/claude-sonnet-4-0"),
      ("ft:gpt-4o:org::id", "missing: openai/gpt-4o"), ("o9", "missing: "),
      ("meta/llama-3.3-70b", "ambiguous: groq/llama-3.3-70b openrouter/meta/llama-3.3-70b"),
    ])
  func `names find on genai-prices' card what genai-prices finds`(name: String, expected: String) throws {
    let (card, issues) = try RateCardImporter.genaiPrices(JSON.parse(RateCardTests.genai))
    #expect(issues.isEmpty)
    #expect(RateCardTests.found(card, name) == expected)
    let again = try RateCard.parse(JSON.parse(card.json.serialized()), asset: { Asset.builtIn($0) })
    #expect(again == card)
    #expect(RateCardTests.found(again, name) == expected)
  }

  private static let litellm: [(String, String)] = [
    ("gpt-4o", "openai"), ("gpt-4o-2024-08-06", "openai"), ("azure/gpt-4o", "azure"), ("ft:gpt-4o", "openai"),
    ("anthropic.claude-sonnet-4-v1:0", "bedrock_converse"), ("us.anthropic.claude-opus-5", "bedrock_converse"),
    ("bedrock/us-east-1/anthropic.claude-2", "bedrock"), ("claude-sonnet-4-20250514", "anthropic"),
    ("vertex_ai/claude-opus-5", "vertex_ai-anthropic_models"), ("gemini/gemini-2.5-pro", "gemini"),
    ("gemini-2.5-pro", "vertex_ai-language-models"), ("groq/llama-3.3-70b", "groq"),
    ("fireworks_ai/accounts/fireworks/models/qwen3", "fireworks_ai"), ("novita/llama-3.3-70b", "novita"),
    ("openrouter/google/gemma-3:free", "openrouter"), ("command-r", "cohere_chat"),
  ]

  @Test(
    arguments: [
      ("gpt-4o", "gpt-4o"), ("GPT-4O", "gpt-4o"), ("openai/gpt-4o", "gpt-4o"), ("gpt-4o-2025-01-01", "gpt-4o"),
      ("azure/gpt-4o-2025-01-01", "azure/gpt-4o"), ("openai/gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
      ("ft:gpt-4o:org::id", "ft:gpt-4o"), ("ft:gpt-4o:org:name:id", "ft:gpt-4o"),
      ("bedrock/us.anthropic.claude-sonnet-4-v1:0", "anthropic.claude-sonnet-4-v1:0"),
      ("us.anthropic.claude-sonnet-4-v1:0", "anthropic.claude-sonnet-4-v1:0"),
      ("bedrock/converse/anthropic.claude-sonnet-4-v1:0:51k", "anthropic.claude-sonnet-4-v1:0"),
      ("bedrock/us.anthropic.claude-opus-5", "us.anthropic.claude-opus-5"),
      ("bedrock/arn:aws:bedrock:us-east-1::foundation-model/us.anthropic.claude-opus-5", "us.anthropic.claude-opus-5"),
      ("bedrock/us-west-2/anthropic.claude-sonnet-4-v1:0", "anthropic.claude-sonnet-4-v1:0"),
      ("vertex_ai/gemini-2.5-pro", "gemini-2.5-pro"), ("gemini/gemini-2.5-pro-001", "gemini/gemini-2.5-pro"),
      ("fireworks_ai/qwen3", "fireworks_ai/accounts/fireworks/models/qwen3"), ("cohere/command-r", "command-r"),
      ("openrouter/google/gemma-3:free", "openrouter/google/gemma-3:free"),
      ("llama-3.3-70b", "ambiguous: groq/llama-3.3-70b novita/llama-3.3-70b"),
      ("models/gemini-2.5-pro", "missing: gemini/gemini-2.5-pro gemini-2.5-pro"),
      ("groq/gpt-4o", "missing: gpt-4o azure/gpt-4o ft:gpt-4o gpt-4o-2024-08-06"),
      ("openrouter/gpt-4o", "missing: gpt-4o azure/gpt-4o ft:gpt-4o gpt-4o-2024-08-06"),
      ("claude-sonnet-4-20260101", "missing: claude-sonnet-4-20250514"), ("zebra", "missing: "), ("", "missing: "),
    ])
  func `names find on litellm's card what litellm finds`(name: String, expected: String) throws {
    let entries = RateCardTests.litellm.map {
      RateCard.Entry(name: $0.0, vendor: $0.1, versions: RateCardTests.priced)
    }
    let card = RateCard(name: "litellm", currency: "USD", source: "", entries: entries, naming: .litellm)
    #expect(RateCardTests.found(card, name) == expected)
    let again = try RateCard.parse(JSON.parse(card.json.serialized()), asset: { Asset.builtIn($0) })
    #expect(again == card)
    #expect(RateCardTests.found(again, name) == expected)
  }

  @Test func `a model without a price keeps its name from other models`() throws {
    let (card, _) = try RateCardImporter.litellm([
      "m": ["input_cost_per_token": 1], "m-2025-01-01": ["off_peak_pricing": ["hours_utc": "00:00-08:00"]],
    ])
    #expect(card.price(for: "m-2025-01-02", at: 0) != nil)
    #expect(card.price(for: "m-2025-01-01", at: 0) == nil)
  }

  @Test(arguments: [
    ("^a[-@]b$", "a@b", true), ("^a[-@]b$", "a.b", false), ("b", "abc", true), ("^b", "abc", false),
    ("b$", "ab", true), ("b$", "aba", false), ("^(?:ab|c)+$", "abcab", true), ("^(?:ab|c)+$", "abca", false),
    ("^a{2,3}$", "aaaa", false), ("^a{2,3}$", "aaa", true), ("^a{2}$", "a", false), ("^a{2,}$", "aaaaa", true),
    ("^[^/]+/x$", "a/x", true), ("^[^/]+/x$", "a/b/x", false), ("^(?!.*-tts).*$", "a-tts-b", false),
    ("^(?!.*-tts).*$", "a-ttt", true), ("^(?=.*\\d)\\w+$", "abc", false), ("^(?=.*\\d)\\w+$", "ab1", true),
    ("^[a-f0-9]+$", "c0ffee", true), ("^[a-f0-9]+$", "cog", false), ("^(a*)*$", "aaab", false),
    ("^(a?){3}$", "a", true),
    ("^a\\.b$", "axb", false), ("^\\[x\\]$", "[x]", true), ("^(typesafe/)?jev(-\\d{8})?$", "jev-20260101", true),
    ("^(typesafe/)?jev(-\\d{8})?$", "typesafe/jev", true), ("", "x", true), ("^$", "", true), ("a|^b$", "xa", true),
  ])
  func `patterns are searched in names`(pattern: String, name: String, expected: Bool) {
    #expect(NameTest(.pattern(pattern)).matches(Array(name.utf8)) == expected)
  }

  @Test(arguments: [
    "(", "a)", "[a", "a**", "a{2", "a{x}", "a{3,2}", "a{999}", "(?<n>a)", "(?i)a", "a*?", "\\bx", "(a)\\1", "[b-a]",
    "*a",
    "[\\d-x]\\", "a{2}{3}", "((((((((((((((((((a))))))))))))))))))",
  ])
  func `a pattern that goes further is not understood`(pattern: String) {
    #expect(NameTest(.pattern(pattern)).matches(Array("a".utf8)) == nil)
  }

  @Test func `a match that takes too long is unknown`() {
    let name = [UInt8](repeating: UInt8(ascii: "a"), count: 200)
    #expect(NameTest(.pattern("^(a|a)*(a|a)*(a|a)*b$")).matches(name) == nil)
  }
}
