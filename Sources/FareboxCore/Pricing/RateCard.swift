/// A table of prices by name, each with the times in which it applies, and own prices of single customers.
public struct RateCard: Sendable {
  /// The card's name.
  public let name: String
  /// The currency of prices that name none.
  public let currency: String
  /// Where the rates come from, for people: a file, a version, an address.
  public let source: String
  /// The entries; of two that fit a name the earlier one is found.
  public let entries: [Entry]
  /// How a name that is not on the card finds a rate.
  public let naming: Naming
  /// Whose offers the card has, in the order in which they are asked; only of a card with `Naming.genaiPrices`.
  public let providers: [Provider]
  /// The entries of each name and alias, in the order of the card.
  let byName: [String: [Int]]
  /// The entries by name in lower case; only of a card with `Naming.litellm`.
  let byLowerName: [String: Int]
  /// The entries with a rule, by provider; of no provider under the empty text.
  let ruled: [String: [Int]]
  /// The rule of each entry.
  let tests: [NameTest?]
  /// The rules of each provider.
  let providerTests: [(names: NameTest?, ids: NameTest?)]
  /// The last part of each entry's name, in lower case and without a tag such as `:free`.
  let stems: [[UInt8]]
  /// The providers of entries, and with `Naming.litellm` their vendors.
  let providerNames: Set<String>

  /// Bytes of a name, an alias or a rule's text.
  static let longestName = Limits.rateName
  /// Entries of one card.
  static let mostEntries = 50_000
  /// Aliases of one entry, or rules in one list.
  static let mostAliases = 256
  /// Providers of one card.
  static let mostProviders = 1_000
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
    /// Who serves it, as litellm names that; part of no name.
    public let vendor: String?
    /// In the order of their beginning.
    public let versions: [Version]

    /// An entry; its versions may come in any order.
    public init(
      name: String, provider: String? = nil, aliases: [String] = [], match: NameMatch? = nil, customer: String? = nil,
      vendor: String? = nil, versions: [Version]
    ) {
      self.name = name
      self.provider = provider
      self.vendor = vendor
      self.aliases = aliases
      self.match = match
      self.customer = customer
      self.versions = versions.sorted { $0.effectiveFrom < $1.effectiveFrom }
    }

    /// The name with its provider, which is unique on the card.
    public var fullName: String { provider.map { "\($0)/\(name)" } ?? name }

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

  /// How a name that is not on the card finds a rate.
  public enum Naming: String, Sendable, CaseIterable {
    /// By the rule of an entry: of one without a provider, or for `provider/name`.
    case plain
    /// As genai-prices finds a model: a provider, then the first of its models whose rule fits.
    case genaiPrices = "genai-prices"
    /// As litellm finds a model: the name without its provider, region, version or fine-tuning.
    case litellm
  }

  /// Whose offers some entries are.
  public struct Provider: Sendable, Hashable {
    /// The `provider` of its entries.
    public let id: String
    /// The names of models that are this provider's without saying so.
    public let names: NameMatch?
    /// Further ids of the provider.
    public let ids: NameMatch?
    /// The providers whose models it serves at their prices, in order.
    public let fallbacks: [String]

    /// A provider; the fields explain themselves.
    public init(id: String, names: NameMatch? = nil, ids: NameMatch? = nil, fallbacks: [String] = []) {
      self.id = id
      self.names = names
      self.ids = ids
      self.fallbacks = fallbacks
    }
  }

  /// A card of these entries.
  public init(
    name: String, currency: String, source: String, entries: [Entry], naming: Naming = .plain,
    providers: [Provider] = []
  ) {
    self.name = name
    self.currency = currency
    self.source = source
    self.entries = entries
    self.naming = naming
    self.providers = providers
    var byName: [String: [Int]] = [:]
    var byLowerName: [String: Int] = [:]
    var ruled: [String: [Int]] = [:]
    for (index, entry) in entries.enumerated() {
      for name in Set([entry.fullName] + entry.aliases) { byName[name, default: []].append(index) }
      if entry.match != nil { ruled[entry.provider ?? "", default: []].append(index) }
      if naming == .litellm, entry.customer == nil { byLowerName[entry.fullName.lowercased()] = index }
    }
    self.byName = byName
    self.byLowerName = byLowerName
    self.ruled = ruled
    stems = entries.map { RateCard.stem($0.fullName) }
    tests = entries.map { $0.match.map(NameTest.init) }
    providerTests = providers.map { ($0.names.map(NameTest.init), $0.ids.map(NameTest.init)) }
    providerNames = Set(entries.compactMap { naming == .litellm ? $0.vendor : $0.provider })
  }
}

extension RateCard: Equatable {
  public static func == (left: RateCard, right: RateCard) -> Bool {
    left.name == right.name && left.currency == right.currency && left.source == right.source
      && left.naming == right.naming && left.providers == right.providers && left.entries == right.entries
  }
}
