internal import FareboxCore

extension ReferenceLedger {
  /// Decides requests that share a turn, in their order.
  ///
  /// - Parameter clock: what the caller's clock shows.
  package mutating func decide(_ requests: [Request], at clock: Int64) -> [Outcome] {
    come(to: clock)
    return requests.map { decide($0) }
  }

  /// Answers a repeated request from memory, and remembers a new one.
  private mutating func decide(_ request: Request) -> Outcome {
    if !request.key.isEmpty, let known = keys[request.key] {
      guard known.action == request.action else { return Outcome(status: .keyConflict) }
      var outcome = known.outcome
      outcome.isReplayed = true
      return outcome
    }
    var outcome = decide(request.action, request.serial)
    if outcome.serial == 0 { outcome.serial = request.serial }
    if !request.key.isEmpty, outcome.status == .ok { keys[request.key] = (request.action, outcome) }
    return outcome
  }

  private mutating func decide(_ action: Action, _ serial: Int) -> Outcome {
    switch action {
    case .openAsset, .openAccount:
      note()
      return ReferenceLedger.defined
    case .deposit(let account, let coin, let amount):
      if accounts[account].isClosed { return Outcome(status: .accountClosed) }
      post(0, coin, -amount)
      post(wallet(account), coin, amount)
      note()
      return outcome(coin, amount, wallet(account))
    case .withdraw(let account, let coin, let amount):
      if isFrozen(account) { return Outcome(status: .accountFrozen) }
      guard amount <= available(wallet(account), coin) else { return Outcome(status: .insufficientFunds) }
      post(wallet(account), coin, -amount)
      post(0, coin, amount)
      note()
      return outcome(coin, amount, wallet(account))
    case .charge(let payment): return charge(payment, serial)
    case .reserve(let payment, let milliseconds, let policy): return reserve(payment, milliseconds, policy, serial)
    case .increase(let hold, let amount, _): return increase(hold, amount)
    case .capture(let hold, let taking, let isFinal, _): return capture(hold, taking, isFinal, serial)
    case .release(let hold):
      return withOpenHold(hold) { ledger, index in
        let remaining = ledger.holds[index].remaining
        ledger.finish(index, .holdReleased)
        ledger.note()
        ledger.close(index, remaining)
        var outcome = ledger.holds[index].closing ?? Outcome(status: .internal)
        outcome.isReleased = false
        return outcome
      }
    case .begin(let call): return begin(call, serial)
    case .finish(let hold, let ending, _): return finish(hold, ending, serial)
    case .extend(let hold, let milliseconds):
      return withOpenHold(hold) { ledger, index in
        ledger.holds[index].expires = ledger.now + milliseconds * 1_000
        ledger.note()
        let hold = ledger.holds[index]
        var outcome = ledger.outcome(hold.coin, 0, ledger.wallet(hold.account))
        outcome.remaining = hold.remaining
        return outcome
      }
    case .refund(let charge, let amount, _): return refund(charge, amount)
    case .transfer(let legs): return transfer(legs, serial)
    case .reverse(let transfer): return reverse(transfer)
    case .setBudget(let terms): return setBudget(terms)
    case .removeBudget(let account, let name):
      let found = budgets.firstIndex { $0.terms.account == account && $0.terms.name == name }
      guard let found else { return Outcome(status: .budgetNotFound) }
      budgets.remove(at: found)
      note()
      return ReferenceLedger.defined
    case .setLimits(let account, let terms): return setLimits(account, terms)
    case .setFrozen(let account, let isFrozen):
      if accounts[account].isFrozen != isFrozen { note() }
      accounts[account].isFrozen = isFrozen
      return ReferenceLedger.defined
    case .close(let account):
      if !accounts[account].isClosed { note() }
      accounts[account].isClosed = true
      return ReferenceLedger.defined
    case .setCredit(let account, let coin, let line):
      accounts[account].creditLines[coin.rawValue] = line
      note()
      return ReferenceLedger.defined
    case .register(let skill, let version, let tools, let keepsCurrent):
      if let known = skills[skill], known.versions[version] != nil, keepsCurrent || known.current == version {
        return ReferenceLedger.defined
      }
      if tools.contains(where: { isClosed($0.sharing) }) { return Outcome(status: .accountClosed) }
      var known = skills[skill] ?? Skill(current: version, versions: [:])
      known.current = version
      known.versions[version] = tools
      skills[skill] = known
      note()
      return ReferenceLedger.defined
    }
  }

