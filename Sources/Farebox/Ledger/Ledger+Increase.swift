internal import FareboxCore
internal import FareboxStore

/// What is added to an open hold; texts are borrowed for the length of the call.
public struct IncreaseRequest {
  public var hold: UInt64 = 0
  /// Atomic units that are added.
  public var amount: Int64 = 0
  public var key = BorrowedText.empty
  public var description = BorrowedText.empty
  /// A JSON object.
  public var metadata = BorrowedText.empty

  public init() {}
}

extension Ledger {
  /// Adds to an open hold, decided like a reservation of what is added, but for the rate: the call is not a new one.
  ///
  /// Order of checks: key, texts, hold, amount, account states, tool, caps, budgets, wallet, payees.
  mutating func increase(
    _ request: IncreaseRequest, at time: Int64, in store: any Store
  ) throws(Rejection) -> Receipt {
    let hash = request.key.isEmpty ? KeyHash.none : KeyHash(request.key, secret)
    if let replay = try replayed(
      hash, request.key, in: store, compare: { _, record, heap in Ledger.difference(request, record, heap) })
    {
      return replay
    }
    try Ledger.checkText(request.key, "idempotency_key", Limits.key, mustBeText: false)
    try Ledger.checkText(request.description, "description", Limits.description)
    try Ledger.checkText(request.metadata, "metadata", Limits.metadata)
    let id = HoldID(request.hold)
    let hold = try openHold(id, in: store)
    try check(request, hold, id, at: time)

    // After this point the increase must succeed.
    var record = Record(.increase, time: time)
    record.account = hold.account
    record.asset = hold.asset
    record.amount = request.amount
    record.tool = hold.tool
    record.price = hold.price
    record.beneficiary = hold.beneficiary
    record.reference = id.number
    record.detail = id.detail
    record.origin = hold.origin
    record.remaining = hold.remaining + request.amount
    log.beginRecord()
    log.addField(.key, request.key)
    log.addField(.description, request.description)
    log.addField(.metadata, request.metadata)
    let number = try append(&record, key: hash, tells: hold.account)
    try raiseThresholds(hold.account, at: time)
    return receipt(number, record)
  }

  private mutating func check(
    _ request: IncreaseRequest, _ hold: Hold, _ id: HoldID, at time: Int64
  ) throws(Rejection) {
    guard request.amount >= 0 else {
      throw .failed(Failure(.invalidAmount, field: "amount", "A hold grows by an amount that is not negative."))
    }
    let (remaining, isTooMuch) = hold.remaining.addingReportingOverflow(request.amount)
    let (whole, wholeIsTooMuch) = remaining.addingReportingOverflow(hold.captured)
    guard !isTooMuch, !wholeIsTooMuch, !hold.amount.addingReportingOverflow(request.amount).overflow else {
      throw .failed(Ledger.overflow)
    }
    try checkOpen(hold.account, field: "hold")
    try checkTool(of: hold)
    if let refusal = state.limitPassed(
      hold.account, at: time, amount: whole, added: request.amount, asset: hold.asset, run: hold.run, isNew: false,
      countedAt: hold.time, since: id.number)
    {
      throw .refused(refusal)
    }
    try checkFunds(hold.account, hold.asset, request.amount)
    try checkCredit(hold.beneficiary, named: hold.payee, hold.asset, remaining)
  }

  /// Refuses a hold whose tool its payer may not use any more; its price stays that of the reservation.
  private func checkTool(of hold: Hold) throws(Rejection) {
    guard hold.tool > 0 else { return }
    let tool = hold.tool - 1
    let name = state.catalog.fullName(tool)
    guard state.catalog.isForSale(NamedTool(tool, pinned: hold.price == 0 ? nil : hold.price - 1)) else {
      throw .failed(Failure(.toolDisabled, field: "hold", "Tool '\(name)' or its skill is disabled."))
    }
    if !state.catalog.isOpenToAll(tool), let barred = state.barred(hold.account, from: tool) {
      throw .failed(
        Failure(
          .toolDisabled, field: "hold",
          "Tool '\(name)' is disabled for account '\(state.accountNames[barred])'."))
    }
  }

  /// The first field in which an increase differs from a record, or nil.
  private static func difference(_ request: IncreaseRequest, _ record: Record, _ heap: Heap) -> String? {
    if record.kind != RecordKind.increase.rawValue { return "operation" }
    if HoldID(number: record.reference, tag: HoldID.tag(in: record.detail)) != HoldID(request.hold) { return "hold" }
    if record.amount != request.amount { return "amount" }
    if !heap[.description].equals(request.description) { return "description" }
    return heap[.metadata].equals(request.metadata) ? nil : "metadata"
  }

  /// The amounts of a hold that is over, where it was increased: as `hold.get` tells them.
  func increasedAmounts(_ id: HoldID, in store: any Store) throws(Failure) -> [(String, JSON)] {
    let reserved = try withRecord(id.number, in: store) { record, _ in record }
    guard let reserved else { return [] }
    var increased = state.ended.increase(of: id.number) ?? 0
    if state.ended.increase(of: id.number) == nil {
      // Not among the recent ones: in the payer's history between the reservation and the end.
      try visitHistory(of: reserved.account, after: id.number, in: store) { _, record, _ throws(Failure) in
        guard record.reference == id.number, let kind = RecordKind(rawValue: record.kind) else { return true }
        switch kind {
        case .increase: increased &+= record.amount
        case .release, .expire: return false
        case .capture: return record.flags & RecordFlags.final == 0
        default: break
        }
        return true
      }
    }
    let asset = state.catalog.assets[Int(reserved.asset)]
    return [("amount", reserved.amount &+ increased), ("increased", increased)].map { name, units in
      (name, .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits)))
    }
  }
}

extension LedgerState {
  mutating func applyIncrease(_ record: Record, _ number: UInt64) throws(Failure) {
    guard var open = holds[record.reference] else {
      throw Segment.corrupt("An increase names a hold that is not open.")
    }
    hold(open.balance, record.amount)
    notePayer(open.account, number)
    countIncrease(open, record.reference, record.amount)
    open.amount &+= record.amount
    open.increased &+= record.amount
    open.remaining &+= record.amount
    holds[record.reference] = open
  }

  /// Counts what is added to a hold where the hold itself is counted: by the budgets that were there when it began, in
  /// the windows in which it did.
  private mutating func countIncrease(_ hold: Hold, _ number: UInt64, _ amount: Int64) {
    var index = Int32(bitPattern: hold.account)
    while index >= 0 {
      let entry = accounts[Int(index)]
      if entry.guardIndex >= 0 { countIncrease(guard: Int(entry.guardIndex), hold, number, amount) }
      index = entry.parent
    }
  }

  private mutating func countIncrease(guard index: Int, _ hold: Hold, _ number: UInt64, _ amount: Int64) {
    for position in guards[index].budgets.indices {
      let budget = Int(guards[index].budgets[position])
      if budgets[budget].isRemoved || budgets[budget].countsCharges || budgets[budget].created > number { continue }
      budgets[budget].roll(to: hold.time)
      budgets[budget].adjust(at: hold.time, spent: 0, held: budgets[budget].weight(amount, hold.asset))
    }
    if guards[index].perRun != nil, hold.run != 0, guards[index].capAsset == hold.asset,
      guards[index].countsRunsFrom < number
    {
      guards[index].runs[hold.run]?.total &+= amount
    }
  }
}
