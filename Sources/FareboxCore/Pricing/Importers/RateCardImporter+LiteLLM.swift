extension RateCardImporter {
  /// Imports litellm's table of models: an object of models by name.
  ///
  /// Rates for one token are taken as they are, written as binary floats or not, and rounded to 1e-12 where the float
  /// had noise. `_above_200k_tokens` and the like become cliffs by total input. Service levels other than the standard
  /// one (`_batches`, `_priority`, `_flex`), searches, seconds and pixels are listed and not carried over.
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
      guard let fields = member.value.object else {
        throw Failure(.invalidArgument, field: member.key, "must be an object")
      }
      var model = LiteLLMModel(name: member.key)
      if let price = model.price(fields) {
        entries.append(RateCard.Entry(name: member.key, versions: [RateCard.Version(price: price)]))
      }
      issues += model.draft.issues
    }
    return (RateCard(name: name, currency: "USD", source: source, entries: entries), issues)
  }
}

/// Reads one model of litellm's table.
private struct LiteLLMModel {
  var draft: ModelDraft

  /// The name of the row that only explains the columns.
  private static let explanation = "sample_spec"
  private static let rates: [String: Meter] = [
    "input_cost_per_token": .inputTokens, "output_cost_per_token": .outputTokens,
    "cache_read_input_token_cost": .cacheReadTokens, "cache_creation_input_token_cost": .cacheWriteTokens,
    "input_cost_per_audio_token": .inputAudioTokens, "output_cost_per_audio_token": .outputAudioTokens,
    "output_cost_per_reasoning_token": .reasoningTokens, "output_cost_per_image": .images,
    "input_cost_per_request": .requests,
  ]
  /// Fields that change what the standard rates cost, so that the model has no price without them.
  private static let decisive: Set<String> = ["tiered_pricing", "off_peak_pricing"]
  /// Parts of the names of fields that are about money.
  private static let moneyWords = [
    "cost", "price", "pricing", "multiplier", "free_requests", "billing", "provider_specific_entry",
  ]

  init(name: String) {
    draft = ModelDraft(model: name)
  }

  mutating func price(_ fields: JSONObject) -> Price? {
    guard draft.model != LiteLLMModel.explanation else {
      draft.note("", .skipped, "the row explains the columns and is no model")
      return nil
    }
    for member in fields.members where !member.value.isNull {
      read(member.key, member.value)
    }
    return draft.price()
  }

  private mutating func read(_ key: String, _ value: JSON) {
    if let meter = LiteLLMModel.rates[key] {
      draft.add(meter, value, perDigits: 0, field: key)
    } else if let (meter, tokens) = LiteLLMModel.tier(key) {
      draft.add(meter, value, perDigits: 0, above: tokens, field: key)
    } else if LiteLLMModel.decisive.contains(key) {
      draft.note(key, .skipped, "the rates depend on more than tokens, and this is not carried over")
    } else if LiteLLMModel.isAboutMoney(key) {
      draft.note(key, .unrepresentable, "no meter counts this; do not price usage of it with this model")
    }
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
    moneyWords.contains { NameMatch.find($0, in: key) }
  }
}
