/// One line of a quote: quantity x rate + flat = amount, rounded half to even once.
public struct QuoteLine: Hashable, Sendable {
  /// The meter charged for; of several counted together the one of the lowest number.
  public let meter: Meter
  /// The index of the tier, or -1.
  public let tier: Int32
  /// Millionths of the meter's unit after free units; packages of a package price; atomic units of a value.
  public let quantityMicro: Int64
  /// 1e-12 of the asset's major unit a unit or package; of a percentage 1e-12 of the value; `Int64.max` where it does
  /// not fit and for a dynamic amount.
  public let ratePico: Int64
  /// Atomic units.
  public let amount: Int64

  /// A line; the fields explain themselves.
  public init(meter: Meter, tier: Int32, quantityMicro: Int64, ratePico: Int64, amount: Int64) {
    self.meter = meter
    self.tier = tier
    self.quantityMicro = quantityMicro
    self.ratePico = ratePico
    self.amount = amount
  }
}

/// What a usage costs.
public struct QuoteTotal: Hashable, Sendable {
  /// Atomic units: the sum of the lines, raised to the price's minimum, cut to the lower of the two maxima.
  public let total: Int64
  /// Whether a maximum bound the total, or stood in for a price that could not be computed.
  public let capped: Bool

  /// A total, capped or not.
  public init(total: Int64, capped: Bool) {
    self.total = total
    self.capped = capped
  }
}

extension Price {
  /// Applies the price to a usage; allocates nothing unless it fails.
  ///
  /// Every component gives at least one line; a component with tiers gives one for each tier entered. Each line is
  /// rounded once, half to even, and the total is their sum.
  ///
  /// A usage is unpriceable when a meter is not zero that no component charges for and that is not declared free
  /// (requests always are), or when a dynamic component gets no amount. That is refused, unless there is a maximum,
  /// the price's or the caller's: then the total is that maximum, capped, without lines.
  ///
  /// - Parameters:
  ///   - dynamicAmount: Atomic units that the callback of a dynamic price gave.
  ///   - maxCost: The caller's maximum in atomic units; nil is none.
  ///   - line: Takes the lines in order.
  /// - Throws: `unpriceable`, `overflow`, `invalidAmount` for a negative dynamic amount or maximum.
  public func quote(
    _ usage: borrowing Usage, dynamicAmount: Int64? = nil, maxCost: Int64? = nil, line: (QuoteLine) -> Void
  ) throws(Failure) -> QuoteTotal {
    if let maxCost, maxCost < 0 { throw Failure(.invalidAmount, field: "max_cost", "must not be negative") }
    guard usage.present.isSubset(of: covered) else {
      return try unpriced(maxCost, usage.present.subtracting(covered).first.name)
    }
    guard simplePico < 0 else { return try simpleQuote(usage, maxCost, line) }
    var total: Int64 = 0
    for component in components {
      let amount: Int64?
      switch component.model {
      case .perUnit: amount = perUnit(component, usage, line)
      case .graduated: amount = graduated(component, usage, line)
      case .volume: amount = volume(component, usage, selectedBy: nil, line)
      case .cliff: amount = volume(component, usage, selectedBy: component.selector, line)
      case .package: amount = package(component, usage, line)
      case .percentage: amount = percentage(component, usage, line)
      case .dynamic:
        guard let dynamicAmount else { return try unpriced(maxCost, "amount") }
        guard dynamicAmount >= 0 else { throw Failure(.invalidAmount, field: "amount", "must not be negative") }
        amount = dynamic(dynamicAmount, usage, line)
      }
      guard let amount else { throw Price.tooLarge() }
      let (sum, overflow) = total.addingReportingOverflow(amount)
      guard !overflow else { throw Price.tooLarge() }
      total = sum
    }
    return bound(total, maxCost)
  }

  @inline(__always)
  private func simpleQuote(
    _ usage: borrowing Usage, _ maxCost: Int64?, _ line: (QuoteLine) -> Void
  ) throws(Failure) -> QuoteTotal {
    let quantity = usage[simpleMeter]
    guard let amount = Rate.product(quantity, Int128(simplePico), digits: 18 - Int(asset.scale), flat: 0) else {
      throw Price.tooLarge()
    }
    line(QuoteLine(meter: simpleMeter, tier: -1, quantityMicro: quantity, ratePico: simplePico, amount: amount))
    return bound(amount, maxCost)
  }

  @inline(__always)
  private func bound(_ sum: Int64, _ callers: Int64?) -> QuoteTotal {
    let total = max(sum, minimum)
    if let highest = lowestMaximum(callers), total > highest { return QuoteTotal(total: highest, capped: true) }
    return QuoteTotal(total: total, capped: false)
  }

  /// The lower of the price's and the caller's maximum, or nil where there is neither.
  @inline(__always)
  private func lowestMaximum(_ callers: Int64?) -> Int64? {
    guard let callers else { return maxCost == 0 ? nil : maxCost }
    return maxCost == 0 ? callers : min(callers, maxCost)
  }

  private func unpriced(_ maxCost: Int64?, _ what: String) throws(Failure) -> QuoteTotal {
    guard let highest = lowestMaximum(maxCost) else {
      throw Failure(
        .unpriceable, field: "usage.\(what)", "the price does not cover \(what), and there is no max_cost",
        details: ["meter": .string(what)])
    }
    return QuoteTotal(total: highest, capped: true)
  }

  private static func tooLarge() -> Failure {
    Failure(.overflow, field: "usage", "the price of this usage does not fit into 64 bits of atomic units")
  }
}