  private static let defined: Outcome = {
    var outcome = Outcome(status: .ok)
    outcome.isReceipt = false
    return outcome
  }()

  func outcome(_ coin: Coin, _ amount: Int128, _ wallet: Int) -> Outcome {
    Outcome(
      status: .ok, coin: coin, amount: amount, balance: balance(wallet, coin), available: available(wallet, coin))
  }

  mutating func post(_ account: Int, _ coin: Coin, _ amount: Int128) {
    postings.append(Posting(account: account, coin: coin, amount: amount))
  }

  // MARK: Charges and holds

  /// A payment with its price.
  struct Order {
    let amount: Int128
    let coin: Coin
    let sharing: Sharing
    var tariff: Tariff?
    var tool: Int?
    var isCapped = false
  }

  /// A tool that a name has led to: one number for each tool of each skill, and what it costs.
  typealias Found = (tool: Int, terms: ToolTerms)

  /// What a name of a tool leads to, or why it leads nowhere.
  func find(_ tool: Int, _ form: ToolForm) -> Result<Found, Refused> {
    func found(_ skill: Int, _ version: Int?) -> Result<Found, Refused> {
      guard let known = skills[skill], known.everHad(tool) else { return .failure(Refused(.toolNotFound)) }
      guard let version else {
        return known.has(tool) ? found(skill, known.current) : .failure(Refused(.toolDisabled))
      }
      guard known.has(tool, in: version), let tools = known.versions[version] else {
        return .failure(Refused(.toolNotFound))
      }
      return .success((skill * Cast.tools.count + tool, tools[tool]))
    }
    switch form {
    case .full(let skill): return found(skill, nil)
    case .pinned(let skill, let version): return found(skill, version)
    case .plain:
      let all = skills.indices.filter { skills[$0]?.everHad(tool) ?? false }
      let offered = all.filter { skills[$0]?.has(tool) ?? false }
      let fitting = offered.isEmpty ? all : offered
      if fitting.count > 1 { return .failure(Refused(.toolAmbiguous)) }
      return fitting.first.map { found($0, nil) } ?? .failure(Refused(.toolNotFound))
    }
  }

  struct Refused: Error {
    let status: Status

    init(_ status: Status) {
      self.status = status
    }
  }

  private func order(_ payment: Payment, isHold: Bool) -> Result<Order, Refused> {
    switch payment.cost {
    case .amount(let amount, let coin, let payee):
      return .success(Order(amount: amount, coin: coin, sharing: Sharing(accounts: [payee], parts: [1])))
    case .tool(let index, let units):
      return find(index, payment.form).map { found in
        if isHold, let most = payment.maxCost { return order(found, (scaled(most, found.terms.coin), false)) }
        return order(found, found.terms.tariff.cost(Int128(units ?? 1)))
      }
    case .dynamic(let given):
      return find(Cast.dynamicTool, payment.form).flatMap { found in
        dynamicOrder(found, given, payment.maxCost, isHold: isHold)
      }
    }
  }

  private func order(_ found: Found, _ cost: (amount: Int128, isCapped: Bool)) -> Order {
    Order(
      amount: cost.amount, coin: found.terms.coin, sharing: found.terms.sharing, tariff: found.terms.tariff,
      tool: found.tool, isCapped: cost.isCapped)
  }

  /// What a dynamic price comes to: the amount given, or a maximum where there is none.
  private func dynamicOrder(
    _ found: Found, _ given: Int128?, _ most: Int128?, isHold: Bool
  ) -> Result<Order, Refused> {
    let tool = found.terms
    let most = most.map { scaled($0, tool.coin) }
    let cost = given.map { tool.tariff.cost(scaled($0, tool.coin)) }
    if isHold, let most {
      let isCut = cost.map { $0.isCapped || $0.amount > most } ?? false
      return .success(order(found, (most, isCut)))
    }
    if let cost { return .success(order(found, cost)) }
    if let maximum = tool.tariff.dynamicMaximum { return .success(order(found, (maximum, !isHold))) }
    guard let most else { return .failure(Refused(.unpriceable)) }
    return .success(order(found, (most, true)))
  }

  /// A caller's maximum for a tool is written with the digits of credits, whatever the tool's asset.
  func scaled(_ most: Int128, _ coin: Coin) -> Int128 {
    coin == .credits ? most : most * 100
  }

