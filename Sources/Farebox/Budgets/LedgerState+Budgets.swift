internal import FareboxCore

extension LedgerState {
  /// Counts a charge, or a hold with `spent` false, in every budget and cap on the account's path.
  mutating func count(
    _ account: UInt32, at time: Int64, amount: Int64, asset: UInt16, run heap: Heap, spent: Bool, record: UInt64
  ) {
    var index = Int32(bitPattern: account)
    while index >= 0 {
      let entry = accounts[Int(index)]
      if entry.guardIndex >= 0 {
        countGuard(Int(entry.guardIndex), time, amount, asset, heap, spent)
      }
      index = entry.parent
    }
  }

  private mutating func countGuard(
    _ index: Int, _ time: Int64, _ amount: Int64, _ asset: UInt16, _ heap: Heap, _ spent: Bool
  ) {
    for position in guards[index].budgets.indices {
      let budget = Int(guards[index].budgets[position])
      if budgets[budget].isRemoved { continue }
      budgets[budget].roll(to: time)
      let weight = budgets[budget].weight(amount, asset)
      budgets[budget].adjust(at: time, spent: spent ? weight : 0, held: spent ? 0 : weight)
    }
    if guards[index].chargesPerHour != nil {
      guards[index].recent.add(time)
    }
    if guards[index].perRun != nil, guards[index].capAsset == asset {
      let run = heap[.run]
      if !run.isEmpty { addToRun(index, runHash(run), amount, time) }
    }
  }

  private mutating func addToRun(_ index: Int, _ run: UInt64, _ amount: Int64, _ time: Int64) {
    guards[index].runs[run, default: RunTotal()].total &+= amount
    guards[index].runs[run]?.last = time
  }

  /// Moves a hold's money from held to spent, in the windows in which the hold began.
  ///
  /// - Parameters:
  ///   - freed: what is no longer held.
  ///   - spent: what was charged.
  ///   - excess: the part of it that was not held; limits that were set after the hold count that alone.
  ///   - ended: whether the hold is over; then a budget that counts charges decides about this one.
  ///   - counts: whether it counts as a charge.
  ///   - now: when it is settled.
  mutating func settle(
    _ hold: Hold, _ number: UInt64, freed: Int64, spent: Int64, excess: Int64, ended: Bool, counts: Bool, now: Int64
  ) {
    var index = Int32(bitPattern: hold.account)
    while index >= 0 {
      let entry = accounts[Int(index)]
      if entry.guardIndex >= 0 {
        settleGuard(Int(entry.guardIndex), hold, number, freed, spent, ended, counts)
        if excess > 0 { countExcess(Int(entry.guardIndex), hold, number, excess, now) }
      }
      index = entry.parent
    }
  }

  private mutating func settleGuard(
    _ index: Int, _ hold: Hold, _ number: UInt64, _ freed: Int64, _ spent: Int64, _ ended: Bool, _ counts: Bool
  ) {
    for position in guards[index].budgets.indices {
      let budget = Int(guards[index].budgets[position])
      // A budget set after the hold began has not counted it.
      if budgets[budget].isRemoved || budgets[budget].created > number { continue }
      budgets[budget].roll(to: hold.time)
      if budgets[budget].countsCharges {
        if ended { budgets[budget].adjust(at: hold.time, spent: counts ? 1 : 0, held: -1) }
      } else if budgets[budget].weight(1, hold.asset) != 0 {
        budgets[budget].adjust(at: hold.time, spent: spent, held: 0 &- freed)
      }
    }
    if guards[index].perRun != nil, hold.run != 0, guards[index].capAsset == hold.asset,
      guards[index].countsRunsFrom < number
    {
      // A run that was forgotten meanwhile has nothing left to settle.
      guards[index].runs[hold.run]?.total &+= spent &- freed
    }
  }

  /// Counts the excess over a hold in the limits that were set after it began.
  private mutating func countExcess(_ index: Int, _ hold: Hold, _ number: UInt64, _ excess: Int64, _ now: Int64) {
    for position in guards[index].budgets.indices {
      let budget = Int(guards[index].budgets[position])
      guard !budgets[budget].isRemoved, !budgets[budget].countsCharges, budgets[budget].created > number,
        budgets[budget].weight(1, hold.asset) != 0
      else { continue }
      budgets[budget].countExcess(excess, at: hold.time, now: now)
    }
    if guards[index].perRun != nil, hold.run != 0, guards[index].capAsset == hold.asset,
      guards[index].countsRunsFrom > number
    {
      addToRun(index, hold.run, excess, now)
    }
  }

