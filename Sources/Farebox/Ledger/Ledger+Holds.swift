internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// Charges a hold, in part or as a whole.
  ///
  /// Order of checks: key, texts, hold, amount, over-capture policy, and for what goes beyond the hold limits and wallet.
  mutating func capture(_ request: CaptureRequest, at time: Int64, in store: any Store) throws(Rejection) -> Receipt {
    let hash = request.key.isEmpty ? KeyHash.none : KeyHash(request.key, secret)
    if let replay = try replayed(
      hash, request.key, in: store,
      compare: { ledger, record, heap in
        ledger.difference(request, record, heap)
      })
    {
      return replay
    }
    try Ledger.checkText(request.key, "idempotency_key", Limits.key, mustBeText: false)
    try Ledger.checkText(request.description, "description", Limits.description)
    try Ledger.checkText(request.metadata, "metadata", Limits.metadata)
    let id = HoldID(request.hold)
    let hold = try openHold(id, in: store)
    var lines: [PricedLine] = []
    if case .lines(let asked) = request.amount { lines = try price(asked, hold, at: time) }
    var (amount, isCapped) = try lines.isEmpty ? capturedAmount(request, hold) : Ledger.total(lines)
    var excess: Int64 = 0
    if amount > hold.remaining {
      switch OverCapture(rawValue: hold.overCapture) ?? .reject {
      case .reject: throw .failed(overCapture(id, hold, amount))
      case .cap:
        Ledger.cut(&lines, from: amount, to: hold.remaining)
        amount = hold.remaining
        isCapped = true
      case .overflow:
        excess = amount - hold.remaining
        try checkExcess(hold, amount, excess, at: time)
      }
    }
    if lines.isEmpty {
      try checkCredit(hold.beneficiary, named: hold.payee, hold.asset, amount)
    } else {
      try checkCredit(lines, hold, amount)
    }

    // After this point the capture must succeed.
    var record = captureRecord(hold, id, amount: amount, excess: excess, isFinal: request.isFinal, at: time)
    if isCapped { record.flags |= RecordFlags.capped }
    if !lines.isEmpty { record.flags |= RecordFlags.lines }
    if case .units = request.amount { record.flags |= RecordFlags.explicit }
    log.beginRecord()
    log.addField(.key, request.key)
    log.addField(.description, request.description)
    log.addField(.metadata, request.metadata)
    // What was asked for, because a cap hides it and a repeat must be compared with it.
    if isCapped, case .units(let units) = request.amount { log.addField(.requested, words: [units]) }
    if case .usage(let usage) = request.amount { log.addField(.usage, words: usage.words) }
    if !lines.isEmpty { log.addLines(lines) }
    let number = try append(&record, key: hash, tells: hold.account)
    if excess > 0 { try raiseThresholds(hold.account, at: time) }
    return receipt(number, record)
  }

  /// The record of a capture of `amount`, of which `excess` is beyond the hold.
  func captureRecord(
    _ hold: Hold, _ id: HoldID, amount: Int64, excess: Int64, isFinal: Bool, at time: Int64
  ) -> Record {
    var record = Record(.capture, time: time)
    record.account = hold.account
    record.asset = hold.asset
    record.amount = amount
    record.tool = hold.tool
    record.price = hold.price
    record.beneficiary = hold.beneficiary
    record.reference = id.number
    record.detail = id.detail
    record.origin = hold.origin
    record.extra = excess
    record.remaining = isFinal ? 0 : hold.remaining - (amount - excess)
    if isFinal { record.flags |= RecordFlags.final }
    return record
  }

  /// Returns what is left of a hold.
  mutating func release(_ id: HoldID, at time: Int64, in store: any Store) throws(Rejection) -> Receipt {
    let hold = try openHold(id, in: store)
    return try end(.release, id.number, hold, at: time)
  }

  /// Moves the expiry of a hold.
  mutating func extend(
    _ id: HoldID, byMilliseconds milliseconds: Int64, at time: Int64, in store: any Store
  ) throws(Rejection) -> Receipt {
    let hold = try openHold(id, in: store)
    guard (1...Limits.holdMilliseconds).contains(milliseconds) else {
      throw .failed(Failure(.invalidArgument, field: "expires_in_ms", "A hold lasts from 1 ms to 366 days."))
    }

    // After this point the extension must succeed.
    var record = Record(.extend, time: time)
    record.account = hold.account
    record.asset = hold.asset
    record.reference = id.number
    record.detail = id.detail
    record.origin = hold.origin
    record.extra = time + milliseconds * 1_000
    record.remaining = hold.remaining
    log.beginRecord()
    let extended = try append(&record, tells: hold.account)
    return receipt(extended, record)
  }

  /// Expires every hold whose time is over, and returns how many there were.
  mutating func expireHolds(at time: Int64) throws(Rejection) -> Int {
    var count = 0
    while let due = state.expiries.first, due.expires <= time {
      state.expiries.removeFirst()
      // An extended or ended hold leaves its old entry behind.
      guard let hold = state.holds[due.hold], hold.expires == due.expires else { continue }
      _ = try end(.expire, due.hold, hold, at: time)
      count += 1
    }
    return count
  }

  mutating func end(
    _ kind: RecordKind, _ number: UInt64, _ hold: Hold, at time: Int64
  ) throws(Rejection) -> Receipt {
    var record = Record(kind, time: time)
    record.account = hold.account
    record.asset = hold.asset
    record.amount = hold.remaining
    record.tool = hold.tool
    record.price = hold.price
    record.reference = number
    record.detail = HoldID(number: number, tag: hold.tag).detail
    record.origin = hold.origin
    record.flags = RecordFlags.final
    log.beginRecord()
    let ended = try append(&record, tells: hold.account)
    return receipt(ended, record)
  }

  /// The open hold of an id, or the status that says what became of it.
  func openHold(_ id: HoldID, in store: any Store) throws(Rejection) -> Hold {
    if let hold = state.holds[id.number], hold.tag == id.tag { return hold }
    do throws(Failure) {
      switch try holdEnd(id, in: store) {
      case .captured: throw Failure(.holdCaptured, field: "hold", "Hold \(id.value) was captured and closed.")
      case .released: throw Failure(.holdReleased, field: "hold", "Hold \(id.value) was released.")
      case .expired: throw Failure(.holdExpired, field: "hold", "Hold \(id.value) expired.")
      case nil: throw Failure(.holdNotFound, field: "hold", "There is no hold \(id.value).")
      }
    } catch {
      throw .failed(error)
    }
  }

  /// How a hold ended, or nil when there was none.
  func holdEnd(_ id: HoldID, in store: any Store) throws(Failure) -> HoldEnd? {
    let payer = try withRecord(id.number, in: store) { record, _ in
      record.kind == RecordKind.reserve.rawValue && HoldID.tag(in: record.detail) == id.tag ? record.account : nil
    }
    guard let payer, let payer else { return nil }
    if let end = state.ended[id.number] { return end }
    // Not among the recent ones: the payer's history after the reservation has its end.
    var end: HoldEnd?
    try visitHistory(of: payer, after: id.number, in: store) { _, record, _ throws(Failure) in
      guard record.reference == id.number else { return true }
      switch RecordKind(rawValue: record.kind) {
      case .capture where record.flags & RecordFlags.final != 0: end = .captured
      case .release: end = .released
      case .expire: end = .expired
      default: break
      }
      return end == nil
    }
    return end
  }

  /// The receipt of the record that ended a hold, as a replay of it.
  ///
  /// - Throws: `holdNotFound` where none did.
  func closingReceipt(_ id: HoldID, in store: any Store) throws(Failure) -> Receipt {
    let payer = try withRecord(id.number, in: store) { record, _ in
      record.kind == RecordKind.reserve.rawValue && HoldID.tag(in: record.detail) == id.tag ? record.account : nil
    }
    guard let payer, let payer else { throw Failure(.holdNotFound, field: "hold", "There is no hold \(id.value).") }
    var found: Receipt?
    try visitHistory(of: payer, after: id.number, in: store) { number, record, heap throws(Failure) in
      guard record.reference == id.number, record.flags & RecordFlags.final != 0 else { return true }
      switch RecordKind(rawValue: record.kind) {
      case .capture: found = self.receipt(number, record)
      case .release, .expire:
        found = self.receipt(number, record)
        found?.isReleased = true
      default: return true
      }
      found?.shortfall = heap[.shortfall].word ?? 0
      return false
    }
    guard var receipt = found else {
      throw Failure(.holdNotFound, field: "hold", "Hold \(id.value) is still open.")
    }
    receipt.isReplayed = true
    return receipt
  }

  private func capturedAmount(_ request: CaptureRequest, _ hold: Hold) throws(Rejection) -> (Int64, Bool) {
    switch request.amount {
    case .rest, .lines: return (hold.remaining, false)
    case .units(let units):
      guard units >= 0 else { throw .failed(Failure(.invalidAmount, field: "amount", "A capture is not negative.")) }
      return (units, false)
    case .usage(let usage):
      guard hold.price > 0 else {
        throw .failed(Failure(.invalidArgument, field: "usage", "The hold has no price; capture an amount."))
      }
      let quote = try state.catalog.quote(hold.price - 1, usage, amount: nil)
      return (quote.total, quote.capped)
    }
  }

  mutating func checkExcess(
    _ hold: Hold, _ amount: Int64, _ excess: Int64, at time: Int64
  ) throws(Rejection) {
    // What the call as a whole has cost then, all its captures together.
    let (whole, overflow) = hold.captured.addingReportingOverflow(amount)
    guard !overflow else { throw .failed(Ledger.overflow) }
    try checkOpen(hold.account, field: "hold")
    if var refusal = state.limitPassed(
      hold.account, at: time, amount: whole, added: excess, asset: hold.asset, run: hold.run, isNew: false,
      countedAt: hold.time)
    {
      refusal.owned = hold.remaining
      throw .refused(refusal)
    }
    try checkFunds(hold.account, hold.asset, excess, owned: hold.remaining)
  }

  private func overCapture(_ id: HoldID, _ hold: Hold, _ amount: Int64) -> Failure {
    let asset = state.catalog.assets[Int(hold.asset)]
    let asked = Amount.text(amount, scale: asset.scale, minorDigits: asset.minorDigits)
    let left = Amount.text(hold.remaining, scale: asset.scale, minorDigits: asset.minorDigits)
    return Failure(
      .overCapture, field: "amount", "Hold \(id.value) has \(left) \(asset.code) left; \(asked) was to be captured.",
      details: ["hold": Shapes.number(id.value), "remaining": .string(left), "requested": .string(asked)])
  }
}
