internal import FareboxCore
internal import FareboxStore

/// What became of a call that ended.
struct Finished {
  let receipt: Receipt
  /// Why nothing could be charged, where the hold was released for it.
  var failure: Failure?
}

extension Ledger {
  /// Charges a metered call that ended, or releases its hold, as `Settlement` says.
  ///
  /// Order of checks: texts, hold, price of the usage, maximum; limits and wallet bound what goes beyond the hold.
  mutating func finish(
    _ call: MeteredCall, _ end: FinishRequest, at time: Int64, in store: any Store
  ) throws(Rejection) -> Finished {
    try Ledger.checkText(end.description, "description", Limits.description)
    try Ledger.checkText(end.metadata, "metadata", Limits.metadata)
    let id = HoldID(call.hold)
    if let hold = state.holds[id.number], hold.tag == id.tag {
      return try finish(call, end, id, hold, heldAtFirst: hold.amount, at: time)
    }
    switch try ended(id, in: store) {
    case .captured: return Finished(receipt: try closing(id, in: store))
    case .released where !call.terms.contains(.named):
      // Nothing but a release by hand, or by an earlier end of this call, ends a hold that no other try shares.
      if end.onlyReleases { return Finished(receipt: try closing(id, in: store)) }
      throw .failed(Failure(.holdReleased, field: "call", "Hold \(id.value) was released; nothing is charged."))
    case .released, .expired:
      if end.onlyReleases { return Finished(receipt: try closing(id, in: store)) }
      return try finishLate(call, end, id, at: time, in: store)
    }
  }

  /// Finishes a call whose hold is open.
  private mutating func finish(
    _ call: MeteredCall, _ end: FinishRequest, _ id: HoldID, _ hold: Hold, heldAtFirst: Int64, at time: Int64
  ) throws(Rejection) -> Finished {
    let settled: (settlement: Settlement, amount: Int64, isCapped: Bool, usage: Usage?)
    do throws(Failure) {
      settled = try settlement(call, end, hold, heldAtFirst: heldAtFirst)
    } catch {
      // The price cannot be computed, and no maximum stands in for it: nobody pays.
      guard error.status == .unpriceable || error.status == .overflow else { throw .failed(error) }
      var receipt = try self.end(.release, id.number, hold, at: time)
      receipt.isReleased = true
      return Finished(receipt: receipt, failure: error)
    }
    if settled.settlement == .released {
      var receipt = try self.end(.release, id.number, hold, at: time)
      receipt.isReleased = true
      return Finished(receipt: receipt)
    }
    var excess = max(0, settled.amount - hold.remaining)
    let wanted = excess
    if excess > 0 { excess = affordable(excess, hold, at: time) }
    let amount = settled.amount - (wanted - excess)
    try checkCredit(hold.beneficiary, hold.asset, amount)

    // After this point the capture must succeed.
    var record = captureRecord(hold, id, amount: amount, excess: excess, isFinal: true, at: time)
    if settled.isCapped { record.flags |= RecordFlags.capped }
    if settled.settlement == .amount { record.flags |= RecordFlags.explicit }
    if settled.settlement == .held { record.flags |= RecordFlags.unreported }
    let shortfall = wanted - excess
    log.beginRecord()
    log.addField(.description, end.description)
    log.addField(.metadata, end.metadata)
    if let usage = settled.usage, !usage.isSingleRequest { log.addField(.usage, words: usage.words) }
    if shortfall > 0 { log.addField(.shortfall, words: [shortfall]) }
    let number = try append(&record, tells: hold.account)
    if settled.settlement == .held { try raise("call.unreported", hold, id, number, amount, at: time) }
    if shortfall > 0 { try raise("call.shortfall", hold, id, number, shortfall, at: time) }
    if excess > 0 { try raiseThresholds(hold.account, at: time) }
    var receipt = receipt(number, record)
    receipt.shortfall = shortfall
    return Finished(receipt: receipt)
  }