  /// The first reason, in the documented order, not to begin a charge or hold.
  func refusal(_ payment: Payment, _ order: Order) -> Status? {
    let path = path(payment.payer)
    if isFrozen(payment.payer) { return .accountFrozen }
    for account in path {
      if let limit = limits[account]?.terms, limit.coin == order.coin, let most = limit.perCall, order.amount > most {
        return .overCallCap
      }
    }
    if let status = runRefusal(payment.payer, payment.run, order.coin, order.amount) { return status }
    for account in path {
      guard let limit = limits[account], let most = limit.terms.perHour else { continue }
      let count = spendings[limit.rateSince...].count {
        $0.time > now - 3_600_000_000 && self.path($0.account).contains(account)
      }
      if count >= most { return .rateLimited }
    }
    for account in path {
      for budget in budgets where budget.terms.account == account {
        let (spent, held) = counted(budget, around: now)
        let weight = budget.terms.coin == nil ? 1 : budget.terms.coin == order.coin ? order.amount : 0
        if weight > 0, spent + held + weight > budget.terms.limit { return .overBudget }
      }
    }
    if order.amount > available(wallet(payment.payer), order.coin) { return .insufficientFunds }
    return isClosed(order.sharing) ? .accountClosed : nil
  }

  private func runRefusal(
    _ payer: Int, _ run: Int, _ coin: Coin, _ amount: Int128, since spending: Int = .max
  ) -> Status? {
    runTotalPassed(payer, run, coin, amount, since: spending) == nil ? nil : .overRunCap
  }

  /// What a run has cost so far, where an amount on top of it passes a cap.
  ///
  /// - Parameter spending: caps that do not count it do not limit what is added to it.
  private func runTotalPassed(
    _ payer: Int, _ run: Int, _ coin: Coin, _ amount: Int128, since spending: Int = .max
  ) -> Int128? {
    guard run != 0 else { return nil }
    for account in path(payer) {
      guard let limit = limits[account]?.terms, limit.coin == coin, let most = limit.perRun else { continue }
      if spending < limits[account]?.runsSince ?? 0 { continue }
      let total = runTotal(account, run)
      if total + amount > most { return total }
    }
    return nil
  }

  /// A refusal, with what it tells of the run.
  func refused(
    _ status: Status, _ payer: Int, _ run: Int, _ coin: Coin, _ amount: Int128, since spending: Int = .max
  ) -> Outcome {
    var outcome = Outcome(status: status, coin: coin)
    if status == .overRunCap { outcome.spent = runTotalPassed(payer, run, coin, amount, since: spending) }
    return outcome
  }

  private mutating func charge(_ payment: Payment, _ serial: Int) -> Outcome {
    let order: Order
    switch self.order(payment, isHold: false) {
    case .success(let found): order = found
    case .failure(let refused): return Outcome(status: refused.status)
    }
    if let most = payment.maxCost {
      let isAmount = if case .amount = payment.cost { true } else { false }
      if order.amount > (isAmount ? most : scaled(most, order.coin)) { return Outcome(status: .overMaxCost) }
    }
    if let refusal = refusal(payment, order) {
      return refused(refusal, payment.payer, payment.run, order.coin, order.amount)
    }
    spendings.append(
      Spending(
        account: payment.payer, coin: order.coin, time: now, run: payment.run, spent: order.amount, held: 0,
        counts: true, isHeld: false))
    pay(payment.payer, order.coin, [(order.sharing, order.amount)], spendings.count - 1, serial)
    note()
    var outcome = outcome(order.coin, order.amount, wallet(payment.payer))
    outcome.isCapped = order.isCapped
    return outcome
  }

  /// Moves amounts from a payer to those who share them.
  mutating func pay(
    _ payer: Int, _ coin: Coin, _ lines: [(sharing: Sharing, amount: Int128)], _ spending: Int, _ serial: Int
  ) {
    for (sharing, amount) in lines {
      post(wallet(payer), coin, -amount)
      for (account, share) in zip(sharing.accounts, sharing.shares(of: amount)) { post(wallet(account), coin, share) }
    }
    charges.append(Charge(serial: serial, spending: spending, payer: payer, coin: coin, lines: lines))
  }

