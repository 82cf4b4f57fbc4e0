extension Price {
  /// Reads a price in its short or its long form.
  ///
  /// Short: `{"cost": "0.02"}`, `{"cost": "0.001", "per": "token", "max_cost": "0.10"}`, where `per` names a meter in
  /// the singular or plural, `token` stands for every class of token, and `request` is what it is when absent.
  /// Long: `{"currency": "USD", "components": [...], "minimum": "0.01", "max_cost": "1", "free": ["images"]}`; the
  /// components are described at `Component.parse`. Both take `on_unpriced`: `refuse`, the default, or `free`.
  ///
  /// - Parameters:
  ///   - asset: Finds the asset of a currency's code.
  ///   - path: The path of the price in the input, for failures.
  ///   - defaultCurrency: The currency where the price names none.
  /// - Throws: `unknownField`, `missingField`, `invalidArgument`, `invalidAmount`, `tooPrecise`, `unrepresentable`,
  ///   `overflow`, `tooLong`, `assetNotFound`, each naming the field.
  public static func parse(
    _ json: JSON, asset find: (String) -> Asset?, path: String = "", defaultCurrency: String = "USD"
  ) throws(Failure) -> Price {
    var fields = try JSONFields(json, path: path)
    let asset = try currency(&fields, find, defaultCurrency)
    var components: [Component] = []
    var tiers: [Tier] = []
    if let cost = fields.optional("cost") {
      components.append(try short(cost, &fields))
    } else {
      guard let list = try fields.list("components", limit: Limits.components) else {
        throw Failure(.missingField, field: fields.path("cost"), "a price needs cost or components")
      }
      guard !list.isEmpty else {
        throw Failure(.missingField, field: fields.path("components"), "a price needs a component; a free one costs 0")
      }
      for (index, part) in list.enumerated() {
        let part = try ComponentReader(part, asset: asset, path: "\(fields.path("components"))[\(index)]")
        components.append(try part.read(tiers: &tiers))
      }
    }
    return try bounded(asset, components, tiers, &fields)
  }

  private static func bounded(
    _ asset: Asset, _ components: [Component], _ tiers: [Tier], _ fields: inout JSONFields
  ) throws(Failure) -> Price {
    let minimum = try amount("minimum", &fields, asset)
    let maxCost = try amount("max_cost", &fields, asset)
    if let maxCost, let minimum, maxCost < minimum {
      throw fields.wrong("max_cost", "must not be less than the minimum")
    }
    if maxCost == 0 { throw fields.wrong("max_cost", "must be more than zero; leave it out where there is none") }
    let free = try meters("free", &fields, orValue: true)
    let unpriced = try fields.text("on_unpriced", limit: 16) ?? "refuse"
    guard ["refuse", "free"].contains(unpriced) else { throw fields.wrong("on_unpriced", "must be refuse or free") }
    try fields.finish()
    return Price(
      asset: asset, components: components, tiers: tiers, minimum: minimum ?? 0, maxCost: maxCost ?? 0,
      free: free ?? [], unpricedIsFree: unpriced == "free")
  }

  private static func currency(
    _ fields: inout JSONFields, _ find: (String) -> Asset?, _ standard: String
  ) throws(Failure) -> Asset {
    let code = try fields.text("currency", limit: Limits.assetCode) ?? standard
    guard let asset = find(code) else {
      throw Failure(.assetNotFound, field: fields.path("currency"), "no asset has the code \(code)")
    }
    return asset
  }

  private static func short(_ cost: JSON, _ fields: inout JSONFields) throws(Failure) -> Component {
    var component = Component(meters: MeterSet(.requests))
    if let per = try fields.text("per", limit: 64) {
      guard let meters = meters(named: per) else {
        throw fields.wrong("per", "must name a meter, such as request, token, unit or output_token")
      }
      component.meters = meters
    }
    guard let text = cost.numberText else { throw fields.wrong("cost", "must be decimal text such as \"0.02\"") }
    component.rate = try Rate.parse(text, field: fields.path("cost"))
    component.freeUnits = try quantity("free_units", &fields) ?? 0
    return component
  }
}

extension Price {
  /// The meters of a name that can be charged by quantity: one meter, or `tokens` for all of theirs.
  static func meters(named name: String) -> MeterSet? {
    if name == "token" || name == "tokens" { return .tokens }
    guard let meter = Meter(name: name), meter != .value else { return nil }
    return MeterSet(meter)
  }

  /// A list of meters; of the value, which has no quantity, only where that is said.
  static func meters(
    _ key: String, _ fields: inout JSONFields, orValue: Bool = false
  ) throws(Failure) -> MeterSet? {
    guard let list = try fields.list(key, limit: Meter.allCases.count) else { return nil }
    var set: MeterSet = []
    for element in list {
      let name = element.string ?? ""
      if orValue, name == Meter.value.name {
        set.insert(MeterSet(.value))
        continue
      }
      guard let meters = meters(named: name) else {
        throw fields.wrong(key, "must list meters such as images or output_tokens")
      }
      set.formUnion(meters)
    }
    return set
  }

  /// A member that holds an amount of the asset, not below zero.
  static func amount(_ key: String, _ fields: inout JSONFields, _ asset: Asset) throws(Failure) -> Int64? {
    guard let value = fields.optional(key) else { return nil }
    guard let text = value.numberText else { throw fields.wrong(key, "must be decimal text such as \"0.10\"") }
    let units = try Amount.parse(text, scale: asset.scale, field: fields.path(key))
    guard units >= 0 else { throw Failure(.invalidAmount, field: fields.path(key), "must not be negative") }
    return units
  }

  /// A member that holds a quantity, not below zero.
  static func quantity(_ key: String, _ fields: inout JSONFields) throws(Failure) -> Int64? {
    guard let value = fields.optional(key) else { return nil }
    guard let text = value.numberText else { throw fields.wrong(key, "must be a number, or a string of one") }
    let quantity = try quantity(text, field: fields.path(key))
    guard quantity >= 0 else { throw fields.wrong(key, "must not be negative") }
    return quantity
  }

  /// The millionths of a decimal text.
  static func quantity(_ text: String, field: String) throws(Failure) -> Int64 {
    let decimal = try ExactDecimal.parse(text, field: field)
    guard decimal.scale <= 6 else {
      throw Failure(.tooPrecise, field: field, "a quantity has at most six digits after the point")
    }
    guard let exact = decimal.exactly(scale: 6), let quantity = Int64(exactly: exact) else {
      throw Failure(.overflow, field: field, "the quantity does not fit into 64 bits of millionths")
    }
    return quantity
  }

  /// The decimal text of millionths.
  static func text(quantity: Int64) -> String {
    ExactDecimal.text(Int128(quantity), scale: 6, places: 0)
  }
}
