/// What a name finds on a rate card.
public enum RateResolution: Equatable, Sendable {
  /// The entry that the source of the card would have found, too.
  case found(RateCard.Entry)
  /// Several providers offer a model of this name, and the source prefers none of them: their full names.
  case ambiguous([String])
  /// Nothing: the full names that come nearest, which may be none.
  case missing([String])
}

extension RateCard {
  /// The most candidates that a resolution gives.
  static let mostCandidates = 5

  /// The price of a name at a time, or nil when the card has none.
  ///
  /// A customer's own entry wins over everybody's, an exact name or alias over a rule, and among equals the earlier
  /// entry. Where names belong to providers, rules are only tried for `provider/name`.
  /// - Parameters:
  ///   - name: `gpt-4o`, or `openai/gpt-4o`.
  ///   - time: Microseconds since 1970.
  ///   - customer: The account that pays, or nil.
  public func price(for name: String, at time: Int64, customer: String? = nil) -> Price? {
    if let customer, let price = entry(for: name, customer: customer)?.price(at: time) { return price }
    return entry(for: name, customer: nil)?.price(at: time)
  }

  /// What a name finds among everybody's entries.
  ///
  /// The work is bounded: an exact name costs one look-up, another at most one pass over the rules of the card.
  public func resolve(_ name: String) -> RateResolution {
    guard name.utf8.count <= RateCard.longestName else { return .missing([]) }
    if let entry = entry(for: name, customer: nil) { return .found(entry) }
    let offers = offers(of: name)
    if offers.count > 1 { return .ambiguous(Array(offers.prefix(RateCard.mostCandidates))) }
    let near = nearest(to: name).filter { !offers.contains($0) }
    return .missing(Array((offers + near).prefix(RateCard.mostCandidates)))
  }

  /// The entry that a name finds: everybody's, or one customer's own.
  public func entry(for name: String, customer: String?) -> Entry? {
    if let index = byName[name]?.first(where: { entries[$0].customer == customer }) { return entries[index] }
    guard name.utf8.count <= RateCard.longestName else { return nil }
    let index: Int?
    switch naming {
    case .plain: index = plainEntry(name, customer)
    case .genaiPrices: index = customer == nil ? providedEntry(name.lowercased()) : nil
    case .litellm: index = customer == nil ? litellmEntry(name) : nil
    }
    return index.map { entries[$0] }
  }

  private func plainEntry(_ name: String, _ customer: String?) -> Int? {
    var provider = ""
    var rest = name[...]
    if let (first, others) = RateCard.split(name), providerNames.contains(first) {
      provider = first
      rest = others
    }
    return firstMatch(Array(rest.lowercased().utf8), of: provider, customer: customer)
  }

  /// The first entry of a provider whose rule fits a name in lower case; nil where a rule cannot tell.
  private func firstMatch(_ name: [UInt8], of provider: String, customer: String? = nil) -> Int? {
    for index in ruled[provider] ?? [] where entries[index].customer == customer {
      switch tests[index]?.matches(name) {
      case true: return index
      case false: continue
      case nil: return nil
      }
    }
    return nil
  }

  /// A name as the part before its first slash and the rest; nil for a name without one.
  static func split(_ name: String) -> (first: String, rest: Substring)? {
    guard let slash = name.utf8.firstIndex(of: UInt8(ascii: "/")) else { return nil }
    return (String(name[..<slash]), name[name.utf8.index(after: slash)...])
  }
}

// MARK: As genai-prices does it

extension RateCard {
  /// The entry of a name in lower case.
  ///
  /// The part before a slash names a provider by its id or by its rule for ids; that provider alone is asked. Another
  /// name belongs to the first provider whose rule for names fits.
  private func providedEntry(_ name: String) -> Int? {
    if let (first, rest) = RateCard.split(name) {
      // The name of a model at litellm, which names the provider next.
      if first == "litellm" { return rest.isEmpty ? nil : providedEntry(String(rest)) }
      if let provider = provider(id: first) { return model(String(rest), of: provider) }
    }
    let bytes = Array(name.utf8)
    for (index, test) in providerTests.enumerated() {
      switch test.names.map({ $0.matches(bytes) }) {
      case .some(true): return model(name, of: index)
      case .some(nil): return nil
      case .some(false), nil: continue
      }
    }
    return nil
  }

