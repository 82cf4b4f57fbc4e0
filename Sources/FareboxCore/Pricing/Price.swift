/// How a tool costs: components over meters, bounds, and what is free; immutable plain data.
///
/// Build one with `Price.parse`; apply it with `quote`.
public struct Price: Hashable, Sendable {
  /// The asset that every amount of this price is in.
  public let asset: Asset
  /// The parts, in the order of the quote's lines.
  public let components: [Component]
  /// The tiers of all components, one after the other; a component has its range of them.
  let tiers: [Tier]
  /// The least that a call costs, in atomic units; 0 is none.
  public let minimum: Int64
  /// The most that a call costs, in atomic units; 0 is none.
  public let maxCost: Int64
  /// Meters that are free of charge, besides requests.
  public let free: MeterSet
  /// Whether a usage that nothing covers is free; otherwise it is refused.
  public let unpricedIsFree: Bool

  /// The meters that are charged for or free.
  let covered: MeterSet
  /// The rate in 64 bits where the price is no more than one rate on one meter; -1 otherwise.
  let simplePico: Int64
  /// The meter of the simple rate.
  let simpleMeter: Meter

  /// What one component does with its quantity.
  public enum Model: String, Sendable, CaseIterable {
    /// quantity x rate.
    case perUnit = "per_unit"
    /// Each part of the quantity at the rate of its own tier, plus the flat fee of each tier entered.
    case graduated
    /// The whole quantity at the rate of the one tier that holds it, plus that tier's flat fee.
    case volume
    /// As `volume`, but the tier is selected by the sum of other meters, such as all input tokens.
    case cliff
    /// Each package begun costs the same.
    case package
    /// A share of the value, plus a fixed fee a request.
    case percentage
    /// The amount that the caller's callback gives.
    case dynamic
  }

  /// One tier: up to and including a quantity.
  struct Tier: Hashable, Sendable {
    /// Millionths; `Int64.max` in the last tier, which is open.
    var upTo: Int64
    var rate: Rate
    /// Atomic units.
    var flat: Int64
  }

  /// One part of a price. Quantities are millionths, amounts atomic units; fields that a model does not use are zero.
  public struct Component: Hashable, Sendable {
    /// The meters counted together.
    public internal(set) var meters: MeterSet
    /// What is done with the quantity.
    public internal(set) var model = Model.perUnit
    /// Per unit, per package, or the share of the value.
    public internal(set) var rate = Rate.zero
    /// The quantity that is not charged: the first units, or of a percentage the first of the value.
    public internal(set) var freeUnits: Int64 = 0
    /// The size of a package.
    public internal(set) var size: Int64 = 0
    /// A percentage's fee for each request.
    public internal(set) var fixed: Int64 = 0
    /// The least that a request of a percentage costs; 0 is none.
    public internal(set) var lowest: Int64 = 0
    /// The most that a request of a percentage costs; 0 is none.
    public internal(set) var highest: Int64 = 0
    /// Requests without the fixed fee.
    public internal(set) var freeRequests: Int64 = 0
    /// The meters that select a cliff's tier.
    public internal(set) var selector: MeterSet = []
    /// Whether the first tier's flat fee is due when nothing was used.
    public internal(set) var flatWhenZero = false
    var firstTier = 0
    var tierCount = 0
  }

  init(
    asset: Asset, components: [Component], tiers: [Tier] = [], minimum: Int64 = 0, maxCost: Int64 = 0,
    free: MeterSet = [], unpricedIsFree: Bool = false
  ) {
    self.asset = asset
    self.components = components
    self.tiers = tiers
    self.minimum = minimum
    self.maxCost = maxCost
    self.free = free
    self.unpricedIsFree = unpricedIsFree
    let isDynamic = components.contains { $0.model == .dynamic }
    let charged = components.reduce(into: MeterSet(.requests)) { $0.formUnion($1.meters) }
    covered = unpricedIsFree || isDynamic ? .all : charged.union(free)
    simpleMeter = components.first?.meters.first ?? .requests
    simplePico = Price.simple(components)
  }

  private static func simple(_ components: [Component]) -> Int64 {
    guard components.count == 1, let only = components.first, only.model == .perUnit, only.meters.isSingle,
      only.freeUnits == 0
    else { return -1 }
    return Int64(exactly: only.rate.pico) ?? -1
  }

  /// A price of one rate a request, for example of a tool whose price is set in code.
  public static func perRequest(_ rate: Rate, asset: Asset) -> Price {
    Price(asset: asset, components: [Component(meters: MeterSet(.requests), rate: rate)])
  }
}
