extension RateCardImporter {
  /// Imports the data of `genai-prices`: an array of providers with their models.
  ///
  /// Rates for a million tokens become rates for one. Tiers become cliffs by total input, start dates become effective
  /// times, and the rules of models and providers keep their order. A model is found as `provider/id`, and by every
  /// name that finds it at the source. A model whose price depends on the time of day stays on the card without a
  /// price, so that no other model's rule takes its names.
  /// - Throws: `invalidArgument` or `missingField` when the input is not of that form at all.
  public static func genaiPrices(
    _ json: JSON, name: String = "genai-prices", source: String = ""
  ) throws(Failure) -> Result {
    guard let providers = json.array else {
      throw Failure(.invalidArgument, "the data of genai-prices is an array of providers")
    }
    var entries: [RateCard.Entry] = []
    var issues: [ImportIssue] = []
    var offers: [RateCard.Provider] = []
    for (index, provider) in providers.enumerated() {
      guard let provider = provider.object, let id = provider["id"]?.string, let models = provider["models"]?.array
      else { throw Failure(.missingField, field: "[\(index)]", "a provider has an id and models") }
      var reader = GenaiProvider(id: id)
      offers.append(reader.provider(provider))
      reader.noteUnknown(in: provider)
      for model in models { reader.read(model) }
      entries += reader.entries
      issues += reader.issues
    }
    let card = RateCard(
      name: name, currency: "USD", source: source, entries: entries, naming: .genaiPrices, providers: offers)
    return (named(card), issues)
  }

  /// The same card with the names that a rule lists as aliases, where the source finds the model by them.
  private static func named(_ card: RateCard) -> RateCard {
    let entries = card.entries.map { entry in
      let names = [entry.name] + (entry.match?.listed ?? [])
      let aliases = names.filter { $0 != entry.fullName && isName($0) && card.entry(for: $0, customer: nil) == entry }
      return RateCard.Entry(
        name: entry.name, provider: entry.provider, aliases: Array(aliases.prefix(RateCard.mostAliases)),
        match: entry.match, versions: entry.versions)
    }
    return RateCard(
      name: card.name, currency: card.currency, source: card.source, entries: entries, naming: card.naming,
      providers: card.providers)
  }
}

/// Reads the models of one provider.
private struct GenaiProvider {
  let id: String
  var entries: [RateCard.Entry] = []
  var issues: [ImportIssue] = []

  private static let providerFields: Set<String> = [
    "id", "name", "api_pattern", "pricing_urls", "description", "price_comments", "model_match", "provider_match",
    "extractors", "models", "tiers", "fallback_model_providers",
  ]
  private static let modelFields: Set<String> = [
    "id", "name", "description", "match", "context_window", "price_comments", "deprecated", "prices",
    "prices_checked", "price_discrepancies", "collapse",
  ]
  private static let rates: [String: (meter: Meter, digits: UInt8)] = [
    "input_mtok": (.inputTokens, 6), "output_mtok": (.outputTokens, 6), "cache_read_mtok": (.cacheReadTokens, 6),
    "cache_write_mtok": (.cacheWriteTokens, 6), "output_reasoning_mtok": (.reasoningTokens, 6),
    "input_audio_mtok": (.inputAudioTokens, 6), "output_audio_mtok": (.outputAudioTokens, 6),
    "requests_kcount": (.requests, 3),
  ]

  init(id: String) {
    self.id = id
  }

  /// How names find the provider, and whose models it serves beside its own.
  mutating func provider(_ provider: JSONObject) -> RateCard.Provider {
    let names = rule("model_match", in: provider)
    let ids = rule("provider_match", in: provider)
    let fallbacks = (provider["fallback_model_providers"]?.array ?? []).compactMap(\.string)
    return RateCard.Provider(id: id, names: names, ids: ids, fallbacks: fallbacks)
  }

  private mutating func rule(_ field: String, in provider: JSONObject) -> NameMatch? {
    guard let json = provider[field], !json.isNull else { return nil }
    let rule = try? NameMatch.parse(json, path: field)
    guard rule == nil || rule?.unreadable.isEmpty == false else { return rule }
    issues.append(
      ImportIssue(
        model: id, field: field, what: .unrepresentable,
        detail: "the rule cannot be read; name the provider before the model"))
    return nil
  }

  mutating func noteUnknown(in provider: JSONObject) {
    for key in provider.keys where !GenaiProvider.providerFields.contains(key) {
      issues.append(
        ImportIssue(
          model: id, field: key, what: .unrepresentable, detail: "a field of the provider that rate cards do not have"))
    }
  }

