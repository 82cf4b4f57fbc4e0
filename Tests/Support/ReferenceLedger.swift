package import FareboxCore

/// A ledger that is slow and obvious: every question is answered by going through everything that ever happened.
///
/// A value: a copy of it is a world that can be gone back to.
package struct ReferenceLedger: Sendable {
  struct Account {
    var isFrozen = false
    var isClosed = false
    var creditLines: [Int128] = [0, 0]
  }

  struct Posting {
    let account: Int
    let coin: Coin
    let amount: Int128
  }

  /// A charge or a hold, as budgets, caps and rates count it.
  struct Spending {
    let account: Int
    let coin: Coin
    let time: Int64
    let run: Int
    var spent: Int128
    var held: Int128
    /// Whether it is, or may still become, a charge.
    var counts: Bool
    var isHeld: Bool
    /// Refunds give back to budgets, and not to runs.
    var refunded: Int128 = 0
  }

  struct Hold {
    let serial: Int
    let spending: Int
    let account: Int
    let coin: Coin
    let sharing: Sharing
    /// The price of the reservation, or nil for a given amount.
    let tariff: Tariff?
    /// And its tool.
    let tool: Int?
    let policy: Policy
    var remaining: Int128
    var captured: Int128
    var expires: Int64
    var end: Status?
    /// What its begin asked for, where it is that of a metered call.
    var call: Beginning?
    /// What was held at first.
    var first: Int128 = 0
    /// What was answered when it ended.
    var closing: Outcome?
  }

  /// What makes a metered call the same call.
  enum CallName: Hashable {
    case given(Int)
    case derived(
      payer: Int, run: Int, call: Int, parent: Int, tool: Int, arguments: Int, ordinal: Int)
    /// One that nothing names, and whose hold is over.
    case late(Int)
  }

  /// A thing that happened, as operators are told of it.
  struct Event: Equatable {
    let type: String
    let amount: String
  }

  struct Budget {
    var terms: BudgetTerms
    /// Charges and holds before it are not counted, only what is captured in excess of them from now on.
    let since: Int
    let order: Int
  }

  /// What a capture took beyond its hold.
  struct Excess {
    let spending: Int
    let amount: Int128
    let time: Int64
    /// How much had happened before.
    let order: Int
  }

  struct Limits {
    var terms: LimitTerms
    /// What came before is not counted.
    var runsSince: Int
    var runsOrder: Int
    var rateSince: Int
    /// Runs that were idle for long, and before what they are forgotten.
    var forgotten: [Int: (count: Int, order: Int)] = [:]
  }

  /// A charge or capture that can be refunded.
  struct Charge {
    let serial: Int
    let spending: Int
    let payer: Int
    let coin: Coin
    /// What was charged, and who shares it; a capture may have several of them.
    let lines: [(sharing: Sharing, amount: Int128)]
    var refunded: Int128 = 0

    var amount: Int128 { lines.reduce(0) { $0 + $1.amount } }

    /// How a part of the whole falls on the lines: rounded down, and what is left one by one from the first on.
    func parts(of part: Int128) -> [Int128] {
      let whole = amount
      if whole == 0 { return lines.map { _ in 0 } }
      var parts = lines.map { part * $0.amount / whole }
      var left = part - parts.reduce(0, +)
      for index in parts.indices where left > 0 && lines[index].amount > 0 {
        parts[index] += 1
        left -= 1
      }
      return parts
    }
  }

  /// A skill with all that was ever registered of it.
  struct Skill {
    var current: Int
    var versions: [Int: [ToolTerms]]

    /// Whether a version, the current one where none is named, has a tool.
    func has(_ tool: Int, in version: Int? = nil) -> Bool { tool < versions[version ?? current]?.count ?? 0 }
    func everHad(_ tool: Int) -> Bool { versions.values.contains { tool < $0.count } }
  }

  struct Transfer {
    let serial: Int
    let legs: [Leg]
    var isReversed = false
  }

  /// What a request answers.
  package struct Outcome: Sendable, Equatable {
    package var status: Status
    package var coin = Coin.usd
    package var amount: Int128 = 0
    /// What the hold has left, where there is one.
    package var remaining: Int128?
    package var balance: Int128 = 0
    package var available: Int128 = 0
    /// What a refusal says that its run has cost before.
    package var spent: Int128?
    package var isReplayed = false
    package var isFinal = false
    package var isCapped = false
    /// Whether it is a receipt; a definition answers something else.
    package var isReceipt = true
    package var isReleased = false
    package var isUnreported = false
    package var shortfall: Int128 = 0
    /// What the begin of a metered call answers; nil for everything else.
    package var begun: Begun?
    /// The serial of what came about.
    package var serial = 0
  }

  /// What the begin of a metered call says.
  package struct Begun: Sendable, Equatable {
    package var isPaid = false
    package var isShared = false
    package var maximum: Int128?
  }

  var accounts = Cast.accounts.map { _ in Account() }
  /// Every posting ever made.
  var postings: [Posting] = []
  var spendings: [Spending] = []
  var excesses: [Excess] = []
  var holds: [Hold] = []
  var budgets: [Budget] = []
  var limits: [Limits?] = Cast.accounts.map { _ in nil }
  var charges: [Charge] = []
  var transfers: [Transfer] = []
  /// The skills of `Cast` that are registered.
  var skills: [Skill?] = Cast.skills.map { _ in nil }
  /// What each key was used for, and what came of it.
  var keys: [String: (action: Action, outcome: Outcome)] = [:]
  /// The holds of all tries of each metered call that has a name, in their order.
  var tries: [CallName: [Int]] = [:]
  var events: [Event] = []
  /// What this reference gets wrong on purpose.
  package var mistake: CallMistake?
  /// The time of what happened last, and of what is asked now.
  package private(set) var time: Int64 = 0
  package private(set) var now: Int64 = 0
  /// How much has happened.
  package var changes = 0

  package init() {}

  // MARK: Questions

  func wallet(_ account: Int) -> Int {
    guard !Cast.accounts[account].ownsWallet, let parent = Cast.accounts[account].parent else { return account }
    return wallet(parent)
  }

  /// The account and those above it.
  func path(_ account: Int) -> [Int] {
    [account] + (Cast.accounts[account].parent.map { path($0) } ?? [])
  }

  package func balance(_ wallet: Int, _ coin: Coin) -> Int128 {
    var sum: Int128 = 0
    for posting in postings where posting.account == wallet && posting.coin == coin { sum += posting.amount }
    return sum
  }

  package func held(_ wallet: Int, _ coin: Coin) -> Int128 {
    var sum: Int128 = 0
    for hold in holds where hold.end == nil && hold.coin == coin && self.wallet(hold.account) == wallet {
      sum += hold.remaining
    }
    return sum
  }

  package func available(_ wallet: Int, _ coin: Coin) -> Int128 {
    balance(wallet, coin) - held(wallet, coin) + accounts[wallet].creditLines[coin.rawValue]
  }

  /// All money of an asset, in and outside: zero.
  package func sum(_ coin: Coin) -> Int128 {
    Cast.accounts.indices.reduce(0) { $0 + balance($1, coin) }
  }

  /// Whether one of those who share is closed.
  func isClosed(_ sharing: Sharing) -> Bool {
    sharing.accounts.contains { accounts[$0].isClosed }
  }

  func isFrozen(_ account: Int) -> Bool {
    path(account).contains { accounts[$0].isFrozen }
  }

  /// What a budget counts in the window around a time.
  func counted(_ budget: Budget, around time: Int64) -> (spent: Int128, held: Int128) {
    let (start, end) = ReferenceLedger.window(budget.terms.window, time)
    var spent: Int128 = 0
    var held: Int128 = 0
    for one in spendings[budget.since...]
    where one.time >= start && one.time < end && path(one.account).contains(budget.terms.account) {
      if let coin = budget.terms.coin {
        guard one.coin == coin else { continue }
        spent += one.spent - one.refunded
        held += one.held
      } else {
        if one.isHeld { held += 1 } else if one.counts { spent += 1 }
      }
    }
    for excess in excesses where excess.spending < budget.since && excess.order >= budget.order {
      let hold = spendings[excess.spending]
      guard hold.coin == budget.terms.coin, hold.time >= start, hold.time < end,
        path(hold.account).contains(budget.terms.account)
      else { continue }
      spent += excess.amount
    }
    return (spent, held)
  }

  /// Whether a budget still has the window of a hold: it keeps that of now and the one before.
  func keeps(_ budget: Budget, _ hold: Hold) -> Bool {
    let begun = ReferenceLedger.window(budget.terms.window, spendings[hold.spending].time)
    let current = ReferenceLedger.window(budget.terms.window, now)
    return begun == current || begun.1 == current.0
  }

  /// Windows from 2025 on, counted on the fingers.
  static func window(_ name: String, _ time: Int64) -> (Int64, Int64) {
    func aligned(_ length: Int64) -> (Int64, Int64) {
      let monday = NaiveCalendar.microseconds(2024, 12, 30)
      let begin = time - (time - monday) % length
      return (begin, begin + length)
    }
    switch name {
    case "hour": return aligned(3_600_000_000)
    case "day": return aligned(86_400_000_000)
    case "week": return aligned(604_800_000_000)
    case "month":
      var (year, month) = (2025, 1)
      while true {
        let start = NaiveCalendar.microseconds(year, month, 1)
        (year, month) = month == 12 ? (year + 1, 1) : (year, month + 1)
        let end = NaiveCalendar.microseconds(year, month, 1)
        if time < end { return (start, end) }
      }
    default: return (.min, .max)
    }
  }

  // MARK: Time

  /// Comes to a time, at which holds may be due; time never goes back, whatever the clock does.
  mutating func come(to clock: Int64) {
    now = max(clock, time)
    let due = holds.indices.filter { holds[$0].end == nil && holds[$0].expires <= now }
    for index in due.sorted(by: { (holds[$0].expires, $0) < (holds[$1].expires, $1) }) {
      let remaining = holds[index].remaining
      finish(index, .holdExpired)
      note()
      close(index, remaining)
    }
  }

  /// Something has happened.
  mutating func note() {
    changes += 1
    time = now
  }

  mutating func finish(_ index: Int, _ end: Status) {
    let spending = holds[index].spending
    spendings[spending].held = 0
    spendings[spending].isHeld = false
    if end != .holdCaptured { spendings[spending].counts = holds[index].captured > 0 }
    holds[index].remaining = 0
    holds[index].end = end
  }

  /// A record that changes nothing but the time: the ledger's opening, or a seal.
  package mutating func pass(to clock: Int64) {
    now = max(clock, time)
    note()
  }

  /// Times to come at which something ends: the first hold and the last, the next charge that leaves an hourly rate,
  /// the window of a budget.
  package func edges(after time: Int64) -> [Int64] {
    var edges: [Int64] = []
    let due = holds.filter { $0.end == nil && $0.expires > time }.map(\.expires)
    if let first = due.min(), let last = due.max() { edges += [first, first, last] }
    for account in limits.indices {
      guard let limit = limits[account], limit.terms.perHour != nil else { continue }
      let leaving = spendings[limit.rateSince...].filter { path($0.account).contains(account) }
        .map { $0.time + 3_600_000_000 }
      if let next = leaving.filter({ $0 > time }).min() { edges.append(next) }
    }
    if let budget = budgets.first, budget.terms.window != "lifetime" {
      edges.append(ReferenceLedger.window(budget.terms.window, time).1)
    }
    return edges
  }

  /// Amounts at which a payer comes to the very edge of what is allowed: of a cap, a budget or the wallet.
  func edges(for payer: Int, _ coin: Coin, run: Int) -> [Int128] {
    var edges = [available(wallet(payer), coin)]
    for account in path(payer) {
      if let limit = limits[account]?.terms, limit.coin == coin {
        if let most = limit.perCall { edges.append(most) }
        if let most = limit.perRun, run != 0 {
          edges.append(most - runTotal(account, run))
        }
      }
      for budget in budgets where budget.terms.account == account && budget.terms.coin == coin {
        let (spent, held) = counted(budget, around: now)
        edges.append(budget.terms.limit - spent - held)
      }
    }
    return edges.filter { $0 > 0 }
  }

  /// What may be captured of a hold at the most, where it may be more than is held.
  func edges(of hold: Hold) -> [Int128] {
    let excess = edges(for: hold.account, hold.coin, run: spendings[hold.spending].run)
    var edges = excess.map { hold.remaining + $0 }
    for account in path(hold.account) {
      if let limit = limits[account]?.terms, limit.coin == hold.coin, let most = limit.perCall {
        edges.append(most - hold.captured)
      }
      for budget in budgets where budget.terms.account == account && budget.terms.coin == hold.coin {
        let (spent, held) = counted(budget, around: spendings[hold.spending].time)
        edges.append(hold.remaining + budget.terms.limit - spent - held)
      }
    }
    return edges.filter { $0 > hold.remaining }
  }

  /// What may be added to a hold at the most, and how much that leaves of a limit.
  func increaseEdges(of hold: Hold) -> [Int128] {
    var edges = edges(for: hold.account, hold.coin, run: spendings[hold.spending].run)
    for account in path(hold.account) {
      if let limit = limits[account]?.terms, limit.coin == hold.coin, let most = limit.perCall {
        edges.append(most - hold.captured - hold.remaining)
      }
      for budget in budgets where budget.terms.account == account && budget.terms.coin == hold.coin {
        let (spent, held) = counted(budget, around: spendings[hold.spending].time)
        edges.append(budget.terms.limit - spent - held)
      }
    }
    return edges.filter { $0 > 0 }
  }

  /// Whether a serial names something that is there.
  package func knows(_ serial: Int) -> Bool {
    holds.contains { $0.serial == serial } || charges.contains { $0.serial == serial }
      || transfers.contains { $0.serial == serial }
  }

  /// Drops every budget: what a canary does.
  package mutating func forgetBudgets() {
    budgets = []
  }

  /// Lets open holds last a little longer than they do: what a canary does.
  package mutating func delayExpiries() {
    for index in holds.indices where holds[index].end == nil { holds[index].expires += 1 }
  }

  /// Forgets runs that have been idle for thirty days, but for those that an open hold belongs to; a seal does so.
  package mutating func forgetRuns() {
    let oldest = time - 30 * 86_400_000_000
    for account in limits.indices {
      guard let terms = limits[account]?.terms, terms.perRun != nil else { continue }
      for run in Set(spendings.map(\.run)) where run != 0 {
        let isOpen = holds.contains { $0.end == nil && spendings[$0.spending].run == run }
        let isRecent =
          runSpendings(account, run).contains { $0.time >= oldest }
          || runExcesses(account, run).contains { $0.time >= oldest }
        if !isOpen && !isRecent { limits[account]?.forgotten[run] = (spendings.count, changes) }
      }
    }
  }

  /// What counts for a run's cap on an account.
  func runSpendings(_ account: Int, _ run: Int) -> [Spending] {
    guard let limit = limits[account] else { return [] }
    return spendings[max(limit.runsSince, limit.forgotten[run]?.count ?? 0)...].filter {
      $0.run == run && $0.coin == limit.terms.coin && path($0.account).contains(account)
    }
  }

  /// What was captured beyond holds that are older than the cap, since it was set.
  func runExcesses(_ account: Int, _ run: Int) -> [Excess] {
    guard let limit = limits[account] else { return [] }
    return excesses.filter { excess in
      let hold = spendings[excess.spending]
      return excess.spending < limit.runsSince && excess.order >= max(limit.runsOrder, limit.forgotten[run]?.order ?? 0)
        && hold.run == run && hold.coin == limit.terms.coin && path(hold.account).contains(account)
    }
  }

  /// What a run has cost so far, as an account's cap counts it.
  func runTotal(_ account: Int, _ run: Int) -> Int128 {
    runSpendings(account, run).reduce(0) { $0 + $1.spent + $1.held }
      + runExcesses(account, run).reduce(0) { $0 + $1.amount }
  }
}