  private mutating func reserve(
    _ payment: Payment, _ milliseconds: Int64, _ policy: Policy, _ serial: Int
  ) -> Outcome {
    let order: Order
    switch self.order(payment, isHold: true) {
    case .success(let found): order = found
    case .failure(let refused): return Outcome(status: refused.status)
    }
    if let refusal = refusal(payment, order) {
      return refused(refusal, payment.payer, payment.run, order.coin, order.amount)
    }
    spendings.append(
      Spending(
        account: payment.payer, coin: order.coin, time: now, run: payment.run, spent: 0, held: order.amount,
        counts: true, isHeld: true))
    holds.append(
      Hold(
        serial: serial, spending: spendings.count - 1, account: payment.payer, coin: order.coin,
        sharing: order.sharing, tariff: order.tariff, tool: order.tool, policy: policy, remaining: order.amount,
        captured: 0,
        expires: now + milliseconds * 1_000))
    note()
    var outcome = outcome(order.coin, order.amount, wallet(payment.payer))
    outcome.remaining = order.amount
    outcome.isCapped = order.isCapped
    return outcome
  }

  /// Runs a body on a hold that is open; one that is not answers how it ended.
  private mutating func withOpenHold(
    _ serial: Int, _ body: (inout ReferenceLedger, Int) -> Outcome
  ) -> Outcome {
    guard let index = holds.firstIndex(where: { $0.serial == serial }) else { return Outcome(status: .holdNotFound) }
    if let end = holds[index].end { return Outcome(status: end) }
    return body(&self, index)
  }

  private mutating func increase(_ serial: Int, _ amount: Int128) -> Outcome {
    withOpenHold(serial) { ledger, index in
      let hold = ledger.holds[index]
      if let refusal = ledger.increaseRefusal(hold, amount) {
        let run = ledger.spendings[hold.spending].run
        return ledger.refused(refusal, hold.account, run, hold.coin, amount, since: hold.spending)
      }
      ledger.holds[index].remaining += amount
      ledger.spendings[hold.spending].held += amount
      ledger.note()
      var outcome = ledger.outcome(hold.coin, amount, ledger.wallet(hold.account))
      outcome.remaining = hold.remaining + amount
      return outcome
    }
  }

  /// The first reason not to add to a hold.
  private func increaseRefusal(_ hold: Hold, _ amount: Int128) -> Status? {
    if isFrozen(hold.account) { return .accountFrozen }
    for account in path(hold.account) {
      if let limit = limits[account]?.terms, limit.coin == hold.coin, let most = limit.perCall,
        hold.captured + hold.remaining + amount > most
      {
        return .overCallCap
      }
    }
    let run = spendings[hold.spending].run
    if let status = runRefusal(hold.account, run, hold.coin, amount, since: hold.spending) { return status }
    for account in path(hold.account) {
      for budget in budgets where budget.terms.account == account && budget.terms.coin == hold.coin {
        guard amount > 0, hold.spending >= budget.since, keeps(budget, hold) else { continue }
        let (spent, held) = counted(budget, around: spendings[hold.spending].time)
        if spent + held + amount > budget.terms.limit { return .overBudget }
      }
    }
    if amount > available(wallet(hold.account), hold.coin) { return .insufficientFunds }
    return isClosed(hold.sharing) ? .accountClosed : nil
  }

  private mutating func capture(_ serial: Int, _ taking: Taking, _ isFinal: Bool, _ charge: Int) -> Outcome {
    withOpenHold(serial) { ledger, index in
      let hold = ledger.holds[index]
      var amount = hold.remaining
      var isCapped = false
      var lines: [(sharing: Sharing, amount: Int128)] = []
      switch taking {
      case .lines(let asked):
        for line in asked {
          guard let priced = ledger.priced(line, hold) else { return Outcome(status: ledger.refusal(line, hold)) }
          lines.append((priced.sharing, priced.amount))
          isCapped = isCapped || priced.isCapped
        }
        amount = lines.reduce(0) { $0 + $1.amount }
      case .rest: break
      case .amount(let given, _): amount = given
      case .units(let units):
        guard let tariff = hold.tariff else { return Outcome(status: .invalidArgument) }
        (amount, isCapped) = tariff.cost(Int128(units))
      }
      if amount > hold.remaining {
        switch hold.policy {
        case .reject: return Outcome(status: .overCapture)
        case .cap:
          var left = amount - hold.remaining
          for index in lines.indices.reversed() {
            let part = min(left, lines[index].amount)
            lines[index].amount -= part
            left -= part
          }
          (amount, isCapped) = (hold.remaining, true)
        case .overflow:
          if let refusal = ledger.refusal(hold, amount) {
            let run = ledger.spendings[hold.spending].run
            return ledger.refused(refusal, hold.account, run, hold.coin, amount - hold.remaining)
          }
        }
      }
      let excess = max(0, amount - hold.remaining)
      let sharings = lines.isEmpty ? [hold.sharing] : lines.map(\.sharing)
      if sharings.contains(where: { ledger.isClosed($0) }) { return Outcome(status: .accountClosed) }
      if excess > 0 {
        ledger.excesses.append(
          Excess(spending: hold.spending, amount: excess, time: ledger.now, order: ledger.changes))
      }
      ledger.holds[index].remaining -= amount - excess
      ledger.holds[index].captured += amount
      ledger.spendings[hold.spending].spent += amount
      ledger.spendings[hold.spending].held -= amount - excess
      if lines.isEmpty { lines = [(hold.sharing, amount)] }
      ledger.pay(hold.account, hold.coin, lines, hold.spending, charge)
      if isFinal { ledger.finish(index, .holdCaptured) }
      ledger.note()
      var outcome = ledger.outcome(hold.coin, amount, ledger.wallet(hold.account))
      outcome.remaining = ledger.holds[index].remaining
      outcome.isFinal = isFinal
      outcome.isCapped = isCapped
      return outcome
    }
  }