  /// The provider that an id in lower case names.
  private func provider(id: String) -> Int? {
    if let index = providers.firstIndex(where: { $0.id == id }) { return index }
    let bytes = Array(id.utf8)
    return providerTests.firstIndex { $0.ids?.matches(bytes) == true }
  }

  /// The model of a name in lower case at a provider, or at those whose models it serves.
  private func model(_ name: String, of provider: Int) -> Int? {
    if let found = undatedModel(name, of: provider) { return found }
    guard let dated = RateCard.withDashes(name) else { return nil }
    return undatedModel(dated, of: provider)
  }

  private func undatedModel(_ name: String, of provider: Int) -> Int? {
    let bytes = Array(name.utf8)
    for id in [providers[provider].id] + providers[provider].fallbacks {
      if let index = firstMatch(bytes, of: id) { return index }
    }
    return nil
  }

  /// A name whose dates like `-20251211` are written `-2025-12-11`; nil where there is none.
  static func withDashes(_ name: String) -> String? {
    let bytes = Array(name.utf8)
    var dashed: [UInt8] = []
    var changed = false
    var place = 0
    while place < bytes.count {
      let end = place + 9
      if bytes[place] == UInt8(ascii: "-"), end <= bytes.count,
        end == bytes.count || bytes[end] == UInt8(ascii: "-") || bytes[end] == UInt8(ascii: ":"),
        let day = dashedDay(bytes[(place + 1)..<end])
      {
        dashed += [UInt8(ascii: "-")] + day
        changed = true
        place = end
      } else {
        dashed.append(bytes[place])
        place += 1
      }
    }
    return changed ? String(decoding: dashed, as: UTF8.self) : nil
  }

  private static func dashedDay(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
    let dashed = Array(digits.prefix(4)) + [UInt8(ascii: "-")] + digits.dropFirst(4).prefix(2) + [UInt8(ascii: "-")]
    let day = dashed + digits.suffix(2)
    guard digits.starts(with: [UInt8(ascii: "2"), UInt8(ascii: "0")]),
      Day.microseconds(String(decoding: day, as: UTF8.self)) != nil
    else { return nil }
    return day
  }
}

// MARK: Candidates

extension RateCard {
  /// The full names of the offers that a name without a provider may mean.
  private func offers(of name: String) -> [String] {
    let lower = name.lowercased()
    switch naming {
    case .genaiPrices:
      if let (first, _) = RateCard.split(lower), first == "litellm" || provider(id: first) != nil { return [] }
      return providers.indices.compactMap { provider in
        firstMatch(Array(lower.utf8), of: providers[provider].id).map { entries[$0].fullName }
      }
    case .plain, .litellm:
      guard RateCard.split(lower) == nil else { return [] }
      let wanted = RateCard.stem(lower)
      return entries.indices.filter { entries[$0].customer == nil && stems[$0] == wanted }.map { entries[$0].fullName }
    }
  }

  /// The full names on the card whose last part begins most like that of a name: with at least half of it.
  private func nearest(to name: String) -> [String] {
    let wanted = RateCard.stem(name)
    let least = max(3, (wanted.count + 1) / 2)
    var best: [(common: Int, length: Int, index: Int)] = []
    for (index, entry) in entries.enumerated() where entry.customer == nil {
      let common = RateCard.common(wanted, stems[index])
      if common >= least { best.append((common, stems[index].count, index)) }
    }
    best.sort { ($1.common, $0.length, $0.index) < ($0.common, $1.length, $1.index) }
    return best.prefix(RateCard.mostCandidates).map { entries[$0.index].fullName }
  }

  /// How many bytes two texts begin with alike.
  private static func common(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var count = 0
    while count < left.count, count < right.count, left[count] == right[count] { count += 1 }
    return count
  }

  /// The last part of a name, in lower case and without a tag such as `:free`; of a fine-tuned model its base.
  static func stem(_ name: String) -> [UInt8] {
    let last = Array((name.split(separator: "/").last ?? "").lowercased().utf8)
    let tuned = Array("ft:".utf8)
    let model = last.starts(with: tuned) ? last.dropFirst(tuned.count) : last[...]
    return Array(model.prefix { $0 != UInt8(ascii: ":") })
  }
}
