import FareboxCore

/// A ledger that is slow and obvious: every question is answered by going through everything that ever happened.
struct ReferenceLedger {
  struct Account {
    var parent: String?
    var ownsWallet: Bool
    var isFrozen = false
    var creditLine: Int128 = 0
  }

  /// A charge or a hold, as budgets, caps and rates count it.
  struct Spending {
    let number: Int
    let account: String
    let time: Int64
    let run: String
    var spent: Int128
    var held: Int128
    /// Whether it is, or may still become, a charge.
    var counts: Bool
    var isHeld: Bool
  }

  struct Hold {
    let spending: Int
    let account: String
    let payee: String
    let policy: String
    var remaining: Int128
    var captured: Int128
    var expires: Int64
    var end: Status?
  }

  struct Budget {
    let account: String
    let name: String
    let window: String
    let countsCharges: Bool
    var limit: Int128
    /// Charges and holds before it are not counted.
    let since: Int
  }

  struct Limits {
    var perCall: Int128?
    var perRun: Int128?
    var perHour: Int?
    /// What came before is not counted.
    var runsSince: Int
    var rateSince: Int
  }

  /// A charge or capture that can be refunded.
  struct Charge {
    let spending: Int
    let payer: String
    let payee: String
    let amount: Int128
    var refunded: Int128 = 0
  }

  var accounts: [String: Account] = [:]
  /// Every posting ever made.
  var postings: [(account: String, amount: Int128)] = []
  var spendings: [Spending] = []
  var holds: [Hold] = []
  var budgets: [Budget] = []
  var limits: [String: Limits] = [:]
  var charges: [Charge] = []
  /// What each key was used for, and what came of it.
  var keys: [String: (request: String, outcome: Outcome)] = [:]
  var now: Int64

  /// What a call answers.
  struct Outcome: Equatable {
    var status: Status
    var amount: Int128 = 0
    /// Index into `holds` or `charges`.
    var index = -1
    var balance: Int128 = 0
    var available: Int128 = 0
    var isReplayed = false
  }

  // MARK: Questions

  func wallet(_ name: String) -> String {
    guard let account = accounts[name], !account.ownsWallet, let parent = account.parent else { return name }
    return wallet(parent)
  }

  func path(_ name: String) -> [String] {
    [name] + (accounts[name]?.parent.map { path($0) } ?? [])
  }

  func balance(_ wallet: String) -> Int128 {
    postings.reduce(0) { $1.account == wallet ? $0 + $1.amount : $0 }
  }

  func held(_ wallet: String) -> Int128 {
    holds.reduce(0) { $1.end == nil && self.wallet($1.account) == wallet ? $0 + $1.remaining : $0 }
  }

  func available(_ wallet: String) -> Int128 {
    balance(wallet) - held(wallet) + (accounts[wallet]?.creditLine ?? 0)
  }

  func counted(_ budget: Budget, around time: Int64) -> (spent: Int128, held: Int128) {
    let (start, end) = ReferenceLedger.window(budget.window, time)
    var spent: Int128 = 0
    var held: Int128 = 0
    for one in spendings[budget.since...]
    where one.time >= start && one.time < end && path(one.account).contains(budget.account) {
      if budget.countsCharges {
        if one.isHeld { held += 1 } else if one.counts { spent += 1 }
      } else {
        spent += one.spent - refunds.reduce(0) { $1.spending == one.number ? $0 + $1.amount : $0 }
        held += one.held
      }
    }
    return (spent, held)
  }

  /// Windows in 2026, counted on the fingers.
  static func window(_ name: String, _ time: Int64) -> (Int64, Int64) {
    func aligned(_ length: Int64, from start: Int64) -> (Int64, Int64) {
      let begin = time - (time - start) % length
      return (begin, begin + length)
    }
    let monday = NaiveCalendar.microseconds(2025, 12, 29)
    switch name {
    case "hour": return aligned(3_600_000_000, from: monday)
    case "day": return aligned(86_400_000_000, from: monday)
    case "week": return aligned(604_800_000_000, from: monday)
    case "month":
      for month in 1...11 where time < NaiveCalendar.microseconds(2026, month + 1, 1) {
        return (NaiveCalendar.microseconds(2026, month, 1), NaiveCalendar.microseconds(2026, month + 1, 1))
      }
      return (NaiveCalendar.microseconds(2026, 12, 1), NaiveCalendar.microseconds(2027, 1, 1))
    default: return (.min, .max)
    }
  }

