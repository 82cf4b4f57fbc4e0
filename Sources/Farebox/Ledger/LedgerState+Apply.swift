internal import FareboxCore

extension LedgerState {
  /// Makes a record part of the state.
  ///
  /// - Parameters:
  ///   - record: the record that comes next.
  ///   - heap: its fields.
  /// - Throws: `storeCorrupt` for a record that refers to something that no earlier record has defined.
  mutating func apply(_ record: Record, _ heap: Heap) throws(Failure) {
    guard let kind = RecordKind(rawValue: record.kind) else { throw Segment.corrupt("A record has an unknown kind.") }
    let number = nextRecord
    switch kind {
    case .charge:
      try checkReferences(record)
      applyCharge(record, number, heap)
    case .reserve:
      try checkReferences(record)
      applyReserve(record, number, heap)
    case .capture: try applyCapture(record, number, heap)
    case .release: try applyEnd(record, number, .released)
    case .expire: try applyEnd(record, number, .expired)
    case .extend: try applyExtend(record, number)
    case .increase: try applyIncrease(record, number)
    case .refund: try applyRefund(record, number, heap)
    case .transfer: try applyTransfer(record, number, heap)
    case .asset, .account, .accountState, .skill, .toolState, .rateCard, .budget, .limits, .customerPrice, .access:
      try define(kind, record, number, heap)
      unsealedDefinitions.append(number)
      if record.account < accounts.count { note(record.account, number) }
    case .event:
      if record.account < accounts.count { note(record.account, number) }
      noteThreshold(record)
    case .seal: applySeal(record)
    case .value: try values.set(definition(heap))
    case .webhook: break
    }
    nextRecord = number + 1
    time = record.time
  }

  /// Refuses a record whose indices point nowhere.
  private func checkReferences(_ record: Record) throws(Failure) {
    let isSplit = record.beneficiary & Record.splitBit != 0
    let beneficiaries = isSplit ? catalog.splits.count : accounts.count
    guard record.account < accounts.count, record.asset < catalog.assets.count,
      Int(record.beneficiary & ~Record.splitBit) < beneficiaries
    else { throw Segment.corrupt("A record names an account, asset or split that does not exist.") }
  }

  private mutating func applyCharge(_ record: Record, _ number: UInt64, _ heap: Heap) {
    let paying = makeBalance(wallet(of: record.account), record.asset)
    post(paying, 0 &- record.amount)
    credit(record.beneficiary, record.asset, record.amount, number)
    notePayer(record.account, number)
    count(
      record.account, at: record.time, amount: record.amount, asset: record.asset, run: heap, spent: true,
      record: number)
  }

  /// Credits an amount to whoever gets it.
  mutating func credit(_ beneficiary: UInt32, _ asset: UInt16, _ amount: Int64, _ number: UInt64) {
    if beneficiary & Record.splitBit == 0 {
      post(makeBalance(beneficiary, asset), amount)
      note(beneficiary, number)
      return
    }
    let rule = catalog.splits[Int(beneficiary & ~Record.splitBit)]
    rule.split.forEachShare(of: amount) { index, share in
      post(makeBalance(rule.accounts[index], asset), share)
      note(rule.accounts[index], number)
    }
  }

  /// Puts a record into the history of its payer, and of the wallet that pays for it.
  mutating func notePayer(_ account: UInt32, _ number: UInt64) {
    note(account, number)
    let paying = wallet(of: account)
    if paying != account { note(paying, number) }
  }

  private mutating func applyReserve(_ record: Record, _ number: UInt64, _ heap: Heap) {
    let paying = makeBalance(wallet(of: record.account), record.asset)
    hold(paying, record.amount)
    holds[number] = newHold(record, heap)
    expiries.add(number, expires: record.extra)
    notePayer(record.account, number)
    count(
      record.account, at: record.time, amount: record.amount, asset: record.asset, run: heap, spent: false,
      record: number)
  }

  /// The hold that a reservation opens.
  mutating func newHold(_ record: Record, _ heap: Heap) -> Hold {
    let run = heap[.run].isEmpty ? 0 : runHash(heap[.run])
    let price = Int(record.price) - 1
    let named = heap[.payee].word.flatMap { UInt32(exactly: $0) }.flatMap { $0 < accounts.count ? $0 : nil }
    let priced = catalog.prices.indices.contains(price) ? catalog.prices[price].payee : record.beneficiary
    return Hold(
      tag: HoldID.tag(in: record.detail), account: record.account,
      balance: makeBalance(wallet(of: record.account), record.asset),
      beneficiary: record.beneficiary, payee: named ?? priced, asset: record.asset,
      overCapture: UInt8(truncatingIfNeeded: record.detail), tool: record.tool, price: record.price,
      origin: originTag(heap).value, amount: record.amount, remaining: record.amount, captured: 0, time: record.time,
      expires: record.extra, run: run)
  }

