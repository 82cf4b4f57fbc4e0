extension RateCard {
  /// The entry that litellm would find for a name that is not on the card as it stands.
  ///
  /// The part before a slash is a provider where some model is served by one of that name. Then, in this order and
  /// without regard to case: the name; the name without its provider, and on Bedrock without route and region; and the
  /// name without what the provider adds to a model: `us.` and a throughput on Bedrock, a version on Vertex AI, Gemini
  /// and Databricks, the organisation and id of a fine-tuned model, and otherwise a date such as `-2024-08-06`. The
  /// model of another provider than the one named is not found.
  func litellmEntry(_ name: String) -> Int? {
    var provider: String?
    var rest = name
    if let (first, others) = RateCard.split(name), isLiteLLMProvider(first) {
      provider = first
      rest = String(others)
    } else if name.contains("ft:gpt-3.5-turbo") || name.contains("ft:gpt-4") || name.hasPrefix("gpt-image") {
      provider = "openai"
    } else if Bedrock.model(name).hasPrefix("anthropic.") {
      provider = "bedrock"
    }
    if provider == "bedrock" || provider == "bedrock_converse" { rest = Bedrock.withoutRoute(rest) }
    var candidates = [name, rest, RateCard.stripped(name, provider)]
    if provider == "fireworks_ai" { candidates.append("fireworks_ai/accounts/fireworks/models/\(rest)") }
    for candidate in candidates {
      guard let index = byName[candidate]?.first ?? byLowerName[candidate.lowercased()], serves(index, provider)
      else { continue }
      return index
    }
    return nil
  }

  /// Providers that are the vendor of no model, or only of some under other names.
  private static let otherLiteLLMProviders: Set<String> = [
    "azure_ai", "bedrock", "cohere", "fireworks_ai", "github", "litellm_proxy", "openai", "openrouter", "vertex_ai",
  ]

  private func isLiteLLMProvider(_ name: String) -> Bool {
    providerNames.contains(name) || RateCard.otherLiteLLMProviders.contains(name)
  }

  /// Whether an entry is an offer of a provider; one without a vendor is anybody's.
  private func serves(_ index: Int, _ provider: String?) -> Bool {
    guard let provider, let vendor = entries[index].vendor, vendor != provider else { return true }
    switch provider {
    case "vertex_ai", "fireworks_ai": return vendor.hasPrefix(provider)
    case "bedrock", "bedrock_converse": return vendor.hasPrefix("bedrock")
    case "azure_ai": return vendor == "azure" || vendor == "openai"
    case "cohere": return vendor == "cohere_chat"
    case "github", "litellm_proxy": return true
    default: return false
    }
  }

  /// A name without what its provider adds to that of a model.
  private static func stripped(_ name: String, _ provider: String?) -> String {
    switch provider {
    case "bedrock", "bedrock_converse": return Bedrock.model(name)
    case "vertex_ai", "gemini", "databricks": return withoutVersion(name)
    default:
      if name.contains("ft:") { return withoutFineTuning(name) }
      return withoutDate(name)
    }
  }

  /// A name without the `-001` at its end.
  private static func withoutVersion(_ name: String) -> String {
    let digits = name.utf8.reversed().prefix { isDigit($0) }.count
    let rest = name.utf8.dropLast(digits)
    guard digits > 0, rest.last == UInt8(ascii: "-") else { return name }
    return String(rest.dropLast()) ?? name
  }

  /// `ft:gpt-4o-2024-08-06:org::id` without the last three parts.
  private static func withoutFineTuning(_ name: String) -> String {
    let parts = name.split(separator: ":", omittingEmptySubsequences: false)
    return parts.count > 3 ? parts.dropLast(3).joined(separator: ":") : name
  }

  /// A name without the `-2024-08-06` at its end.
  private static func withoutDate(_ name: String) -> String {
    let tail = Array(name.utf8.suffix(11))
    guard tail.count == 11 else { return name }
    for (place, byte) in tail.enumerated() {
      let isDash = place == 0 || place == 5 || place == 8
      guard isDash ? byte == UInt8(ascii: "-") : isDigit(byte) else { return name }
    }
    return String(name.utf8.dropLast(11)) ?? name
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") < 10
  }
}

/// How names of models on Amazon Bedrock are written.
private enum Bedrock {
  private static let routes = [
    "bedrock/", "chat_completions/", "converse/", "invoke/", "openai/", "mantle/", "nova-2/", "nova/",
  ]
  /// The regions that a model may be served across.
  private static let regions: Set<Substring> = ["global", "us", "eu", "apac", "jp", "au", "us-gov"]

  static func withoutRoute(_ name: String) -> String {
    var rest = name
    for route in routes where rest.hasPrefix(route) { rest = String(rest.dropFirst(route.count)) }
    // Of an address of a model, the last part is its name.
    if let (region, model) = RateCard.split(rest), isRegion(region), model.hasPrefix("arn:") { return last(model) }
    return rest.hasPrefix("arn:") ? last(rest[...]) : rest
  }

  /// The name that a model has in all regions.
  static func model(_ name: String) -> String {
    var rest = name
    for route in routes where rest.hasPrefix(route) { rest = String(rest.dropFirst(route.count)) }
    if rest.lowercased().contains("arn") { rest = last(rest[...]) }
    rest = withoutThroughput(rest)
    let parts = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2, regions.contains(parts[0]) { return String(parts[1]) }
    if let (region, model) = RateCard.split(rest), isRegion(region) { return String(model) }
    return rest
  }

  private static func last(_ name: Substring) -> String {
    name.split(separator: "/", omittingEmptySubsequences: false).last.map(String.init) ?? ""
  }

  /// A name without the `:51k` after its version, and without a length of context such as `[1m]`, at its end.
  private static func withoutThroughput(_ name: String) -> String {
    var rest = name
    let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
    if parts.count > 2, let tail = parts.last, tail.last == "k", isNumber(tail.dropLast()),
      isNumber(parts[parts.count - 2])
    {
      rest = parts.dropLast().joined(separator: ":")
    }
    if rest.last == "]", let bracket = rest.lastIndex(of: "[") { rest = String(rest[..<bracket]) }
    return rest
  }

  private static func isNumber(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 &- UInt8(ascii: "0") < 10 }
  }

  /// Whether a text is the name of a region, such as `us-east-1` or `us-gov-west-1`.
  private static func isRegion(_ text: String) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3 || parts.count == 4, let first = parts.first, let last = parts.last else { return false }
    return first.utf8.count == 2 && last.utf8.count == 1 && isNumber(last)
  }
}