  /// Charges a call whose hold is over, because it expired or another try of the call released it.
  ///
  /// It gets a new hold of nothing, as the next try of the call, and is charged beyond it.
  private mutating func finishLate(
    _ call: MeteredCall, _ end: FinishRequest, _ id: HoldID, at time: Int64, in store: any Store
  ) throws(Rejection) -> Finished {
    let first = try reservation(of: id, in: store)
    let key = call.terms.contains(.named) && !first.key.isEmpty ? first.key : nil
    let arena = TextArena()
    var request = BeginRequest()
    request.run = arena.add(bytes: first.run)
    request.call = arena.add(bytes: first.call)
    request.maxCost = first.maxCost
    let callKey =
      key.map { CallKey(arena.add(bytes: $0), attempt: first.attempt) } ?? CallKey(late: id.value)
    let attempt: Attempt
    switch try self.attempt(
      callKey, from: key == nil ? 0 : first.attempt + 1, request, first.order.account, first.order.tool, in: store)
    {
    case .repeated(let other, let isPaid):
      let otherID = HoldID(other.hold)
      if isPaid { return Finished(receipt: try closing(otherID, in: store)) }
      guard let hold = state.holds[otherID.number] else {
        throw .failed(Failure(.holdExpired, field: "call", "Hold \(id.value) expired."))
      }
      return try finish(call, end, otherID, hold, heldAtFirst: call.held, at: time)
    case .new(let new): attempt = new
    }
    try checkOpen(first.order.account)

    // After this point the reservation must succeed.
    let receipt = try withExtendedLifetime(arena) { () throws(Rejection) in
      try hold(first.order, request, nil, attempt, at: time)
    }
    let lateID = HoldID(receipt.hold)
    guard let hold = state.holds[lateID.number] else {
      throw .failed(Failure(.internal, "The hold that was just made is not there."))
    }
    return try finish(call, end, lateID, hold, heldAtFirst: call.held, at: time)
  }

  /// What a call costs, and why.
  private func settlement(
    _ call: MeteredCall, _ end: FinishRequest, _ hold: Hold, heldAtFirst: Int64
  ) throws(Failure) -> (settlement: Settlement, amount: Int64, isCapped: Bool, usage: Usage?) {
    guard hold.price > 0, Int(hold.price) <= state.catalog.prices.count else {
      throw Failure(.invalidArgument, field: "call", "Hold \(call.hold) is not one of a metered call.")
    }
    let price = state.catalog.prices[Int(hold.price) - 1].price
    // Requests that were recorded count for a price by the request, too.
    let isCounted = price.kind == .flat && end.recorded.given.contains(MeterSet(.requests))
    let known: UsageKnowledge =
      !end.recorded.isEmpty ? .recorded : call.terms.contains(.expected) ? .expected : .unknown
    let settlement = Settlement(
      end.ending, delivered: end.delivered, isCounted ? .usage : price.kind, known,
      releasesUnreported: call.terms.contains(.releasesUnreported))
    let maximum = Ledger.lower(call.maximum, price.maximum)
    func bound(_ amount: Int64, _ isCapped: Bool = false) -> (Int64, Bool) {
      guard let maximum, amount > maximum else { return (amount, isCapped) }
      return (maximum, true)
    }
    func priced(_ usage: Usage) throws(Failure) -> (Int64, Bool) {
      do throws(Failure) {
        let total = try price.quote(usage) { _ in }
        return bound(total.total, total.capped)
      } catch {
        // A usage whose price cannot be computed costs what the payer was ready to pay for it.
        guard let maximum, error.status == .unpriceable || error.status == .overflow else { throw error }
        return (maximum, true)
      }
    }
    switch settlement {
    case .released: return (settlement, 0, false, nil)
    case .flat:
      let (amount, isCapped) = try priced(.oneRequest)
      return (settlement, amount, isCapped, nil)
    case .amount:
      let asked = end.amount ?? call.amount
      guard asked >= 0 else { throw Failure(.invalidAmount, field: "amount", "It must not be negative.") }
      let (amount, isCapped) = bound(asked)
      return (settlement, amount, isCapped, nil)
    case .recorded:
      let usage = try end.recorded.usage(scale: price.asset.scale)
      let (amount, isCapped) = try priced(usage)
      return (settlement, amount, isCapped, usage)
    case .expected:
      let (amount, isCapped) = try priced(call.expected)
      return (settlement, amount, isCapped, call.expected)
    case .held:
      let (amount, isCapped) = bound(max(0, heldAtFirst))
      return (settlement, amount, isCapped, nil)
    }
  }

