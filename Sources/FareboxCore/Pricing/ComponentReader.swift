/// Reads one component of a price in its long form.
///
/// `meter` (or `meters`, counted together) and `model`, by default `per_unit`; then, by model:
/// - `per_unit`: `rate`, `per`, `free_units`
/// - `graduated`, `volume`: `tiers` of `up_to`, `rate`, `flat`, the last without `up_to`; `per`, `free_units`,
///   `flat_when_zero`
/// - `cliff`: as `volume`, and `by`, the meters whose sum selects the tier, by default all that goes in
/// - `package`: `size`, `amount`, `free_units`
/// - `percentage`: `percent` of the value, `fixed` a request, `minimum` and `maximum` a request, `free_value`,
///   `free_requests`
/// - `flat`: `amount` a request
/// - `dynamic`: nothing; the caller's callback gives the amount
///
/// A rate is for one unit, or for `per` units where that divides exactly.
struct ComponentReader {
  private var fields: JSONFields
  private let asset: Asset

  init(_ json: JSON, asset: Asset, path: String) throws(Failure) {
    fields = try JSONFields(json, path: path)
    self.asset = asset
  }

  consuming func read(tiers: inout [Price.Tier]) throws(Failure) -> Price.Component {
    let name = try fields.text("model", limit: 32) ?? Price.Model.perUnit.rawValue
    let component: Price.Component
    if name == "flat" {
      component = try flat()
    } else {
      guard let model = Price.Model(rawValue: name) else {
        throw fields.wrong("model", "must be \(Price.Model.allCases.map(\.rawValue).joined(separator: ", ")) or flat")
      }
      component = try read(model, tiers: &tiers)
    }
    try fields.finish()
    return component
  }

  private mutating func read(_ model: Price.Model, tiers: inout [Price.Tier]) throws(Failure) -> Price.Component {
    switch model {
    case .perUnit: return try perUnit()
    case .graduated, .volume, .cliff: return try tiered(model, &tiers)
    case .package: return try package()
    case .percentage: return try percentage()
    case .dynamic: return Price.Component(meters: MeterSet(.requests), model: .dynamic)
    }
  }

  private mutating func flat() throws(Failure) -> Price.Component {
    Price.Component(meters: MeterSet(.requests), rate: try rate("amount", &fields, per: 1))
  }

  private mutating func perUnit() throws(Failure) -> Price.Component {
    var component = Price.Component(meters: try meters())
    component.rate = try rate("rate", &fields, per: try per())
    component.freeUnits = try Price.quantity("free_units", &fields) ?? 0
    return component
  }

  private mutating func package() throws(Failure) -> Price.Component {
    var component = Price.Component(meters: try meters(), model: .package)
    component.size = try Price.quantity("size", &fields) ?? Usage.micro
    guard component.size > 0 else { throw fields.wrong("size", "must be more than zero") }
    component.rate = try rate("amount", &fields, per: 1)
    component.freeUnits = try Price.quantity("free_units", &fields) ?? 0
    return component
  }

  private mutating func percentage() throws(Failure) -> Price.Component {
    var component = Price.Component(meters: MeterSet(.value), model: .percentage)
    component.rate = try rate("percent", &fields, per: 100)
    component.fixed = try Price.amount("fixed", &fields, asset) ?? 0
    component.lowest = try Price.amount("minimum", &fields, asset) ?? 0
    component.highest = try Price.amount("maximum", &fields, asset) ?? 0
    component.freeUnits = try Price.amount("free_value", &fields, asset) ?? 0
    if let free = try fields.integer("free_requests") {
      guard free >= 0 else { throw fields.wrong("free_requests", "must not be negative") }
      component.freeRequests = free
    }
    guard component.highest == 0 || component.highest >= component.lowest else {
      throw fields.wrong("maximum", "must not be less than the minimum")
    }
    return component
  }

  private mutating func tiered(_ model: Price.Model, _ tiers: inout [Price.Tier]) throws(Failure) -> Price.Component {
    var component = Price.Component(meters: try meters(), model: model)
    component.freeUnits = try Price.quantity("free_units", &fields) ?? 0
    component.flatWhenZero = try fields.flag("flat_when_zero") ?? false
    if model == .cliff {
      component.selector = try Price.meters("by", &fields) ?? .totalInput
      guard !component.selector.isEmpty else { throw fields.wrong("by", "must not be empty") }
    }
    let per = try per()
    guard let list = try fields.list("tiers", limit: Limits.tiers), !list.isEmpty else {
      throw Failure(.missingField, field: fields.path("tiers"), "needs at least one tier")
    }
    component.firstTier = tiers.count
    component.tierCount = list.count
    var previous: Int64 = 0
    for (index, json) in list.enumerated() {
      let path = "\(fields.path("tiers"))[\(index)]"
      let tier = try tier(json, isLast: index == list.count - 1, after: previous, per: per, path: path)
      previous = tier.upTo
      tiers.append(tier)
    }
    return component
  }

  private func tier(
    _ json: JSON, isLast: Bool, after previous: Int64, per: Int64, path: String
  ) throws(Failure) -> Price.Tier {
    var tier = try JSONFields(json, path: path)
    let upTo = try Price.quantity("up_to", &tier)
    guard (upTo == nil) == isLast else {
      throw tier.wrong("up_to", isLast ? "must be absent in the last tier, which is open" : "is missing")
    }
    if let upTo, upTo <= previous { throw tier.wrong("up_to", "must be more than that of the tier before") }
    let rate = tier.optional("rate") == nil ? Rate.zero : try rate("rate", &tier, per: per)
    let flat = try Price.amount("flat", &tier, asset) ?? 0
    try tier.finish()
    return Price.Tier(upTo: upTo ?? Int64.max, rate: rate, flat: flat)
  }

  private mutating func meters() throws(Failure) -> MeterSet {
    if let set = try Price.meters("meters", &fields) {
      guard !set.isEmpty else { throw fields.wrong("meters", "must not be empty") }
      guard fields.optional("meter") == nil else { throw fields.wrong("meter", "give meter or meters, not both") }
      return set
    }
    let name = try fields.required("meter")
    guard let text = name.string, let set = Price.meters(named: text) else {
      throw fields.wrong("meter", "must name a meter, such as requests, units or output_tokens")
    }
    return set
  }

  private mutating func per() throws(Failure) -> Int64 {
    let per = try fields.integer("per") ?? 1
    guard per > 0 else { throw fields.wrong("per", "must be more than zero") }
    return per
  }

  /// A rate that is written for `per` units, or a percentage for a hundred.
  private func rate(_ key: String, _ fields: inout JSONFields, per: Int64) throws(Failure) -> Rate {
    let value = try fields.required(key)
    guard let text = value.numberText else { throw fields.wrong(key, "must be decimal text such as \"0.02\"") }
    guard per != 1 else { return try Rate.parse(text, field: fields.path(key)) }
    let decimal = try ExactDecimal.parse(text, field: fields.path(key))
    guard decimal.mantissa >= 0 else {
      throw Failure(.invalidAmount, field: fields.path(key), "a rate must not be negative")
    }
    guard let pico = decimal.exactly(scale: Rate.digits), pico % Int128(per) == 0 else {
      throw Failure(.unrepresentable, field: fields.path(key), "divided by \(per) it is not a multiple of 1e-12")
    }
    return Rate(trusted: pico / Int128(per))
  }
}