  /// Takes a refund out of the window in which the charge was counted.
  mutating func refundBudgets(_ account: UInt32, at time: Int64, amount: Int64, asset: UInt16, charge: UInt64) {
    var index = Int32(bitPattern: account)
    while index >= 0 {
      let entry = accounts[Int(index)]
      if entry.guardIndex >= 0 {
        for position in guards[Int(entry.guardIndex)].budgets.indices {
          let budget = Int(guards[Int(entry.guardIndex)].budgets[position])
          if budgets[budget].isRemoved || budgets[budget].countsCharges || budgets[budget].created > charge { continue }
          budgets[budget].adjust(at: time, spent: 0 &- budgets[budget].weight(amount, asset), held: 0)
        }
      }
      index = entry.parent
    }
  }

  /// Remembers that a threshold's event was raised in this window.
  mutating func noteThreshold(_ record: Record) {
    guard record.reference > 0, record.reference <= budgets.count, record.detail < 64 else { return }
    budgets[Int(record.reference) - 1].current.raised |= 1 << Int64(record.detail)
  }

  /// The first limit on an account's path that a charge would pass, or nil.
  ///
  /// Order, from the payer up for each: per-call cap, per-run cap, hourly rate, budgets.
  ///
  /// - Parameters:
  ///   - amount: what the call costs.
  ///   - added: what it adds to what is counted already; less than `amount` for the excess of a capture.
  ///   - isNew: whether it is a charge of its own, which rates and counts count.
  ///   - countedAt: the time in whose window it counts: now, or when its hold began.
  ///   - since: budgets and caps that were set after this record do not count it, so they do not limit it.
  mutating func limitPassed(
    _ account: UInt32, at time: Int64, amount: Int64, added: Int64, asset: UInt16, run: UInt64, isNew: Bool,
    countedAt: Int64, since: UInt64 = .max
  ) -> Refusal? {
    var index = Int32(bitPattern: account)
    var refusal: Refusal?
    var rank = UInt8.max
    while index >= 0 {
      let entry = accounts[Int(index)]
      if entry.guardIndex >= 0, rank > 0,
        let found = guardPassed(Int(entry.guardIndex), time, amount, added, asset, run, isNew, countedAt, since),
        found.rank < rank
      {
        refusal = found.refusal
        rank = found.rank
      }
      index = entry.parent
    }
    return refusal
  }

  private mutating func guardPassed(
    _ index: Int, _ time: Int64, _ amount: Int64, _ added: Int64, _ asset: UInt16, _ run: UInt64, _ isNew: Bool,
    _ countedAt: Int64, _ since: UInt64
  ) -> (refusal: Refusal, rank: UInt8)? {
    let account = guards[index].account
    if let limit = guards[index].perCall, guards[index].capAsset == asset, amount > limit {
      return (Refusal(.overCallCap, .perCall, account, asset, limit: limit, requested: amount), 0)
    }
    if let limit = guards[index].perRun, guards[index].capAsset == asset, run != 0, guards[index].countsRunsFrom < since
    {
      let total = guards[index].runs[run]?.total ?? 0
      if Limit.isPassed(limit, total, 0, added) {
        return (Refusal(.overRunCap, .perRun, account, asset, limit: limit, spent: total, requested: added), 1)
      }
    }
    if isNew, let limit = guards[index].chargesPerHour {
      let count = guards[index].recent.count(at: time)
      if count >= limit {
        return (
          Refusal(
            .rateLimited, .chargesPerHour, account, asset, limit: Int64(limit), spent: Int64(count), requested: 1),
          2
        )
      }
    }
    for position in guards[index].budgets.indices {
      let budget = Int(guards[index].budgets[position])
      if budgets[budget].isRemoved || budgets[budget].created > since { continue }
      let weight = budgets[budget].countsCharges ? (isNew ? 1 : 0) : budgets[budget].weight(added, asset)
      guard let window = budgets[budget].window(of: countedAt, at: time) else { continue }
      if weight > 0, Limit.isPassed(budgets[budget].limit, window.spent, window.held, weight) {
        var refusal = Refusal(
          .overBudget, .budget, account, asset, limit: budgets[budget].limit, spent: window.spent, held: window.held,
          requested: weight)
        refusal.budget = Int32(budget)
        refusal.window = window
        return (refusal, 3)
      }
    }
    return nil
  }
}

enum Limit {
  /// Whether spent + held + added is more than a limit; a sum that does not fit is more.
  static func isPassed(_ limit: Int64, _ spent: Int64, _ held: Int64, _ added: Int64) -> Bool {
    let (counted, first) = spent.addingReportingOverflow(held)
    let (total, second) = counted.addingReportingOverflow(added)
    return first || second || total > limit
  }
}
