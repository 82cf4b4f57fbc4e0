internal import FareboxCore

/// Quotes and rate cards through the JSON door.
enum PriceOperations {
  static let all: [Operation] = [quote, evaluate, setForCustomer, importCard, publish, list, get]

  private static let quoteRow = [
    OperationField("total", .amount, "What it costs."), OperationField("asset", .text, "Of what."),
    OperationField("capped", .flag, "Whether a maximum bound the total."),
    OperationField("lines", .list, "Each with meter, tier, quantity, rate and amount."),
    OperationField("price_version", .integer, "The price that applied."),
  ]

  static let quote = Operation(
    "price.quote", "Quotes a tool for a usage, line by line, without touching the ledger.",
    input: [
      OperationField("tool", .text, "The tool, or card/model of a rate card.", required: true),
      OperationField("usage", .object, "What would be used, by meter; one request where absent."),
      OperationField("customer", .text, "The account whose own price applies."),
      OperationField("amount", .amount, "What the callback of a dynamic price gave."),
      OperationField("max_cost", .amount, "The total is capped here."),
      OperationField("at", .integer, "The time whose prices apply; now where absent."),
    ],
    output: [
      OperationField("tool", .text, "The tool."), OperationField("skill", .text, "Its skill, or null for a rate."),
    ] + quoteRow, errors: SkillOperations.naming + [.toolDisabled, .unpriceable, .overflow]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    let tool = arena.add(input.text("tool"))
    let customer = arena.add(input.text("customer"))
    let time = input.integer("at")
    // First the asset, because the amounts of the input are in it.
    let (asset, members) = try engine.read { ledger, now throws(Rejection) in
      let account = customer.isEmpty ? nil : ledger.state.account(customer)
      let (index, price) = try ledger.pricedTool(tool, customer: account, at: time ?? now)
      return (ledger.state.catalog.prices[Int(price)].price.asset, ledger.toolMembers(index))
    }
    let usage = try input.value("usage").map { json throws(Failure) in try Usage.parse(json, scale: asset.scale) }
    let given = try amount(input, "amount", asset)
    let maxCost = try amount(input, "max_cost", asset)
    var lines: [QuoteLine] = []
    let result = try engine.quote(
      tool: tool, usage: usage ?? .oneRequest, customer: customer, amount: given, maxCost: maxCost, at: time
    ) { lines.append($0) }
    let row = json(result.total, lines, asset, result.priceVersion)
    return .object(JSONObject(members + (row.object?.members ?? []).map { ($0.key, $0.value) }))
  }

  static let evaluate = Operation(
    "price.evaluate", "Applies a price that is given to a usage, without registering it.",
    input: [
      OperationField("price", .object, "The price, in its short or long form.", required: true),
      OperationField("usage", .object, "What was used, by meter; one request where absent."),
      OperationField("amount", .amount, "What the callback of a dynamic price gave."),
      OperationField("max_cost", .amount, "The total is capped here."),
    ], output: quoteRow, errors: [.unpriceable, .overflow, .unrepresentable, .tooPrecise, .assetNotFound]
  ) { engine, input throws(Failure) in
    let assets = try engine.read { ledger, _ throws(Rejection) in Array(ledger.state.catalog.assets) }
    let price = try Price.parse(
      input.value("price") ?? .null,
      asset: { code in
        assets.first { $0.code == code } ?? Asset.builtIn(code)
      }, path: "price")
    let usage = try input.value("usage").map { json throws(Failure) in
      try Usage.parse(json, scale: price.asset.scale)
    }
    var lines: [QuoteLine] = []
    let total = try price.quote(
      usage ?? .oneRequest, dynamicAmount: try amount(input, "amount", price.asset),
      maxCost: try amount(input, "max_cost", price.asset)
    ) { lines.append($0) }
    return json(total, lines, price.asset, 0)
  }