  // MARK: Decisions

  /// The first reason, in the documented order, not to spend an amount.
  private func refusal(_ account: String, _ amount: Int128, _ run: String) -> Status? {
    let path = path(account)
    if path.contains(where: { accounts[$0]?.isFrozen ?? false }) { return .accountFrozen }
    for name in path { if let limit = limits[name]?.perCall, amount > limit { return .overCallCap } }
    for name in path where !run.isEmpty {
      guard let limit = limits[name], let most = limit.perRun else { continue }
      let total = spendings[limit.runsSince...].reduce(0) {
        $1.run == run && self.path($1.account).contains(name) ? $0 + $1.spent + $1.held : $0
      }
      if total + amount > most { return .overRunCap }
    }
    for name in path {
      guard let limit = limits[name], let most = limit.perHour else { continue }
      let count = spendings[limit.rateSince...].count {
        $0.time > now - 3_600_000_000 && self.path($0.account).contains(name)
      }
      if count >= most { return .rateLimited }
    }
    for name in path {
      for budget in budgets where budget.account == name {
        let (spent, held) = counted(budget, around: now)
        let weight = budget.countsCharges ? 1 : amount
        if weight > 0, spent + held + weight > budget.limit { return .overBudget }
      }
    }
    return amount > available(wallet(account)) ? .insufficientFunds : nil
  }

  private func outcome(_ amount: Int128, _ index: Int, _ wallet: String) -> Outcome {
    Outcome(status: .ok, amount: amount, index: index, balance: balance(wallet), available: available(wallet))
  }

  /// Answers a repeated request from memory, and remembers a new one.
  private mutating func once(_ key: String, _ request: String, _ decide: (inout ReferenceLedger) -> Outcome) -> Outcome
  {
    expire()
    if !key.isEmpty, let known = keys[key] {
      guard known.request == request else { return Outcome(status: .keyConflict) }
      var outcome = known.outcome
      outcome.isReplayed = true
      return outcome
    }
    let outcome = decide(&self)
    if !key.isEmpty, outcome.status == .ok { keys[key] = (request, outcome) }
    return outcome
  }

  mutating func expire() {
    for index in holds.indices where holds[index].end == nil && holds[index].expires <= now {
      finish(index, .holdExpired)
    }
  }

  private mutating func finish(_ index: Int, _ end: Status) {
    let spending = holds[index].spending
    spendings[spending].held = 0
    spendings[spending].isHeld = false
    if end != .holdCaptured { spendings[spending].counts = holds[index].captured > 0 }
    holds[index].remaining = 0
    holds[index].end = end
  }

  mutating func deposit(_ account: String, _ amount: Int128, key: String) -> Outcome {
    once(key, "deposit \(account) \(amount)") { ledger in
      ledger.postings.append(("external", -amount))
      ledger.postings.append((ledger.wallet(account), amount))
      return ledger.outcome(amount, -1, ledger.wallet(account))
    }
  }

  mutating func charge(_ account: String, _ amount: Int128, payee: String, run: String, key: String) -> Outcome {
    once(key, "charge \(account) \(amount) \(payee) \(run)") { ledger in
      if let refusal = ledger.refusal(account, amount, run) { return Outcome(status: refusal) }
      ledger.postings.append((ledger.wallet(account), -amount))
      ledger.postings.append((payee, amount))
      ledger.spendings.append(
        Spending(
          number: ledger.spendings.count, account: account, time: ledger.now, run: run, spent: amount, held: 0,
          counts: true, isHeld: false))
      ledger.charges.append(
        Charge(spending: ledger.spendings.count - 1, payer: account, payee: payee, amount: amount))
      return ledger.outcome(amount, ledger.charges.count - 1, ledger.wallet(account))
    }
  }

