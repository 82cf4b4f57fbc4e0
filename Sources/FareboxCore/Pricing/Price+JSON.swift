extension Price {
  /// The price in its long form, which `parse` reads back to an equal price.
  public var json: JSON {
    var object = JSONObject()
    object.append("currency", .string(asset.code))
    object.append("components", .array(components.map(json)))
    if minimum > 0 { object.append("minimum", amount(minimum)) }
    if maxCost > 0 { object.append("max_cost", amount(maxCost)) }
    if !free.isEmpty { object.append("free", Price.names(free)) }
    if unpricedIsFree { object.append("on_unpriced", "free") }
    return .object(object)
  }

  private func json(_ component: Component) -> JSON {
    var object = JSONObject()
    if component.model != .percentage, component.model != .dynamic {
      if component.meters.isSingle {
        object.append("meter", .string(component.meters.first.name))
      } else {
        object.append("meters", Price.names(component.meters))
      }
    }
    object.append("model", .string(component.model.rawValue))
    switch component.model {
    case .perUnit: object.append("rate", .string(component.rate.description))
    case .graduated, .volume, .cliff: describeTiers(component, &object)
    case .package:
      object.append("size", .string(Price.text(quantity: component.size)))
      object.append("amount", .string(component.rate.description))
    case .percentage: describePercentage(component, &object)
    case .dynamic: break
    }
    if component.freeUnits > 0, component.model != .percentage {
      object.append("free_units", .string(Price.text(quantity: component.freeUnits)))
    }
    return .object(object)
  }

  private func describeTiers(_ component: Component, _ object: inout JSONObject) {
    let range = component.firstTier..<component.firstTier + component.tierCount
    object.append("tiers", .array(tiers[range].map(json)))
    if component.model == .cliff { object.append("by", Price.names(component.selector)) }
    if component.flatWhenZero { object.append("flat_when_zero", true) }
  }

  private func json(_ tier: Tier) -> JSON {
    var object = JSONObject()
    if tier.upTo != Int64.max { object.append("up_to", .string(Price.text(quantity: tier.upTo))) }
    object.append("rate", .string(tier.rate.description))
    if tier.flat > 0 { object.append("flat", amount(tier.flat)) }
    return .object(object)
  }

  private func describePercentage(_ component: Component, _ object: inout JSONObject) {
    object.append("percent", .string(ExactDecimal.text(component.rate.pico, scale: Rate.digits - 2, places: 0)))
    if component.fixed > 0 { object.append("fixed", amount(component.fixed)) }
    if component.lowest > 0 { object.append("minimum", amount(component.lowest)) }
    if component.highest > 0 { object.append("maximum", amount(component.highest)) }
    if component.freeUnits > 0 { object.append("free_value", amount(component.freeUnits)) }
    if component.freeRequests > 0 { object.append("free_requests", .int(component.freeRequests)) }
  }

  private func amount(_ units: Int64) -> JSON {
    .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
  }

  private static func names(_ meters: MeterSet) -> JSON {
    .array(meters.meters.map { .string($0.name) })
  }
}
