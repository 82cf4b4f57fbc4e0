/// Gathers the rates of one model, then makes its price; writes down what does not fit.
struct ModelDraft {
  let model: String
  var issues: [ImportIssue] = []
  private var rates: [Meter: Charge] = [:]
  /// The classes of which the source gives no complete rate: usage of them has no price.
  private var incomplete: MeterSet = []
  /// Whether a field was met that makes every price of the model wrong.
  private(set) var isSkipped = false

  private struct Charge {
    let field: String
    var base: Rate?
    var tiers: [(above: Int64, rate: Rate)] = []
  }

  init(model: String) {
    self.model = model
  }

  mutating func note(_ field: String, _ what: ImportIssue.What, _ detail: String) {
    issues.append(ImportIssue(model: model, field: field, what: what, detail: detail))
    if what == .skipped { isSkipped = true }
  }

  /// Takes a rate that is written for 10^digits units, from the first unit or for all units once the total input is
  /// above a number of tokens.
  mutating func add(_ meter: Meter, _ json: JSON, perDigits digits: UInt8, above: Int64? = nil, field: String) {
    guard let text = json.numberText, let rate = rate(text, digits, field) else {
      return refuse(meter, field, "the rate is not a decimal number of at least zero")
    }
    var charge = rates[meter] ?? Charge(field: field)
    if let above {
      charge.tiers.append((above, rate))
    } else {
      charge.base = rate
    }
    rates[meter] = charge
  }

  /// Leaves out a class whose rate cannot be read; without plain input or output the model has no price at all.
  mutating func refuse(_ meter: Meter, _ field: String, _ detail: String) {
    guard meter != .inputTokens, meter != .outputTokens else { return note(field, .skipped, detail) }
    leaveOut(meter, field, detail)
  }

  private mutating func leaveOut(_ meter: Meter, _ field: String, _ detail: String) {
    incomplete.insert(MeterSet(meter))
    note(field, .unrepresentable, "\(detail); the model is priced without \(meter.name), and usage of them is refused")
  }

  /// The exact rate that a meter has from the first unit on, or nil.
  func base(_ meter: Meter) -> Rate? {
    rates[meter]?.base
  }

  /// Gives a meter without a rate one that is a share of another's.
  mutating func add(_ meter: Meter, rate: Rate, field: String) {
    guard rates[meter] == nil else { return }
    rates[meter] = Charge(field: field, base: rate)
  }

  /// Whether a meter has a rate.
  func has(_ meter: Meter) -> Bool {
    rates[meter] != nil
  }

  private mutating func rate(_ text: String, _ digits: UInt8, _ field: String) -> Rate? {
    guard let written = try? ExactDecimal.parse(text), written.mantissa >= 0, written.scale <= 38 - digits,
      let exact = ExactDecimal(mantissa: written.mantissa, scale: written.scale + digits),
      let pico = exact.rounded(scale: Rate.digits, .halfEven), let rate = Rate(pico: pico)
    else { return nil }
    if exact.scale > Rate.digits {
      note(field, .changed, "\(exact) was rounded to \(rate), a multiple of 1e-12")
    }
    return rate
  }

  /// The price in US dollars of the rates taken; nil, with a note, when there are none or the model is skipped.
  mutating func price() -> Price? {
    guard !isSkipped else { return nil }
    for meter in Meter.allCases {
      guard let charge = rates[meter], charge.base == nil else { continue }
      leaveOut(meter, charge.field, "\(meter.name) have a rate above a number of tokens and none below it")
    }
    rates = rates.filter { !incomplete.contains(MeterSet($0.key)) }
    guard !rates.isEmpty else {
      note("prices", .skipped, "no rate of the model is for a meter of ours")
      return nil
    }
    var components: [Price.Component] = []
    var tiers: [Price.Tier] = []
    for meter in Meter.allCases {
      guard let charge = rates[meter], let base = charge.base else { continue }
      var component = Price.Component(meters: meters(chargedAs: meter), rate: base)
      if !charge.tiers.isEmpty {
        component.model = .cliff
        component.rate = .zero
        component.selector = .totalInput
        component.firstTier = tiers.count
        let steps = steps(base, charge.tiers)
        component.tierCount = steps.count
        tiers += steps
      }
      components.append(component)
    }
    return Price(asset: .usd, components: components, tiers: tiers)
  }

  private func steps(_ base: Rate, _ above: [(above: Int64, rate: Rate)]) -> [Price.Tier] {
    var steps: [Price.Tier] = []
    var rate = base
    for step in above.sorted(by: { $0.above < $1.above }) {
      steps.append(Price.Tier(upTo: step.above, rate: rate, flat: 0))
      rate = step.rate
    }
    return steps + [Price.Tier(upTo: .max, rate: rate, flat: 0)]
  }

  private func meters(chargedAs meter: Meter) -> MeterSet {
    let together: [Meter] =
      switch meter {
      case .inputTokens: [.cacheReadTokens, .cacheWriteTokens, .inputAudioTokens]
      case .outputTokens: [.reasoningTokens, .outputAudioTokens]
      case .requests, .units, .cacheReadTokens, .cacheWriteTokens, .reasoningTokens, .inputAudioTokens,
        .outputAudioTokens, .images, .value:
        []
      }
    return together.reduce(into: MeterSet(meter)) { set, other in
      if !has(other), !incomplete.contains(MeterSet(other)) { set.insert(MeterSet(other)) }
    }
  }
}

extension ModelDraft {
  /// A number of tokens, in millionths; nil when it is no whole number that fits, or none at all.
  static func tokens(_ json: JSON?) -> Int64? {
    guard let text = json?.numberText, let tokens = try? Price.quantity(text, field: ""), tokens > 0,
      tokens % Usage.micro == 0
    else { return nil }
    return tokens
  }
}