  mutating func read(_ json: JSON) {
    guard let model = json.object, let name = model["id"]?.string, !name.isEmpty else {
      return issues.append(
        ImportIssue(model: id, field: "models", what: .skipped, detail: "a model of the provider has no id"))
    }
    var draft = ModelDraft(model: "\(id)/\(name)")
    guard RateCardImporter.isName("\(id)/\(name)") else {
      draft.note("id", .skipped, RateCardImporter.noName)
      issues += draft.issues
      return
    }
    noteUnknown(in: model, &draft)
    let match = match(model["match"], &draft)
    let versions = versions(model["prices"], &draft)
    entries.append(RateCard.Entry(name: name, provider: id, match: match, versions: versions))
    issues += draft.issues
  }

  private func noteUnknown(in model: JSONObject, _ draft: inout ModelDraft) {
    for key in model.keys where !GenaiProvider.modelFields.contains(key) {
      let detail =
        key == "price_variants"
        ? "prices of other kinds of processing, such as batches, are not carried over"
        : "a field of the model that rate cards do not have"
      draft.note(key, .unrepresentable, detail)
    }
  }

  private func match(_ json: JSON?, _ draft: inout ModelDraft) -> NameMatch? {
    guard let json, !json.isNull else { return nil }
    guard let match = try? NameMatch.parse(json, path: "match") else {
      draft.note("match", .skipped, "the rule for the model's names cannot be read")
      return nil
    }
    for pattern in match.unreadable {
      draft.note("match", .unrepresentable, "names that depend on the pattern \(pattern) find no price")
    }
    return match
  }

  private func versions(_ json: JSON?, _ draft: inout ModelDraft) -> [RateCard.Version] {
    if let prices = json?.object {
      return price(prices, "prices", &draft).map { [RateCard.Version(price: $0)] } ?? []
    }
    guard let list = json?.array, !list.isEmpty else {
      draft.note("prices", .skipped, "the model has no prices")
      return []
    }
    var versions: [RateCard.Version] = []
    var end = Int64.max
    for (index, element) in list.enumerated().reversed() {
      let field = "prices[\(index)]"
      guard let from = start(element, isFirst: index == 0, field, &draft) else { return [] }
      // The last one that is active wins, so that only times before all later ones are left for this one.
      guard from < end else { continue }
      guard let prices = element.object?["prices"]?.object, let price = price(prices, "\(field).prices", &draft)
      else {
        if !draft.isSkipped { draft.note(field, .skipped, "the version has no prices") }
        return []
      }
      versions.append(RateCard.Version(effectiveFrom: from, effectiveTo: end, price: price))
      end = from
    }
    return versions.reversed()
  }

  /// When a version begins; nil, with a note, when that is not a date.
  private func start(_ json: JSON, isFirst: Bool, _ field: String, _ draft: inout ModelDraft) -> Int64? {
    guard let constraint = json.object?["constraint"], !constraint.isNull else { return .min }
    guard let object = constraint.object, object.keys == ["start_date"],
      let from = object["start_date"]?.string.flatMap(Day.microseconds)
    else {
      draft.note("\(field).constraint", .skipped, "prices that depend on more than a start date are not carried over")
      return nil
    }
    // Where none is active, the source uses the first.
    return isFirst ? .min : from
  }

  private func price(_ prices: JSONObject, _ field: String, _ outer: inout ModelDraft) -> Price? {
    var draft = ModelDraft(model: outer.model)
    for member in prices.members where !member.value.isNull {
      let field = "\(field).\(member.key)"
      guard let (meter, digits) = GenaiProvider.rates[member.key] else {
        draft.note(field, .unrepresentable, "no meter counts this; do not price usage of it with this model")
        continue
      }
      add(member.value, meter, digits, field, &draft)
    }
    let price = draft.price()
    for issue in draft.issues { outer.note(issue.field, issue.what, issue.detail) }
    return price
  }

  private func add(_ json: JSON, _ meter: Meter, _ digits: UInt8, _ field: String, _ draft: inout ModelDraft) {
    guard let tiered = json.object else { return draft.add(meter, json, perDigits: digits, field: field) }
    guard let base = tiered["base"], let tiers = tiered["tiers"]?.array else {
      return draft.refuse(meter, field, "tiers have a base and a list")
    }
    draft.add(meter, base, perDigits: digits, field: "\(field).base")
    var previous: Int64 = 0
    for (index, tier) in tiers.enumerated() {
      let field = "\(field).tiers[\(index)]"
      guard let start = ModelDraft.tokens(tier.object?["start"]), start > previous,
        let rate = tier.object?["price"]
      else { return draft.refuse(meter, field, "a tier starts above the one before and has a price") }
      previous = start
      draft.add(meter, rate, perDigits: digits, above: start, field: "\(field).price")
    }
  }
}
