internal import FareboxCore

/// What a reference gets wrong on purpose, so that a simulator shows that it would see an engine that does.
package enum CallMistake: String, CaseIterable, Sendable {
  // One for each row of the outcome table.
  case freeReturn = "free-return"
  case freeStream = "free-stream"
  case paidReport = "paid-report"
  case paidReportAfterItems = "paid-report-after-items"
  case paidFailure = "paid-failure"
  case freeFailureAfterItems = "free-failure-after-items"
  case paidLeaving = "paid-leaving"
  case freeLeavingAfterItems = "free-leaving-after-items"
  // And for what a cell and the rules around the table say.
  case freeUnreported = "free-unreported"
  case ignoredEstimate = "ignored-estimate"
  case ignoredRecord = "ignored-record"
  case ignoredMaximum = "ignored-maximum"
  case droppedShortfall = "dropped-shortfall"
  case paidTwice = "paid-twice"
  case freeLate = "free-late"
}

/// Metered calls, as docs/metered-calls.md says.
extension ReferenceLedger {
  /// Keeps what an end without a charge answers.
  mutating func close(_ index: Int, _ remaining: Int128) {
    let hold = holds[index]
    var outcome = outcome(hold.coin, remaining, wallet(hold.account))
    outcome.remaining = 0
    outcome.isFinal = true
    outcome.isReleased = true
    holds[index].closing = outcome
  }

  // MARK: Begin

  mutating func begin(_ call: Beginning, _ serial: Int) -> Outcome {
    let found: Found
    switch find(call.tool, call.form) {
    case .success(let it): found = it
    case .failure(let refused): return Outcome(status: refused.status)
    }
    let terms = found.terms
    let most = call.maxCost.map { scaled($0, terms.coin) }
    let maximum = lower(most, ownMaximum(terms.tariff))
    let amount = call.amount.map { scaled($0, terms.coin) }
    let reserved: (amount: Int128, isCapped: Bool)
    switch terms.tariff {
    case .flat(let price):
      if amount != nil { return Outcome(status: .invalidArgument) }
      if let most, price > most { return Outcome(status: .overMaxCost) }
      reserved = (price, false)
    case .dynamic:
      guard let amount else { return Outcome(status: .missingField) }
      let cost = terms.tariff.cost(amount)
      reserved = maximum.map { (min($0, cost.amount), cost.isCapped || $0 < cost.amount) } ?? cost
    case .perUnit, .graduated, .volume:
      if amount != nil { return Outcome(status: .invalidArgument) }
      if most == nil, let units = call.expected {
        reserved = terms.tariff.cost(Int128(units))
      } else if let maximum {
        reserved = (maximum, false)
      } else if call.chargesAfterwards {
        reserved = (0, false)
      } else {
        return Outcome(status: .missingField)
      }
    }
    let name = name(of: call, found.tool)
    if let name {
      switch earlier(name, from: 0, call, found.tool) {
      case .conflict: return Outcome(status: .keyConflict)
      case .hold(let index):
        let hold = holds[index]
        let isPaid = hold.end != nil
        if isPaid, mistake == .paidTwice { break }
        // What is told of it is what its own begin asked for, which may have had another price.
        var outcome = outcome(hold.coin, hold.first, wallet(hold.account))
        let most = lower(hold.call?.maxCost.map { scaled($0, hold.coin) }, hold.tariff.flatMap { ownMaximum($0) })
        outcome.begun = Begun(isPaid: isPaid, isShared: !isPaid, maximum: most)
        outcome.serial = hold.serial
        return outcome
      case .none: break
      }
    }
    let payment = Payment(payer: call.payer, cost: .dynamic(nil), run: call.run, maxCost: nil)
    let order = Order(
      amount: reserved.amount, coin: terms.coin, sharing: terms.sharing, tariff: terms.tariff, tool: found.tool,
      isCapped: reserved.isCapped)
    if let refusal = refusal(payment, order) {
      return refused(refusal, call.payer, call.run, order.coin, order.amount)
    }
    // A begin that is asked again after its hold was over makes another one.
    var serial = serial
    while knows(serial) { serial += ReferenceLedger.furtherSerial }
    hold(order, call, call.milliseconds, serial, name)
    var outcome = outcome(terms.coin, reserved.amount, wallet(call.payer))
    outcome.begun = Begun(maximum: maximum)
    outcome.serial = serial
    return outcome
  }

  /// Between the serials of what one request has made.
  private static let furtherSerial = 1_000_000

  /// Makes the hold of a try.
  private mutating func hold(
    _ order: Order, _ call: Beginning, _ milliseconds: Int64, _ serial: Int, _ name: CallName?
  ) {
    spendings.append(
      Spending(
        account: call.payer, coin: order.coin, time: now, run: call.run, spent: 0, held: order.amount, counts: true,
        isHeld: true))
    var hold = Hold(
      serial: serial, spending: spendings.count - 1, account: call.payer, coin: order.coin, sharing: order.sharing,
      tariff: order.tariff, tool: order.tool, policy: call.maxCost == nil ? .overflow : .cap,
      remaining: order.amount, captured: 0, expires: now + milliseconds * 1_000)
    hold.call = call
    hold.first = order.amount
    holds.append(hold)
    if let name { tries[name, default: []].append(holds.count - 1) }
    note()
  }

