extension RateCardImporter {
  /// Imports litellm's table of models: an object of models by name.
  ///
  /// Rates for one token are taken as they are, written as binary floats or not, and rounded to 1e-12 where the float
  /// had noise. `_above_200k_tokens` and the like, and `tiered_pricing`, become cliffs by total input. Service levels other than the standard
  /// one (`_batches`, `_priority`, `_flex`), searches, seconds and pixels are listed and not carried over. A row that
  /// is `alias_of` another has the other's rates. A model without rates stays on the card without a price, so that no
  /// other model is found by its name.
  /// - Throws: `invalidArgument` when the input is not an object of objects.
  public static func litellm(
    _ json: JSON, name: String = "litellm", source: String = ""
  ) throws(Failure) -> Result {
    guard let models = json.object else {
      throw Failure(.invalidArgument, "litellm's table is an object of models")
    }
    var entries: [RateCard.Entry] = []
    var issues: [ImportIssue] = []
    for member in models.members {
      guard let own = member.value.object else {
        throw Failure(.invalidArgument, field: member.key, "must be an object")
      }
      var model = LiteLLMModel(name: member.key)
      guard let fields = model.fields(own, in: models) else {
        issues += model.draft.issues
        continue
      }
      let price = model.price(fields)
      let names = (own["aliases"]?.array ?? []).compactMap(\.string)
      let aliases = names.filter { models[$0] == nil && isName($0) }
      entries.append(
        RateCard.Entry(
          name: member.key, aliases: aliases, vendor: fields["litellm_provider"]?.string,
          versions: price.map { [RateCard.Version(price: $0)] } ?? []))
      issues += model.draft.issues
    }
    return (RateCard(name: name, currency: "USD", source: source, entries: entries, naming: .litellm), issues)
  }
}

/// Reads one model of litellm's table.
private struct LiteLLMModel {
  var draft: ModelDraft
  /// By how much of a token a tier begins before its number.
  private var tierStep: Int64 = 0

  /// The rows that are no models, and what they are.
  private static let reserved = [
    "sample_spec": "the row explains the columns and is no model",
    "fallback_generalizations": "the row has rules for the abilities of unknown models and is no model",
  ]
  private static let rates: [String: Meter] = [
    "input_cost_per_token": .inputTokens, "output_cost_per_token": .outputTokens,
    "cache_read_input_token_cost": .cacheReadTokens, "cache_creation_input_token_cost": .cacheWriteTokens,
    "input_cost_per_audio_token": .inputAudioTokens, "output_cost_per_audio_token": .outputAudioTokens,
    "output_cost_per_reasoning_token": .reasoningTokens, "output_cost_per_image": .images,
    "input_cost_per_request": .requests,
  ]
  /// Fields that change what the standard rates cost, so that the model has no price without them.
  private static let decisive: Set<String> = ["tiered_pricing", "off_peak_pricing"]
  /// The rates that tiers have, each with the one that stands in for it.
  private static let tiered: [String: String?] = [
    "input_cost_per_token": nil, "output_cost_per_token": nil,
    "cache_read_input_token_cost": "input_cost_per_token", "cache_creation_input_token_cost": "input_cost_per_token",
    "output_cost_per_reasoning_token": "output_cost_per_token",
  ]
  /// Parts of the names of fields that are about money.
  private static let moneyWords = [
    "cost", "price", "pricing", "multiplier", "free_requests", "billing", "provider_specific_entry",
  ]

  init(name: String) {
    draft = ModelDraft(model: name)
  }

  /// The columns of the model: its own, or those of the row that it is an alias of; nil, with a note, where there are
  /// none.
  mutating func fields(_ own: JSONObject, in models: JSONObject) -> JSONObject? {
    if let what = LiteLLMModel.reserved[draft.model] {
      draft.note("", .skipped, what)
      return nil
    }
    guard RateCardImporter.isName(draft.model) else {
      draft.note("", .skipped, RateCardImporter.noName)
      return nil
    }
    guard let target = own["alias_of"]?.string else { return own }
    guard let fields = models[target]?.object, fields["alias_of"] == nil else {
      draft.note("alias_of", .skipped, "there is no row of this name")
      return nil
    }
    return fields
  }