  /// What a line of a capture costs, and who gets it; nil where it cannot be.
  func priced(_ line: Line, _ hold: Hold) -> (sharing: Sharing, amount: Int128, isCapped: Bool)? {
    switch line {
    case .amount(let amount, let payee):
      return (payee.map { Sharing(accounts: [$0], parts: [1]) } ?? hold.sharing, amount, false)
    case .units(let units):
      guard let tariff = hold.tariff else { return nil }
      let (amount, isCapped) = tariff.cost(Int128(units))
      return (hold.sharing, amount, isCapped)
    case .tool(let index, let units):
      if leads(index, to: hold), let tariff = hold.tariff {
        let (amount, isCapped) = tariff.cost(Int128(units ?? 1))
        return (hold.sharing, amount, isCapped)
      }
      guard case .success(let found) = find(index, .plain) else { return nil }
      let tool = found.terms
      guard tool.coin == hold.coin else { return nil }
      let (amount, isCapped) = tool.tariff.cost(Int128(units ?? 1))
      return (tool.sharing, amount, isCapped)
    }
  }

  /// Whether a plain name is that of a hold's own tool, which may be offered no longer, or by several skills by now.
  private func leads(_ tool: Int, to hold: Hold) -> Bool {
    guard let own = hold.tool, own % Cast.tools.count == tool else { return false }
    let all = skills.indices.filter { skills[$0]?.everHad(tool) ?? false }
    let offered = all.filter { skills[$0]?.has(tool) ?? false }
    let fitting = offered.isEmpty ? all : offered
    return fitting.count > 1 || fitting.first == own / Cast.tools.count
  }

  func refusal(_ line: Line, _ hold: Hold) -> Status {
    guard case .tool(let index, _) = line else { return .invalidArgument }
    if case .failure(let refused) = find(index, .plain) { return refused.status }
    return .assetMismatch
  }

  /// The first reason not to capture beyond a hold.
  func refusal(_ hold: Hold, _ amount: Int128) -> Status? {
    let excess = amount - hold.remaining
    if isFrozen(hold.account) { return .accountFrozen }
    for account in path(hold.account) {
      if let limit = limits[account]?.terms, limit.coin == hold.coin, let most = limit.perCall,
        hold.captured + amount > most
      {
        return .overCallCap
      }
    }
    if let status = runRefusal(hold.account, spendings[hold.spending].run, hold.coin, excess) { return status }
    for account in path(hold.account) {
      for budget in budgets where budget.terms.account == account && budget.terms.coin == hold.coin {
        guard keeps(budget, hold) else { continue }
        let (spent, held) = counted(budget, around: spendings[hold.spending].time)
        if spent + held + excess > budget.terms.limit { return .overBudget }
      }
    }
    return excess > available(wallet(hold.account), hold.coin) ? .insufficientFunds : nil
  }