  private func lower(_ first: Int128?, _ second: Int128?) -> Int128? {
    guard let first, let second else { return first ?? second }
    return min(first, second)
  }

  private func ownMaximum(_ tariff: Tariff) -> Int128? {
    switch tariff {
    case .perUnit(_, let maximum): maximum
    case .dynamic(_, let maximum): maximum
    case .flat, .graduated, .volume: nil
    }
  }

  // MARK: Tries

  private func name(of call: Beginning, _ tool: Int) -> CallName? {
    if call.key != 0 { return .given(call.key) }
    guard call.call != 0 || call.parent != 0 else { return nil }
    return .derived(
      payer: call.payer, run: call.run, call: call.call, parent: call.parent, tool: tool, arguments: call.arguments,
      ordinal: call.ordinal)
  }

  private enum Earlier {
    case none
    case conflict
    /// One that was charged, or is under way.
    case hold(Int)
  }

  /// The try of a call that counts.
  private func earlier(_ name: CallName, from first: Int, _ call: Beginning, _ tool: Int) -> Earlier {
    for (number, index) in (tries[name] ?? []).enumerated() where number >= first {
      let hold = holds[index]
      guard let before = hold.call, before.payer == call.payer else { return .conflict }
      // The name that it was asked by is the same tool for good, whatever it leads to now.
      guard hold.tool == tool || before.tool == call.tool && before.form == call.form else { return .conflict }
      if case .given = name, number == 0 {
        guard before.run == call.run, before.call == call.call, before.arguments == call.arguments else {
          return .conflict
        }
      }
      if hold.end == nil || hold.end == .holdCaptured { return .hold(index) }
    }
    return .none
  }

  // MARK: Finish

  mutating func finish(_ serial: Int, _ ending: Ending, _ charge: Int) -> Outcome {
    guard let index = holds.firstIndex(where: { $0.serial == serial }), let call = holds[index].call else {
      return Outcome(status: .holdNotFound)
    }
    let hold = holds[index]
    guard let end = hold.end else { return finish(index, call, hold.first, ending, charge) }
    if end == .holdCaptured || ending.isFree || mistake == .freeLate { return replay(index) }
    if end == .holdReleased, !call.isNamed { return Outcome(status: .holdReleased) }
    // The call has to be paid all the same: by a try that goes on where this one ended.
    let name: CallName
    if call.isNamed, let tool = hold.tool, let own = self.name(of: call, tool) {
      name = own
    } else {
      name = .late(serial)
    }
    let next = (tries[name]?.firstIndex(of: index)).map { $0 + 1 } ?? 0
    var late = call
    if case .hold(let other) = earlier(name, from: next, call, hold.tool ?? 0) {
      if holds[other].end != nil { return replay(other) }
      return finish(other, call, hold.first, ending, charge)
    }
    if isFrozen(hold.account) { return Outcome(status: .accountFrozen) }
    late.releasesUnreported = false
    late.expected = nil
    let order = Order(amount: 0, coin: hold.coin, sharing: hold.sharing, tariff: hold.tariff, tool: hold.tool)
    var serial = -charge
    while knows(serial) { serial -= ReferenceLedger.furtherSerial }
    self.hold(order, late, 900_000, serial, name)
    return finish(holds.count - 1, call, hold.first, ending, charge)
  }

  /// The first receipt again.
  private func replay(_ index: Int) -> Outcome {
    var outcome = holds[index].closing ?? Outcome(status: .internal)
    outcome.isReplayed = true
    return outcome
  }

  private enum Due {
    case nothing
    case flat
    case amount
    case usage(Int128)
    case strange
    case held
  }

  /// The outcome table, row by row.
  private func due(_ hold: Hold, _ call: Beginning, _ ending: Ending) -> Due {
    let expected = mistake == .ignoredEstimate || hold.tariff?.isMetered != true ? nil : expectedUnits(call)
    // A failure of a stream is paid only where the usage is known.
    func price(unknown: Due) -> Due {
      switch hold.tariff {
      case .flat?: return .flat
      case .dynamic?: return .amount
      default: break
      }
      if mistake == .ignoredRecord, let expected { return .usage(expected) }
      switch ending.usage {
      case .units(let units)?: return .usage(Int128(units))
      case .strange?: return .strange
      case nil: break
      }
      if let expected { return .usage(expected) }
      // Lines without an estimate say that all that was used is theirs.
      if !ending.lines.isEmpty { return .usage(0) }
      return unknown
    }
    let silent: Due = call.releasesUnreported || mistake == .freeUnreported ? .nothing : .held
    switch (ending.how, ending.isDelivered) {
    case (.returned, false): return mistake == .freeReturn ? .nothing : price(unknown: silent)
    case (.returned, true): return mistake == .freeStream ? .nothing : price(unknown: silent)
    case (.reportedFailure, false): return mistake == .paidReport ? price(unknown: silent) : .nothing
    case (.reportedFailure, true): return mistake == .paidReportAfterItems ? price(unknown: silent) : .nothing
    case (.failed, false): return mistake == .paidFailure ? price(unknown: silent) : .nothing
    case (.failed, true):
      guard hold.tariff?.isMetered == true, mistake != .freeFailureAfterItems else { return .nothing }
      return price(unknown: .nothing)
    case (.left, false): return mistake == .paidLeaving ? price(unknown: silent) : .nothing
    case (.left, true): return mistake == .freeLeavingAfterItems ? .nothing : price(unknown: silent)
    }
  }

