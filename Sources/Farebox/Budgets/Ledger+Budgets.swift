internal import FareboxCore

/// What `budget.set` asks for.
struct BudgetTerms {
  let account: UInt32
  let name: String
  let window: WindowKind
  /// The asset counted, or nil for a budget that counts charges.
  var asset: UInt16?
  let limit: Int64
  let thresholds: [Int64]
}

extension Ledger {
  /// Refuses a budget that cannot be set, whatever its asset.
  func checkBudget(_ terms: BudgetTerms) throws(Rejection) {
    guard terms.limit >= 0 else {
      throw .failed(Failure(.invalidAmount, field: terms.asset == nil ? "count" : "amount", "It must not be negative."))
    }
    for (index, threshold) in terms.thresholds.enumerated() where !(1...1_000).contains(threshold) {
      throw .failed(
        Failure(.invalidArgument, field: "thresholds[\(index)]", "A threshold is from 1 to 1000 per cent."))
    }
    let existing = state.accounts[Int(terms.account)].guardIndex
    if existing >= 0, state.guards[Int(existing)].budgets.count >= Limits.budgets,
      !state.guards[Int(existing)].budgets.contains(where: { state.budgets[Int($0)].name == terms.name })
    {
      throw .failed(Failure(.tooLong, field: "name", "An account has at most \(Limits.budgets) budgets."))
    }
  }

  /// Sets a budget that `checkBudget` lets pass, or changes the limit of the one with the same name; what it has counted
  /// stays counted.
  mutating func setBudget(_ terms: BudgetTerms, at time: Int64) throws(Rejection) {
    var fields: [(String, JSON)] = [
      ("name", .string(terms.name)), ("window", .string(terms.window.name)), ("limit", .int(terms.limit)),
      ("counts_charges", .bool(terms.asset == nil)),
    ]
    if !terms.thresholds.isEmpty { fields.append(("thresholds", .array(terms.thresholds.sorted().map { .int($0) }))) }
    try define(
      .budget, .object(JSONObject(fields)), account: terms.account, asset: terms.asset ?? 0, at: time)
  }

  mutating func removeBudget(_ account: UInt32, _ name: String, at time: Int64) throws(Rejection) {
    let index = state.accounts[Int(account)].guardIndex
    guard index >= 0,
      let found = state.guards[Int(index)].budgets.first(where: { state.budgets[Int($0)].name == name })
    else { throw .failed(Failure(.budgetNotFound, field: "name", "The account has no budget of this name.")) }
    let budget = state.budgets[Int(found)]
    try define(
      .budget, ["name": .string(name), "window": .string(budget.window.name), "removed": true], account: account,
      at: time)
  }

  /// Refuses caps and a rate that cannot be set.
  static func checkLimits(perCall: Int64?, perRun: Int64?, chargesPerHour: Int64?) throws(Rejection) {
    for (field, value) in [("per_call", perCall), ("per_run", perRun), ("charges_per_hour", chargesPerHour)] {
      if let value, value < 0 { throw .failed(Failure(.invalidAmount, field: field, "It must not be negative.")) }
    }
    if let chargesPerHour, chargesPerHour > Limits.ratePerHour {
      throw .failed(
        Failure(.tooLong, field: "charges_per_hour", "An hourly rate is at most \(Limits.ratePerHour) charges."))
    }
  }

  /// Sets an account's caps and rate, which `checkLimits` lets pass; nil is none.
  mutating func setLimits(
    _ account: UInt32, perCall: Int64?, perRun: Int64?, chargesPerHour: Int64?, asset: UInt16, at time: Int64
  ) throws(Rejection) {
    var fields: [(String, JSON)] = []
    if let perCall { fields.append(("per_call", .int(perCall))) }
    if let perRun { fields.append(("per_run", .int(perRun))) }
    if let chargesPerHour { fields.append(("charges_per_hour", .int(chargesPerHour))) }
    try define(.limits, .object(JSONObject(fields)), account: account, asset: asset, at: time)
  }

  /// Raises an event for each threshold that a charge has just reached; once a window.
  mutating func raiseThresholds(_ account: UInt32, at time: Int64) throws(Rejection) {
    var index = Int32(bitPattern: account)
    while index >= 0 {
      let entry = state.accounts[Int(index)]
      if entry.guardIndex >= 0 {
        for position in state.guards[Int(entry.guardIndex)].budgets.indices {
          let budget = Int(state.guards[Int(entry.guardIndex)].budgets[position])
          if !state.budgets[budget].thresholds.isEmpty { try raiseThresholds(budget: budget, at: time) }
        }
      }
      index = entry.parent
    }
  }

  private mutating func raiseThresholds(budget index: Int, at time: Int64) throws(Rejection) {
    let budget = state.budgets[index]
    let window = budget.current
    guard budget.limit > 0 else { return }
    for (position, threshold) in budget.thresholds.enumerated() where window.raised >> Int64(position) & 1 == 0 {
      let (used, overflow) = window.spent.addingReportingOverflow(window.held)
      guard overflow || Int128(used) * 100 >= Int128(budget.limit) * Int128(threshold) else { continue }
      var record = Record(.event, time: time)
      record.account = budget.account
      record.reference = UInt64(index) + 1
      record.detail = UInt32(position)
      let asset = budget.asset < 0 ? nil : state.catalog.assets[Int(budget.asset)]
      func text(_ units: Int64) -> String {
        asset.map { Amount.text(units, scale: $0.scale, minorDigits: $0.minorDigits) } ?? String(units)
      }
      let event: JSON = [
        "type": "budget.threshold_reached", "account": .string(state.accountNames[budget.account]),
        "budget": .string(budget.name), "threshold": .int(threshold), "limit": .string(text(budget.limit)),
        "spent": .string(text(window.spent)), "held": .string(text(window.held)),
        "unit": .string(asset?.code ?? "charges"), "window": .string(budget.window.name),
      ]
      log.beginRecord()
      log.addField(.definition, event.serialized())
      _ = try append(&record)
    }
  }
}