  mutating func price(_ fields: JSONObject) -> Price? {
    // One provider's tiers begin at their number of tokens and not above it.
    let vendor = fields["litellm_provider"]?.string
    tierStep = vendor == "xai" ? Usage.micro : 0
    let isTiered = readTiers(fields)
    for member in fields.members where !member.value.isNull {
      if isTiered, member.key == "tiered_pricing" || LiteLLMModel.tiered[member.key] != nil { continue }
      read(member.key, member.value)
    }
    if vendor == "fireworks_ai", !draft.has(.cacheReadTokens), let input = draft.base(.inputTokens) {
      // The source's own rule: what is read from a cache there costs half the input, unless the table says otherwise.
      draft.add(.cacheReadTokens, rate: Rate(trusted: (input.pico + 1) / 2), field: "input_cost_per_token")
    }
    return draft.price()
  }

  private mutating func read(_ key: String, _ value: JSON) {
    if let meter = LiteLLMModel.rates[key] {
      draft.add(meter, value, perDigits: 0, field: key)
    } else if let (meter, tokens) = LiteLLMModel.tier(key) {
      draft.add(meter, value, perDigits: 0, above: tokens - tierStep, field: key)
    } else if LiteLLMModel.decisive.contains(key) {
      draft.note(key, .skipped, "the rates depend on more than tokens, and this is not carried over")
    } else if LiteLLMModel.isAboutMoney(key) {
      draft.note(key, .unrepresentable, "no meter counts this; do not price usage of it with this model")
    }
  }

  /// Takes the rates of `tiered_pricing`, one tier after the other from the first token on; false where there are none,
  /// or none that are only about tokens.
  private mutating func readTiers(_ fields: JSONObject) -> Bool {
    var tiers: [(start: Int64, end: Int64, fields: JSONObject)] = []
    for element in fields["tiered_pricing"]?.array ?? [] {
      guard let tier = element.object, let range = tier["range"]?.array, range.count == 2,
        let start = range[0].numberText.flatMap({ try? Price.quantity($0, field: "") }),
        let end = range[1].numberText.flatMap({ try? Price.quantity($0, field: "") }), start < end,
        start == tiers.last?.end ?? 0, tier.keys.allSatisfy({ $0 == "range" || LiteLLMModel.tiered[$0] != nil }),
        tier["input_cost_per_token"] != nil
      else { return false }
      tiers.append((start, end, tier))
    }
    guard !tiers.isEmpty else { return false }
    for (key, standIn) in LiteLLMModel.tiered {
      guard let meter = LiteLLMModel.rates[key], tiers.contains(where: { $0.fields[key] != nil }) else { continue }
      for (index, tier) in tiers.enumerated() {
        let field = "tiered_pricing[\(index)].\(key)"
        guard let rate = tier.fields[key] ?? standIn.flatMap({ tier.fields[$0] }) ?? fields[key] else {
          draft.refuse(meter, field, "the tier has no rate")
          continue
        }
        draft.add(meter, rate, perDigits: 0, above: index == 0 ? nil : tier.start, field: field)
      }
    }
    if !tiers.contains(where: { $0.fields["output_cost_per_token"] != nil }), let rate = fields["output_cost_per_token"]
    {
      draft.add(.outputTokens, rate, perDigits: 0, field: "output_cost_per_token")
    }
    return true
  }

  /// The meter and the total input of `input_cost_per_token_above_200k_tokens`; nil for any other field.
  private static func tier(_ key: String) -> (Meter, Int64)? {
    let suffix = "k_tokens"
    for (base, meter) in rates where key.hasPrefix(base + "_above_") && key.hasSuffix(suffix) {
      let digits = key.dropFirst(base.utf8.count + "_above_".utf8.count).dropLast(suffix.utf8.count)
      guard let thousands = JSON.string(String(digits)).int64, (1...1_000_000_000).contains(thousands) else { continue }
      return (meter, thousands * 1_000 * Usage.micro)
    }
    return nil
  }

  private static func isAboutMoney(_ key: String) -> Bool {
    let key = Array(key.utf8)
    return moneyWords.contains { NameTest.find(Array($0.utf8), in: key) }
  }
}
