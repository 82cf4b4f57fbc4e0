/// A table of prices by name, each with the times in which it applies, and own prices of single customers.
public struct RateCard: Sendable, Equatable {
  /// The card's name.
  public let name: String
  /// The currency of prices that name none.
  public let currency: String
  /// Where the rates come from, for people: a file, a version, an address.
  public let source: String
  /// The entries; of two that fit a name the earlier one is found.
  public let entries: [Entry]
  /// The entries of each name and alias, in the order of the card.
  private let byName: [String: [Int]]
  /// The entries with a rule, by provider; of no provider under the empty text.
  private let ruled: [String: [Int]]
  private let providers: Set<String>

  /// Bytes of a name, an alias or a rule's text.
  static let longestName = Limits.rateName
  /// Entries of one card.
  static let mostEntries = 50_000
  /// Aliases of one entry, or rules in one list.
  static let mostAliases = 256
  /// Versions of one entry.
  static let mostVersions = 1_000

  /// One name with its prices over time.
  public struct Entry: Sendable, Hashable {
    /// The name; with a provider, `provider/name` finds it.
    public let name: String
    /// Whose offer it is, where names are only unique for a provider.
    public let provider: String?
    /// Further names that find it without the provider.
    public let aliases: [String]
    /// A rule for further names, tried after all exact names.
    public let match: NameMatch?
    /// The account whose own price this is, or nil for everybody's.
    public let customer: String?
    /// In the order of their beginning.
    public let versions: [Version]

    /// An entry; its versions may come in any order.
    public init(
      name: String, provider: String? = nil, aliases: [String] = [], match: NameMatch? = nil, customer: String? = nil,
      versions: [Version]
    ) {
      self.name = name
      self.provider = provider
      self.aliases = aliases
      self.match = match
      self.customer = customer
      self.versions = versions.sorted { $0.effectiveFrom < $1.effectiveFrom }
    }

    /// The price at a time in microseconds since 1970: of the versions that apply the one that began last.
    public func price(at time: Int64) -> Price? {
      versions.last { $0.effectiveFrom <= time && time < $0.effectiveTo }?.price
    }
  }

  /// A price with the time in which it applies, from the first microsecond up to but without the last.
  public struct Version: Sendable, Hashable {
    /// Microseconds since 1970; `Int64.min` is always.
    public let effectiveFrom: Int64
    /// Microseconds since 1970; `Int64.max` is never.
    public let effectiveTo: Int64
    /// What the name costs in this time.
    public let price: Price

    /// A version; without times it always applies.
    public init(effectiveFrom: Int64 = .min, effectiveTo: Int64 = .max, price: Price) {
      self.effectiveFrom = effectiveFrom
      self.effectiveTo = effectiveTo
      self.price = price
    }
  }

  /// A card of these entries.
  public init(name: String, currency: String, source: String, entries: [Entry]) {
    self.name = name
    self.currency = currency
    self.source = source
    self.entries = entries
    var byName: [String: [Int]] = [:]
    var ruled: [String: [Int]] = [:]
    for (index, entry) in entries.enumerated() {
      let full = entry.provider.map { "\($0)/\(entry.name)" } ?? entry.name
      for name in Set([full] + entry.aliases) { byName[name, default: []].append(index) }
      if entry.match != nil { ruled[entry.provider ?? "", default: []].append(index) }
    }
    self.byName = byName
    self.ruled = ruled
    providers = Set(entries.compactMap(\.provider))
  }
}

extension RateCard {
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

  /// The entry that a name finds: everybody's, or one customer's own.
  public func entry(for name: String, customer: String?) -> Entry? {
    if let index = byName[name]?.first(where: { entries[$0].customer == customer }) { return entries[index] }
    let (provider, rest) = split(name)
    let name = rest.lowercased()
    for index in ruled[provider] ?? [] where entries[index].customer == customer {
      guard let matches = entries[index].match?.matches(name) else { return nil }
      if matches { return entries[index] }
    }
    return nil
  }

  private func split(_ name: String) -> (provider: String, name: String) {
    let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, providers.contains(String(parts[0])) else { return ("", name) }
    return (String(parts[0]), String(parts[1]))
  }
}