  static let setForCustomer = Operation(
    "price.set", "Gives a customer a price of its own for a tool; holds that are open keep theirs.",
    input: [
      OperationField("tool", .text, "The tool, or card/model of a rate card.", required: true),
      OperationField("customer", .text, "The account that is charged at this price.", required: true),
      OperationField("price", .object, "The price, in its short or long form.", required: true),
      OperationField("from", .integer, "When it begins to apply; now where absent."),
      OperationField("to", .integer, "From when it no longer applies; never where absent."),
    ],
    output: [
      OperationField("tool", .text, "The tool."), OperationField("skill", .text, "Its skill, or null for a rate."),
      OperationField("customer", .text, "The account."),
      OperationField("price_version", .integer, "The number of the price."),
    ], errors: SkillOperations.naming + [.accountNotFound, .unrepresentable, .tooPrecise, .assetNotFound]
  ) { engine, input throws(Failure) in
    let assets = try engine.read { ledger, _ throws(Rejection) in Array(ledger.state.catalog.assets) }
    let price = try Price.parse(
      input.value("price") ?? .null,
      asset: { code in assets.first { $0.code == code } ?? Asset.builtIn(code) }, path: "price")
    return try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      let customer = try ledger.account(input, "customer")
      let tool = try ledger.tool(input.text("tool") ?? "").tool
      try ledger.setCustomerPrice(
        tool, customer: customer, price, from: input.integer("from"), to: input.integer("to"), at: context.time)
      return .object(
        JSONObject(
          ledger.toolMembers(tool) + [
            ("customer", .string(ledger.state.accountNames[customer])),
            ("price_version", .int(Int64(ledger.state.catalog.prices.count))),
          ]))
    }
  }

  private static func amount(_ input: OperationInput, _ field: String, _ asset: Asset) throws(Failure) -> Int64? {
    try input.amount(field).map { text throws(Failure) in try Amount.parse(text, scale: asset.scale, field: field) }
  }

  private static func json(_ total: QuoteTotal, _ lines: [QuoteLine], _ asset: Asset, _ version: UInt64) -> JSON {
    [
      "total": .string(Amount.text(total.total, scale: asset.scale, minorDigits: asset.minorDigits)),
      "asset": .string(asset.code), "capped": .bool(total.capped), "lines": Shapes.lines(lines, asset),
      "price_version": Shapes.number(version),
    ]
  }

  // MARK: Rate cards

  private static let cardRow = [
    OperationField("name", .text, "The card's name; its rates are the tools name/model."),
    OperationField("version", .integer, "Counted from 1."), OperationField("entries", .integer, "How many rates."),
    OperationField("published", .integer, "When, in microseconds since 1970."),
    OperationField("source", .text, "Where the rates come from."), OperationField("currency", .text, "Their currency."),
  ]

  static let importCard = Operation(
    "rate_card.import",
    "Publishes the rates of another project's price list, and lists what could not be carried over.",
    input: [
      OperationField("format", .text, "genai-prices or litellm.", required: true),
      OperationField("data", .any, "Its JSON.", required: true),
      OperationField("name", .text, "The card's name; that of the format where absent."),
      OperationField("source", .text, "Where the data comes from, for people."),
      OperationField("dry_run", .flag, "Only tell what would be lost."),
    ],
    output: cardRow + [
      OperationField("issues", .list, "Each with model, field, what (changed, unrepresentable, skipped) and detail.")
    ], errors: [.unrepresentable, .accountNotFound]
  ) { engine, input throws(Failure) in
    let data = input.value("data") ?? .null
    let source = input.text("source") ?? ""
    let format = input.text("format") ?? ""
    let name = input.text("name") ?? format
    try checkName(name)
    let result: RateCardImporter.Result
    switch format {
    case "genai-prices": result = try RateCardImporter.genaiPrices(data, name: name, source: source)
    case "litellm": result = try RateCardImporter.litellm(data, name: name, source: source)
    default: throw Failure(.invalidArgument, field: "format", "It is genai-prices or litellm.")
    }
    let issues = ("issues", JSON.array(result.issues.map(\.json)))
    if input.flag("dry_run") {
      return .object(
        JSONObject([("name", .string(name)), ("entries", .int(Int64(result.card.entries.count))), issues]))
    }
    let row = try publish(engine, result.card)
    return .object(JSONObject((row.object?.members ?? []).map { ($0.key, $0.value) } + [issues]))
  }

  static let publish = Operation(
    "rate_card.publish", "Publishes a rate card, or a new version of one; holds that are open keep their prices.",
    input: [OperationField("card", .object, "The card: name, currency and entries.", required: true)], output: cardRow,
    errors: [.unrepresentable, .tooPrecise, .assetNotFound, .accountNotFound]
  ) { engine, input throws(Failure) in
    let assets = try engine.read { ledger, _ throws(Rejection) in Array(ledger.state.catalog.assets) }
    let card = try RateCard.parse(
      input.value("card") ?? .null,
      asset: { code in
        assets.first { $0.code == code } ?? Asset.builtIn(code)
      }, path: "card")
    try checkName(card.name)
    return try publish(engine, card)
  }

  private static func publish(_ engine: Engine, _ card: RateCard) throws(Failure) -> JSON {
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      _ = try ledger.publishRateCard(card, at: context.time)
      return ledger.state.catalog.rateCards[card.name].map(row) ?? .null
    }
  }

  /// A slash divides a card's name from its rates', and a number sign a skill's id from its tools'.
  private static func checkName(_ name: String) throws(Failure) {
    guard !name.isEmpty, name.utf8.count <= Limits.toolName,
      !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "#") })
    else {
      throw Failure(
        .invalidArgument, field: "name", "A card's name has from 1 to \(Limits.toolName) bytes and no '/' or '#'.")
    }
  }

  static let list = Operation(
    "rate_card.list", "Lists the rate cards in their newest versions.",
    output: [OperationField("rate_cards", .list, "As rate_card.publish.")]
  ) { engine, _ throws(Failure) in
    try engine.read { ledger, _ throws(Rejection) in
      let cards = ledger.state.catalog.rateCards.values.sorted { $0.card.name < $1.card.name }
      return ["rate_cards": .array(cards.map(row))]
    }
  }

  static let get = Operation(
    "rate_card.get", "Tells a rate card with its entries.",
    input: [OperationField("name", .text, "Its name.", required: true)],
    output: cardRow + [OperationField("card", .object, "The card, as rate_card.publish takes it.")],
    errors: [.rateCardNotFound]
  ) { engine, input throws(Failure) in
    try engine.read { ledger, _ throws(Rejection) in
      guard let stored = ledger.state.catalog.rateCards[input.text("name") ?? ""] else {
        throw .failed(Failure(.rateCardNotFound, field: "name", "There is no rate card of this name."))
      }
      return .object(
        JSONObject((row(stored).object?.members ?? []).map { ($0.key, $0.value) } + [("card", stored.card.json)]))
    }
  }

  private static func row(_ stored: StoredRateCard) -> JSON {
    [
      "name": .string(stored.card.name), "version": .int(stored.version),
      "entries": .int(Int64(stored.card.entries.count)), "published": .int(stored.published),
      "source": .string(stored.card.source), "currency": .string(stored.card.currency),
    ]
  }
}
