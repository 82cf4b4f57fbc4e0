extension Price {
  /// The quantity that a component charges for, after its free units; nil when it does not fit.
  @inline(__always)
  private func quantity(_ component: Component, _ usage: borrowing Usage) -> Int64? {
    guard let used = usage.total(component.meters) else { return nil }
    return max(0, used - component.freeUnits)
  }

  @inline(__always)
  func perUnit(_ component: Component, _ usage: borrowing Usage, _ line: (QuoteLine) -> Void) -> Int64? {
    guard let quantity = quantity(component, usage) else { return nil }
    return charge(component, tier: -1, quantity, component.rate, flat: 0, line)
  }

  func graduated(_ component: Component, _ usage: borrowing Usage, _ line: (QuoteLine) -> Void) -> Int64? {
    guard let quantity = quantity(component, usage) else { return nil }
    guard quantity > 0 || component.flatWhenZero else { return nothing(component, line) }
    var total: Int64 = 0
    var lower: Int64 = 0
    for index in 0..<component.tierCount {
      let tier = tiers[component.firstTier + index]
      let part = min(quantity, tier.upTo) - lower
      guard let amount = charge(component, tier: index, part, tier.rate, flat: tier.flat, line) else { return nil }
      let (sum, overflow) = total.addingReportingOverflow(amount)
      guard !overflow else { return nil }
      total = sum
      lower = tier.upTo
      if quantity <= lower { break }
    }
    return total
  }

  func volume(
    _ component: Component, _ usage: borrowing Usage, selectedBy selector: MeterSet?, _ line: (QuoteLine) -> Void
  ) -> Int64? {
    guard let quantity = quantity(component, usage) else { return nil }
    guard quantity > 0 || component.flatWhenZero else { return nothing(component, line) }
    var selected = quantity
    if let selector {
      guard let total = usage.total(selector) else { return nil }
      selected = total
    }
    var index = 0
    while index < component.tierCount - 1, selected > tiers[component.firstTier + index].upTo { index += 1 }
    let tier = tiers[component.firstTier + index]
    return charge(component, tier: index, quantity, tier.rate, flat: tier.flat, line)
  }

  func package(_ component: Component, _ usage: borrowing Usage, _ line: (QuoteLine) -> Void) -> Int64? {
    guard let quantity = quantity(component, usage) else { return nil }
    let (whole, rest) = quantity.quotientAndRemainder(dividingBy: max(1, component.size))
    let (packages, overflow) = (whole + (rest > 0 ? 1 : 0)).multipliedReportingOverflow(by: Usage.micro)
    guard !overflow else { return nil }
    return charge(component, tier: -1, packages, component.rate, flat: 0, line)
  }

  func percentage(_ component: Component, _ usage: borrowing Usage, _ line: (QuoteLine) -> Void) -> Int64? {
    let value = max(0, usage[.value] - component.freeUnits)
    let requests = max(0, usage[.requests] / Usage.micro)
    let paid = max(0, requests - component.freeRequests)
    let (fixed, fixedOverflow) = component.fixed.multipliedReportingOverflow(by: paid)
    let (lowest, lowestOverflow) = component.lowest.multipliedReportingOverflow(by: requests)
    guard !fixedOverflow, !lowestOverflow, var amount = component.rate.fraction(of: value, flat: fixed) else {
      return nil
    }
    if usage[.value] > 0 { amount = max(amount, lowest) }
    if component.highest > 0 {
      let (highest, overflow) = component.highest.multipliedReportingOverflow(by: requests)
      amount = overflow ? amount : min(amount, highest)
    }
    line(
      QuoteLine(
        meter: .value, tier: -1, quantityMicro: value, ratePico: component.rate.pico64, amount: amount))
    return amount
  }

  func dynamic(_ amount: Int64, _ usage: borrowing Usage, _ line: (QuoteLine) -> Void) -> Int64 {
    line(
      QuoteLine(
        meter: .requests, tier: -1, quantityMicro: usage[.requests], ratePico: Int64.max, amount: amount))
    return amount
  }

  @inline(__always)
  private func charge(
    _ component: Component, tier: Int, _ quantity: Int64, _ rate: Rate, flat: Int64, _ line: (QuoteLine) -> Void
  ) -> Int64? {
    guard let amount = rate.times(quantity, scale: asset.scale, flat: flat) else { return nil }
    line(
      QuoteLine(
        meter: component.meters.first, tier: Int32(truncatingIfNeeded: tier), quantityMicro: quantity,
        ratePico: rate.pico64, amount: amount))
    return amount
  }

  private func nothing(_ component: Component, _ line: (QuoteLine) -> Void) -> Int64 {
    line(QuoteLine(meter: component.meters.first, tier: -1, quantityMicro: 0, ratePico: 0, amount: 0))
    return 0
  }
}