  /// The estimate, where the begin had use for it.
  private func expectedUnits(_ call: Beginning) -> Int128? { call.expected.map { Int128($0) } }

  /// Finishes a call whose hold is open.
  private mutating func finish(
    _ index: Int, _ call: Beginning, _ first: Int128, _ ending: Ending, _ charge: Int
  ) -> Outcome {
    let hold = holds[index]
    let tariff = hold.tariff ?? .flat(0)
    let most = call.maxCost.map { scaled($0, hold.coin) }
    let maximum = mistake == .ignoredMaximum ? nil : lower(most, ownMaximum(tariff))
    var own: (amount: Int128, isCapped: Bool)
    var isUnreported = false
    switch due(hold, call, ending) {
    case .nothing: return giveBack(index, nil)
    case .flat: own = tariff.cost(1)
    case .amount: own = tariff.cost((ending.amount ?? call.amount).map { scaled($0, hold.coin) } ?? first)
    case .usage(let units): own = tariff.cost(units)
    case .strange:
      // Usage that nothing prices costs the maximum, and without one the call is free.
      guard let maximum else { return giveBack(index, .unpriceable) }
      own = (maximum, true)
    case .held:
      own = (first, false)
      isUnreported = true
    }
    if let maximum, own.amount > maximum { own = (maximum, true) }
    var lines = [(sharing: hold.sharing, amount: own.amount)]
    var isCapped = own.isCapped
    for line in ending.lines {
      guard let priced = priced(line, hold) else { return giveBack(index, refusal(line, hold)) }
      lines.append((priced.sharing, priced.amount))
      isCapped = isCapped || priced.isCapped
    }
    let asked = lines.reduce(0) { $0 + $1.amount }
    var amount = asked
    if let maximum, amount > maximum { (amount, isCapped) = (maximum, true) }
    let excess = max(0, amount - hold.remaining)
    let affordable = affordable(excess, hold)
    let shortfall = excess - affordable
    amount -= shortfall
    if lines.contains(where: { isClosed($0.sharing) }) { return giveBack(index, .accountClosed) }
    var left = asked - amount
    for line in lines.indices.reversed() {
      let part = min(left, lines[line].amount)
      lines[line].amount -= part
      left -= part
    }
    if affordable > 0 {
      excesses.append(Excess(spending: hold.spending, amount: affordable, time: now, order: changes))
    }
    spendings[hold.spending].spent += amount
    pay(hold.account, hold.coin, lines, hold.spending, charge)
    finish(index, .holdCaptured)
    holds[index].captured = amount
    note()
    func tell(_ type: String, _ units: Int128) {
      events.append(Event(type: type, amount: hold.coin.text(units).string ?? ""))
    }
    if isUnreported { tell("call.unreported", amount) }
    if shortfall > 0 { tell("call.shortfall", shortfall) }
    var outcome = outcome(hold.coin, amount, wallet(hold.account))
    outcome.remaining = 0
    outcome.isFinal = true
    outcome.isCapped = isCapped
    outcome.isUnreported = isUnreported
    outcome.shortfall = mistake == .droppedShortfall ? 0 : shortfall
    outcome.serial = charge
    holds[index].closing = outcome
    return outcome
  }

  /// The most of an excess that nothing forbids, by halving.
  private func affordable(_ excess: Int128, _ hold: Hold) -> Int128 {
    func isAllowed(_ part: Int128) -> Bool { refusal(hold, hold.remaining + part) == nil }
    if excess == 0 || isAllowed(excess) { return excess }
    var (good, bad) = (Int128(0), excess)
    while bad - good > 1 {
      let middle = (good + bad) / 2
      if isAllowed(middle) { good = middle } else { bad = middle }
    }
    return good
  }

  private mutating func giveBack(_ index: Int, _ status: Status?) -> Outcome {
    let remaining = holds[index].remaining
    finish(index, .holdReleased)
    note()
    close(index, remaining)
    if let status { return Outcome(status: status) }
    return holds[index].closing ?? Outcome(status: .internal)
  }
}