  /// How much of what goes beyond a hold its payer can pay, with every limit counted.
  private mutating func affordable(_ excess: Int64, _ hold: Hold, at time: Int64) -> Int64 {
    var part = excess
    // Each refusal names one limit, and less fits under it; there are no more limits than this on any path.
    for _ in 0..<Limits.budgets * Limits.accountDepth where part > 0 {
      do throws(Rejection) {
        try checkExcess(hold, hold.remaining + part, part, at: time)
        return part
      } catch {
        guard case .refused(let refusal) = error else { return 0 }
        part = max(0, min(part - 1, part - refusal.beyond))
      }
    }
    return 0
  }

  private mutating func raise(
    _ type: String, _ hold: Hold, _ id: HoldID, _ number: UInt64, _ amount: Int64, at time: Int64
  ) throws(Rejection) {
    let asset = state.catalog.assets[Int(hold.asset)]
    var record = Record(.event, time: time)
    record.account = hold.account
    let head: [(String, JSON)] = [
      ("type", .string(type)), ("account", .string(state.accountNames[hold.account])),
    ]
    let rest: [(String, JSON)] = [
      ("hold", Shapes.number(id.value)), ("transfer", Shapes.number(number)),
      ("amount", .string(Amount.text(amount, scale: asset.scale, minorDigits: asset.minorDigits))),
      ("asset", .string(asset.code)),
    ]
    let event = JSON.object(JSONObject(head + toolMembers(ofHold: hold) + rest))
    log.beginRecord()
    log.addField(.definition, event.serialized())
    _ = try append(&record)
  }

  // MARK: Holds that are over

  private func ended(_ id: HoldID, in store: any Store) throws(Rejection) -> HoldEnd {
    do throws(Failure) {
      guard let end = try holdEnd(id, in: store) else {
        throw Failure(.holdNotFound, field: "call", "There is no hold \(id.value).")
      }
      return end
    } catch {
      throw .failed(error)
    }
  }

  private func closing(_ id: HoldID, in store: any Store) throws(Rejection) -> Receipt {
    do throws(Failure) {
      return try closingReceipt(id, in: store)
    } catch {
      throw .failed(error)
    }
  }

  /// What the reservation of a hold that is over says.
  private struct EarlierReservation {
    /// With an amount of nothing.
    let order: Order
    let key: [UInt8]
    let attempt: Int
    let run: [UInt8]
    let call: [UInt8]
    let maxCost: Int64?
  }

  private func reservation(of id: HoldID, in store: any Store) throws(Rejection) -> EarlierReservation {
    do throws(Failure) {
      let found = try withRecord(id.number, in: store) { record, heap in
        let run = heap[.run]
        return EarlierReservation(
          order: Order(
            account: record.account, asset: record.asset, amount: 0, beneficiary: record.beneficiary,
            tool: record.tool, price: record.price, run: run.isEmpty ? 0 : state.runHash(run),
            isExplicit: record.flags & RecordFlags.explicit != 0, isCapped: false),
          key: unsafe [UInt8](heap[.key].bytes), attempt: Int(clamping: heap[.attempt].word ?? 0),
          run: unsafe [UInt8](run.bytes), call: unsafe [UInt8](heap[.call].bytes), maxCost: heap[.maxCost].word)
      }
      guard let found else { throw Failure(.holdNotFound, field: "call", "There is no hold \(id.value).") }
      return found
    } catch {
      throw .failed(error)
    }
  }
}

extension Refusal {
  /// By how much what was asked for passes the limit.
  var beyond: Int64 {
    let used = constraint == .wallet ? 0 : Int128(spent) + Int128(held)
    return Int64(clamping: max(0, used + Int128(requested) - Int128(limit)))
  }
}