  private mutating func applyCapture(_ record: Record, _ number: UInt64, _ heap: Heap) throws(Failure) {
    guard var open = holds[record.reference] else { throw Segment.corrupt("A capture names a hold that is not open.") }
    // `extra` is what was captured beyond the hold.
    let fromHold = record.amount &- record.extra
    let isFinal = record.flags & RecordFlags.final != 0
    post(open.balance, 0 &- record.amount)
    hold(open.balance, 0 &- (isFinal ? open.remaining : fromHold))
    if record.flags & RecordFlags.lines == 0 {
      credit(open.beneficiary, open.asset, record.amount, number)
    } else {
      try creditLines(record, heap, number)
    }
    notePayer(open.account, number)
    settle(
      open, record.reference, freed: isFinal ? open.remaining : fromHold, spent: record.amount, excess: record.extra,
      ended: isFinal, counts: true, now: record.time)
    open.remaining &-= fromHold
    open.captured &+= record.amount
    if isFinal {
      holds[record.reference] = nil
      ended.add(record.reference, .captured, increased: open.increased)
    } else {
      holds[record.reference] = open
    }
  }

  private mutating func applyEnd(_ record: Record, _ number: UInt64, _ end: HoldEnd) throws(Failure) {
    guard let open = holds[record.reference] else { throw Segment.corrupt("A release names a hold that is not open.") }
    hold(open.balance, 0 &- open.remaining)
    notePayer(open.account, number)
    settle(
      open, record.reference, freed: open.remaining, spent: 0, excess: 0, ended: true, counts: open.captured > 0,
      now: record.time)
    holds[record.reference] = nil
    ended.add(record.reference, end, increased: open.increased)
  }

  private mutating func applyExtend(_ record: Record, _ number: UInt64) throws(Failure) {
    guard holds[record.reference] != nil else { throw Segment.corrupt("An extension names a hold that is not open.") }
    holds[record.reference]?.expires = record.extra
    expiries.add(record.reference, expires: record.extra)
    note(record.account, number)
  }

  private mutating func applyRefund(_ record: Record, _ number: UInt64, _ heap: Heap) throws(Failure) {
    try checkReferences(record)
    let before = refunds[record.reference] ?? 0
    // What each recipient gives back is the difference between two exact splits, so that refunds in parts add up to
    // the whole.
    post(makeBalance(wallet(of: record.account), record.asset), record.amount)
    if record.flags & RecordFlags.lines == 0 {
      credit(record.beneficiary, record.asset, before, number, negatedBy: before &+ record.amount)
    } else {
      try refundLines(record, heap, before, number)
    }
    notePayer(record.account, number)
    refunds[record.reference] = before &+ record.amount
    unsealedDefinitions.append(number)
    // A capture was counted where its hold was.
    let hold = heap[.requested].word(at: 1).map { UInt64(bitPattern: $0) }
    refundBudgets(
      record.account, at: heap[.requested].word(at: 2) ?? record.extra, amount: record.amount, asset: record.asset,
      charge: hold ?? record.reference)
  }

  /// Credits the difference between the splits of two amounts.
  mutating func credit(
    _ beneficiary: UInt32, _ asset: UInt16, _ before: Int64, _ number: UInt64, negatedBy after: Int64
  ) {
    if beneficiary & Record.splitBit == 0 {
      post(makeBalance(beneficiary, asset), before &- after)
      note(beneficiary, number)
      return
    }
    let rule = catalog.splits[Int(beneficiary & ~Record.splitBit)]
    let sharesBefore = rule.split.shares(of: before)
    rule.split.forEachShare(of: after) { index, share in
      post(makeBalance(rule.accounts[index], asset), sharesBefore[index] &- share)
      note(rule.accounts[index], number)
    }
  }

  private mutating func applyTransfer(_ record: Record, _ number: UInt64, _ heap: Heap) throws(Failure) {
    for posting in heap.postings {
      guard posting.account < accounts.count, posting.asset < catalog.assets.count else {
        throw Segment.corrupt("A posting names an account or asset that does not exist.")
      }
      post(makeBalance(posting.account, posting.asset), posting.amount)
      note(posting.account, number)
    }
    if record.reference != 0 {
      refunds[record.reference] = 1
      unsealedDefinitions.append(number)
    }
  }

  /// Everything up to a record is in sealed indexes now.
  private mutating func applySeal(_ record: Record) {
    // As who sealed has done before it wrote the runs, so that every process forgets the same ones.
    forgetRuns()
    clearUnsealed()
    sealedThrough = record.reference
    lastSeal = record.time
  }

  /// Forgets runs without a charge for long, but for those that an open hold belongs to.
  mutating func forgetRuns() {
    let oldest = time - RunTotal.retention
    let open = Set(holds.values.map(\.run))
    for index in guards.indices where !guards[index].runs.isEmpty {
      guards[index].runs = guards[index].runs.filter { $0.value.last >= oldest || open.contains($0.key) }
    }
  }

  /// Forgets what is only kept until the next seal.
  mutating func clearUnsealed() {
    for index in dirtyBalances { balances[Int(index)].isDirty = false }
    dirtyBalances.removeAll(keepingCapacity: true)
    tail.removeAll(keepingCapacity: true)
    unsealedDefinitions.removeAll(keepingCapacity: true)
    values.noteSealed()
  }

  /// The hash that stands for a run in caps.
  func runHash(_ run: BorrowedText) -> UInt64 {
    // The key is public: a run's id comes from the payer's own side, and a collision only shares a cap.
    let hash = unsafe sipHash128(run.bytes, key: SipHashKey.zero)
    return hash.low | 1
  }
}