  private mutating func refund(_ serial: Int, _ amount: Int128?) -> Outcome {
    guard let index = charges.firstIndex(where: { $0.serial == serial }) else {
      return Outcome(status: .transferNotFound)
    }
    let charge = charges[index]
    let left = charge.amount - charge.refunded
    let amount = amount ?? left
    guard amount <= left, left > 0 || charge.amount == 0 else { return Outcome(status: .overRefund) }
    let partsBefore = charge.parts(of: charge.refunded)
    let partsAfter = charge.parts(of: charge.refunded + amount)
    for (index, line) in charge.lines.enumerated() where isCredited(line.sharing, partsBefore[index], partsAfter[index])
    {
      return Outcome(status: .accountClosed)
    }
    post(wallet(charge.payer), charge.coin, amount)
    for (index, line) in charge.lines.enumerated() {
      let before = line.sharing.shares(of: partsBefore[index])
      let after = line.sharing.shares(of: partsAfter[index])
      for position in before.indices {
        post(wallet(line.sharing.accounts[position]), charge.coin, before[position] - after[position])
      }
    }
    charges[index].refunded += amount
    spendings[charge.spending].refunded += amount
    note()
    return outcome(charge.coin, amount, wallet(charge.payer))
  }

  /// Whether a refund would give a unit to a recipient that is closed, because its share of a larger amount is smaller.
  private func isCredited(_ sharing: Sharing, _ before: Int128, _ after: Int128) -> Bool {
    let (given, wanted) = (sharing.shares(of: before), sharing.shares(of: after))
    return sharing.accounts.indices.contains { index in
      let account = sharing.accounts.count == 1 ? wallet(sharing.accounts[0]) : sharing.accounts[index]
      return wanted[index] < given[index] && accounts[account].isClosed
    }
  }

  // MARK: Transfers

  private mutating func transfer(_ legs: [Leg], _ serial: Int) -> Outcome {
    for leg in legs {
      if leg.amount < 0, isFrozen(leg.account) { return Outcome(status: .accountFrozen) }
      if leg.amount > 0, accounts[leg.account].isClosed { return Outcome(status: .accountClosed) }
    }
    for (index, leg) in legs.enumerated() {
      let place = (wallet(leg.account), leg.coin)
      let isFirst = !legs[..<index].contains { wallet($0.account) == place.0 && $0.coin == place.1 }
      guard isFirst else { continue }
      let change = legs.reduce(0) { wallet($1.account) == place.0 && $1.coin == place.1 ? $0 + $1.amount : $0 }
      guard change < 0 else { continue }
      if isFrozen(place.0) { return Outcome(status: .accountFrozen) }
      if -change > available(place.0, place.1) { return Outcome(status: .insufficientFunds) }
    }
    transfers.append(Transfer(serial: serial, legs: legs))
    return move(legs)
  }

  private mutating func move(_ legs: [Leg]) -> Outcome {
    for leg in legs { post(wallet(leg.account), leg.coin, leg.amount) }
    note()
    let debit = legs.first { $0.amount < 0 } ?? legs[0]
    return outcome(debit.coin, abs(debit.amount), wallet(debit.account))
  }

  private mutating func reverse(_ serial: Int) -> Outcome {
    guard let index = transfers.firstIndex(where: { $0.serial == serial }) else {
      return Outcome(status: .transferNotFound)
    }
    if transfers[index].isReversed { return Outcome(status: .overRefund) }
    transfers[index].isReversed = true
    return move(transfers[index].legs.map { Leg(account: $0.account, coin: $0.coin, amount: -$0.amount) })
  }

  // MARK: Limits

  private mutating func setBudget(_ terms: BudgetTerms) -> Outcome {
    note()
    let existing = budgets.firstIndex { $0.terms.account == terms.account && $0.terms.name == terms.name }
    if let existing, budgets[existing].terms.window == terms.window, budgets[existing].terms.coin == terms.coin {
      budgets[existing].terms = terms
      return ReferenceLedger.defined
    }
    if let existing { budgets.remove(at: existing) }
    budgets.append(Budget(terms: terms, since: spendings.count, order: changes))
    return ReferenceLedger.defined
  }

  private mutating func setLimits(_ account: Int, _ terms: LimitTerms) -> Outcome {
    note()
    var new = Limits(
      terms: terms, runsSince: spendings.count, runsOrder: changes, rateSince: spendings.count)
    // A limit that was there before goes on counting.
    if let before = limits[account] {
      if before.terms.perRun != nil, terms.perRun != nil, before.terms.coin == terms.coin {
        new.runsSince = before.runsSince
        new.runsOrder = before.runsOrder
        new.forgotten = before.forgotten
      }
      if before.terms.perHour != nil, terms.perHour != nil { new.rateSince = before.rateSince }
    }
    limits[account] = new
    return ReferenceLedger.defined
  }
}