  mutating func reserve(
    _ account: String, _ amount: Int128, payee: String, run: String, milliseconds: Int64, policy: String, key: String
  ) -> Outcome {
    once(key, "reserve \(account) \(amount) \(payee) \(run) \(milliseconds) \(policy)") { ledger in
      if let refusal = ledger.refusal(account, amount, run) { return Outcome(status: refusal) }
      ledger.spendings.append(
        Spending(
          number: ledger.spendings.count, account: account, time: ledger.now, run: run, spent: 0, held: amount,
          counts: true, isHeld: true))
      ledger.holds.append(
        Hold(
          spending: ledger.spendings.count - 1, account: account, payee: payee, policy: policy, remaining: amount,
          captured: 0, expires: ledger.now + milliseconds * 1_000))
      return ledger.outcome(amount, ledger.holds.count - 1, ledger.wallet(account))
    }
  }

  mutating func capture(_ index: Int, _ amount: Int128?, isFinal: Bool, key: String) -> Outcome {
    once(key, "capture \(index) \(amount.map(String.init) ?? "rest") \(isFinal)") { ledger in
      let hold = ledger.holds[index]
      if let end = hold.end { return Outcome(status: end) }
      var amount = amount ?? hold.remaining
      if amount > hold.remaining {
        guard hold.policy == "cap" else { return Outcome(status: .overCapture) }
        amount = hold.remaining
      }
      let wallet = ledger.wallet(hold.account)
      ledger.postings.append((wallet, -amount))
      ledger.postings.append((hold.payee, amount))
      ledger.holds[index].remaining -= amount
      ledger.holds[index].captured += amount
      ledger.spendings[hold.spending].spent += amount
      ledger.spendings[hold.spending].held -= amount
      if isFinal { ledger.finish(index, .holdCaptured) }
      ledger.charges.append(
        Charge(spending: hold.spending, payer: hold.account, payee: hold.payee, amount: amount))
      return ledger.outcome(amount, ledger.charges.count - 1, wallet)
    }
  }

  mutating func release(_ index: Int) -> Outcome {
    expire()
    if let end = holds[index].end { return Outcome(status: end) }
    let amount = holds[index].remaining
    finish(index, .holdReleased)
    return outcome(amount, index, wallet(holds[index].account))
  }

  mutating func extend(_ index: Int, milliseconds: Int64) -> Outcome {
    expire()
    if let end = holds[index].end { return Outcome(status: end) }
    holds[index].expires = now + milliseconds * 1_000
    return outcome(0, index, wallet(holds[index].account))
  }

  mutating func refund(_ index: Int, _ amount: Int128?, key: String) -> Outcome {
    once(key, "refund \(index) \(amount.map(String.init) ?? "rest")") { ledger in
      let charge = ledger.charges[index]
      let amount = amount ?? charge.amount - charge.refunded
      let left = charge.amount - charge.refunded
      guard amount <= left, left > 0 || charge.amount == 0 else { return Outcome(status: .overRefund) }
      ledger.charges[index].refunded += amount
      ledger.postings.append((ledger.wallet(charge.payer), amount))
      ledger.postings.append((charge.payee, -amount))
      ledger.refunds.append((charge.spending, amount))
      return ledger.outcome(amount, index, ledger.wallet(charge.payer))
    }
  }

  /// Refunds give back to budgets, and not to runs.
  var refunds: [(spending: Int, amount: Int128)] = []

  mutating func transfer(_ from: String, _ to: String, _ amount: Int128, key: String) -> Outcome {
    once(key, "transfer \(from) \(to) \(amount)") { ledger in
      if amount > 0, ledger.accounts[from]?.isFrozen ?? false { return Outcome(status: .accountFrozen) }
      guard amount == 0 || amount <= ledger.available(from) else { return Outcome(status: .insufficientFunds) }
      ledger.postings.append((from, -amount))
      ledger.postings.append((to, amount))
      return ledger.outcome(amount, -1, from)
    }
  }
}
