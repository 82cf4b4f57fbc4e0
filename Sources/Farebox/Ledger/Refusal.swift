internal import FareboxCore

/// Why money was refused: the binding constraint, as plain numbers that cost nothing to make.
struct Refusal {
  enum Constraint: String {
    case wallet
    case budget
    case perCall = "per_call"
    case perRun = "per_run"
    case chargesPerHour = "charges_per_hour"
    case maxCost = "max_cost"
  }

  // In this order the compiler finds no unused bits to keep the case of a `Rejection` in, beside bytes that nobody
  // writes: a memory checker could not tell the one from the others.
  let status: Status
  /// The account whose constraint it is.
  let account: UInt32
  let constraint: Constraint
  let asset: UInt16
  /// Index of the budget, or -1.
  var budget: Int32 = -1
  let limit: Int64
  let spent: Int64
  let held: Int64
  let requested: Int64
  /// What is held for this very call, and so does not come back for it.
  var owned: Int64 = 0
  /// The budget's window that the amount would be counted in.
  var window = BudgetWindow()

  init(
    _ status: Status, _ constraint: Constraint, _ account: UInt32, _ asset: UInt16, limit: Int64, spent: Int64 = 0,
    held: Int64 = 0, requested: Int64
  ) {
    self.status = status
    self.constraint = constraint
    self.account = account
    self.asset = asset
    self.limit = limit
    self.spent = spent
    self.held = held
    self.requested = requested
  }
}

extension LedgerState {
  /// Tells a refusal in words and facts.
  func failure(_ refusal: Refusal) -> Failure {
    let asset = catalog.assets[Int(refusal.asset)]
    let countsCharges =
      refusal.constraint == .chargesPerHour
      || (refusal.budget >= 0 && budgets[Int(refusal.budget)].countsCharges)
    func text(_ units: Int64) -> String {
      countsCharges ? String(units) : Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits)
    }
    let name = accountNames[refusal.account]
    var facts: [(String, JSON)] = [
      ("constraint", .string(refusal.constraint.rawValue)), ("account", .string(name)),
      ("limit", .string(text(refusal.limit))), ("spent", .string(text(refusal.spent))),
      ("held", .string(text(refusal.held))), ("requested", .string(text(refusal.requested))),
      ("unit", .string(countsCharges ? "charges" : asset.code)),
    ]
    if refusal.budget >= 0 {
      let budget = budgets[Int(refusal.budget)]
      facts.append(("budget", .string(budget.name)))
      facts.append(("window", .string(budget.window.name)))
      if budget.window != .lifetime { facts.append(("resets_at", .int(refusal.window.end))) }
    }
    if refusal.held > 0 { facts.append(("held_by", .array(holders(refusal, countsCharges, text)))) }
    let cause = cause(of: refusal)
    facts.append(("cause", .string(cause.rawValue)))
    let resets = refusal.budget >= 0 && budgets[Int(refusal.budget)].window != .lifetime
    return Failure(
      refusal.status, cause, resets: resets ? Calendar.minuteText(refusal.window.end) : "",
      sentence(refusal, name, text, countsCharges ? "charges" : asset.code), details: .object(JSONObject(facts)))
  }

  /// Tells "empty" from "held by calls under way".
  private func cause(of refusal: Refusal) -> PaymentRefusal.Cause {
    switch refusal.constraint {
    case .wallet:
      let (whole, overflow) = refusal.limit.addingReportingOverflow(refusal.held - refusal.owned)
      if overflow || refusal.requested <= whole { return .held }
      return whole <= 0 ? .empty : .low
    case .budget:
      if refusal.requested > refusal.limit { return .budgetSize }
      return Limit.isPassed(refusal.limit, refusal.spent, refusal.owned, refusal.requested) ? .budget : .budgetHeld
    case .perCall: return .callCap
    case .perRun: return .runCap
    case .chargesPerHour: return .rate
    case .maxCost: return .maxCost
    }
  }

  private func sentence(
    _ refusal: Refusal, _ name: String, _ text: (Int64) -> String, _ unit: String
  ) -> String {
    let asked = "\(text(refusal.requested)) \(unit)"
    let used = "\(text(refusal.spent)) spent and \(text(refusal.held)) held of \(text(refusal.limit))"
    switch refusal.constraint {
    case .wallet:
      return "\(name) has \(text(refusal.limit)) \(unit) available, of \(text(refusal.spent)) with "
        + "\(text(refusal.held)) held; \(asked) was asked for."
    case .budget:
      let budget = refusal.budget >= 0 ? budgets[Int(refusal.budget)].name : ""
      return "Budget '\(budget)' of \(name) has \(used) \(unit); \(asked) was asked for."
    case .perCall: return "One call may cost \(text(refusal.limit)) \(unit) on \(name); this costs \(asked)."
    case .perRun: return "The run has \(used) \(unit) on \(name); \(asked) was asked for."
    case .chargesPerHour: return "\(name) has made \(text(refusal.spent)) of \(text(refusal.limit)) charges this hour."
    case .maxCost: return "The price is \(asked); max_cost is \(text(refusal.limit))."
    }
  }

  /// The holds, largest first and five at the most, that count on an account.
  private func holders(_ refusal: Refusal, _ countsCharges: Bool, _ text: (Int64) -> String) -> [JSON] {
    var found: [(number: UInt64, hold: Hold)] = []
    // A ledger may have a million holds; a refusal must not cost a look at all of them.
    for (number, hold) in holds.prefix(20_000) where countsCharges || hold.asset == refusal.asset {
      if refusal.budget >= 0 {
        let budget = budgets[Int(refusal.budget)]
        let isCounted = refusal.window.contains(hold.time) && number > budget.created
        guard isCounted, isInside(hold.account, refusal.account) else { continue }
      } else {
        guard wallet(of: hold.account) == refusal.account else { continue }
      }
      found.append((number, hold))
    }
    found.sort { ($1.hold.remaining, $0.number) < ($0.hold.remaining, $1.number) }
    return found.prefix(5).map { entry in
      .object([
        "hold": Shapes.number(HoldID(number: entry.number, tag: entry.hold.tag).value),
        "account": .string(accountNames[entry.hold.account]),
        "amount": .string(countsCharges ? "1" : text(entry.hold.remaining)), "expires": .int(entry.hold.expires),
      ])
    }
  }
}
