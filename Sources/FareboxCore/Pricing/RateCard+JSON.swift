extension RateCard {
  /// Reads a rate card.
  ///
  /// `{"name", "currency", "source", "entries": [{"name", "provider", "aliases", "match", "customer", "versions":
  /// [{"from", "to", "price"}]}]}`, and for the names of a price list `naming`, `providers` of `id`, `names`, `ids` and
  /// `fallbacks`, and each entry's `vendor`. A single price that always applies may stand as `price` in the entry; an empty
  /// list of versions is a name without a price. Times are microseconds since 1970, or a date such as `2026-01-31`,
  /// at its midnight in UTC.
  /// - Throws: the failures of `Price.parse` and of the strict reader, with the path.
  public static func parse(
    _ json: JSON, asset: (String) -> Asset?, path: String = "", defaultCurrency: String = "USD"
  ) throws(Failure) -> RateCard {
    var fields = try JSONFields(json, path: path)
    let name = try required("name", &fields)
    let currency = try fields.text("currency", limit: Limits.assetCode) ?? defaultCurrency
    let source = try fields.text("source", limit: Limits.description) ?? ""
    guard let list = try fields.list("entries", limit: mostEntries) else {
      throw Failure(.missingField, field: fields.path("entries"), "is missing")
    }
    var entries: [Entry] = []
    entries.reserveCapacity(list.count)
    for (index, element) in list.enumerated() {
      let path = "\(fields.path("entries"))[\(index)]"
      entries.append(try entry(element, asset: asset, path: path, currency: currency))
    }
    let naming = try naming(&fields)
    let providers = try providers(&fields)
    try fields.finish()
    return RateCard(
      name: name, currency: currency, source: source, entries: entries, naming: naming, providers: providers)
  }

  private static func naming(_ fields: inout JSONFields) throws(Failure) -> Naming {
    guard let text = try fields.text("naming", limit: 32) else { return .plain }
    guard let naming = Naming(rawValue: text) else {
      throw fields.wrong("naming", "must be \(Naming.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return naming
  }

  private static func providers(_ fields: inout JSONFields) throws(Failure) -> [Provider] {
    var providers: [Provider] = []
    for (index, element) in (try fields.list("providers", limit: mostProviders) ?? []).enumerated() {
      var provider = try JSONFields(element, path: "\(fields.path("providers"))[\(index)]")
      let id = try required("id", &provider)
      let names = try rule("names", &provider)
      let ids = try rule("ids", &provider)
      let fallbacks = try texts("fallbacks", &provider)
      try provider.finish()
      providers.append(Provider(id: id, names: names, ids: ids, fallbacks: fallbacks))
    }
    return providers
  }

  private static func rule(_ key: String, _ fields: inout JSONFields) throws(Failure) -> NameMatch? {
    guard let rule = fields.optional(key) else { return nil }
    return try NameMatch.parse(rule, path: fields.path(key))
  }

  private static func entry(
    _ json: JSON, asset: (String) -> Asset?, path: String, currency: String
  ) throws(Failure) -> Entry {
    var fields = try JSONFields(json, path: path)
    let name = try required("name", &fields)
    let provider = try fields.text("provider", limit: longestName)
    let customer = try fields.text("customer", limit: Limits.accountName)
    let aliases = try texts("aliases", &fields)
    let match = try rule("match", &fields)
    let vendor = try fields.text("vendor", limit: longestName)
    var versions: [Version] = []
    if let price = fields.optional("price") {
      let price = try Price.parse(price, asset: asset, path: fields.path("price"), defaultCurrency: currency)
      versions.append(Version(price: price))
    }
    let list = try fields.list("versions", limit: mostVersions)
    for (index, element) in (list ?? []).enumerated() {
      let path = "\(fields.path("versions"))[\(index)]"
      versions.append(try version(element, asset: asset, path: path, currency: currency))
    }
    guard !versions.isEmpty || list != nil else {
      throw Failure(.missingField, field: fields.path("price"), "an entry needs price or versions")
    }
    try fields.finish()
    return Entry(
      name: name, provider: provider, aliases: aliases, match: match, customer: customer, vendor: vendor,
      versions: versions)
  }

  private static func version(
    _ json: JSON, asset: (String) -> Asset?, path: String, currency: String
  ) throws(Failure) -> Version {
    var fields = try JSONFields(json, path: path)
    let from = try time("from", &fields) ?? .min
    let to = try time("to", &fields) ?? .max
    guard from < to else { throw fields.wrong("to", "must be later than from") }
    let price = try Price.parse(
      try fields.required("price"), asset: asset, path: fields.path("price"), defaultCurrency: currency)
    try fields.finish()
    return Version(effectiveFrom: from, effectiveTo: to, price: price)
  }

  private static func required(_ key: String, _ fields: inout JSONFields) throws(Failure) -> String {
    guard let text = try fields.text(key, limit: longestName), !text.isEmpty else {
      throw Failure(.missingField, field: fields.path(key), "is missing")
    }
    return text
  }

  private static func texts(_ key: String, _ fields: inout JSONFields) throws(Failure) -> [String] {
    var texts: [String] = []
    for element in try fields.list(key, limit: mostAliases) ?? [] {
      guard let text = element.string, !text.isEmpty, text.utf8.count <= longestName else {
        throw fields.wrong(key, "must list texts of at most \(longestName) bytes")
      }
      texts.append(text)
    }
    return texts
  }

  private static func time(_ key: String, _ fields: inout JSONFields) throws(Failure) -> Int64? {
    guard let value = fields.optional(key) else { return nil }
    guard let time = value.int64 ?? value.string.flatMap(Day.microseconds) else {
      throw fields.wrong(key, "must be microseconds since 1970 or a date such as 2026-01-31")
    }
    return time
  }
}

extension RateCard {
  /// The rate card as JSON that `parse` reads back to an equal card.
  public var json: JSON {
    var object = JSONObject()
    object.append("name", .string(name))
    object.append("currency", .string(currency))
    object.append("source", .string(source))
    if naming != .plain { object.append("naming", .string(naming.rawValue)) }
    if !providers.isEmpty { object.append("providers", .array(providers.map(RateCard.json))) }
    object.append("entries", .array(entries.map(RateCard.json)))
    return .object(object)
  }

  private static func json(_ provider: Provider) -> JSON {
    var object = JSONObject()
    object.append("id", .string(provider.id))
    if let names = provider.names { object.append("names", names.json) }
    if let ids = provider.ids { object.append("ids", ids.json) }
    if !provider.fallbacks.isEmpty {
      object.append("fallbacks", .array(provider.fallbacks.map { .string($0) }))
    }
    return .object(object)
  }

  private static func json(_ entry: Entry) -> JSON {
    var object = JSONObject()
    object.append("name", .string(entry.name))
    if let provider = entry.provider { object.append("provider", .string(provider)) }
    if !entry.aliases.isEmpty { object.append("aliases", .array(entry.aliases.map { .string($0) })) }
    if let match = entry.match { object.append("match", match.json) }
    if let vendor = entry.vendor { object.append("vendor", .string(vendor)) }
    if let customer = entry.customer { object.append("customer", .string(customer)) }
    object.append("versions", .array(entry.versions.map(json)))
    return .object(object)
  }

  private static func json(_ version: Version) -> JSON {
    var object = JSONObject()
    if version.effectiveFrom != .min { object.append("from", .int(version.effectiveFrom)) }
    if version.effectiveTo != .max { object.append("to", .int(version.effectiveTo)) }
    object.append("price", version.price.json)
    return .object(object)
  }
}
