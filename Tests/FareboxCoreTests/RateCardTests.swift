import FareboxCore
import Testing

@Suite struct RateCardTests {
  private static let text = #"""
    {"name":"tools","currency":"EUR","source":"a test","entries":[
      {"name":"search","aliases":["web"],"versions":[
        {"from":"2026-01-01","to":"2026-03-01","price":{"cost":"1"}},
        {"from":"2026-02-01","price":{"cost":"2"}}]},
      {"name":"search","customer":"org:acme","price":{"cost":"0.5","currency":"USD"}},
      {"name":"gpt","provider":"openai","match":{"or":[{"starts_with":"GPT-4"},{"regex":"^o[13]-\\d{2}$"}]},
        "price":{"cost":"3"}},
      {"name":"odd","provider":"openai","match":{"regex":"(a|b)+"},"price":{"cost":"4"}},
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
}
