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
    if let amount = end.amount, amount < 0 {
      throw .failed(Failure(.invalidAmount, field: "amount", "It must not be negative."))
    }
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
    try checkMetered(id, price: hold.price)
    var settled: Settled
    do throws(Rejection) {
      settled = try settlement(call, end, hold, heldAtFirst: heldAtFirst)
      if !end.lines.isEmpty, settled.settlement != .released { try addLines(end.lines, to: &settled, hold, at: time) }
    } catch {
      // What the call costs cannot be said, and no maximum stands in for it: nobody pays, and the hold must not stay.
      guard error.storeFailure == nil else { throw error }
      return try release(id, hold, because: failure(error), at: time)
    }
    if settled.settlement == .released { return try release(id, hold, at: time) }
    var excess = max(0, settled.amount - hold.remaining)
    let wanted = excess
    if excess > 0 { excess = affordable(excess, hold, at: time) }
    let amount = settled.amount - (wanted - excess)
    do throws(Rejection) {
      if settled.lines.isEmpty {
        try checkCredit(hold.beneficiary, named: hold.payee, hold.asset, amount)
      } else {
        Ledger.cut(&settled.lines, from: settled.amount, to: amount)
        try checkCredit(settled.lines, hold, amount)
      }
    } catch {
      // A payee that has closed meanwhile is credited by nothing: nobody pays, and the hold must not stay.
      guard error.status == .accountClosed else { throw error }
      return try release(id, hold, because: failure(error), at: time)
    }

    // After this point the capture must succeed.
    var record = captureRecord(hold, id, amount: amount, excess: excess, isFinal: true, at: time)
    if settled.isCapped { record.flags |= RecordFlags.capped }
    if !settled.lines.isEmpty { record.flags |= RecordFlags.lines }
    if settled.settlement == .amount { record.flags |= RecordFlags.explicit }
    if settled.settlement == .held { record.flags |= RecordFlags.unreported }
    let shortfall = wanted - excess
    log.beginRecord()
    log.addField(.description, end.description)
    log.addField(.metadata, end.metadata)
    if settled.lines.isEmpty, let usage = settled.usage, !usage.isSingleRequest {
      log.addField(.usage, words: usage.words)
    }
    if !settled.lines.isEmpty { log.addLines(settled.lines) }
    if shortfall > 0 { log.addField(.shortfall, words: [shortfall]) }
    let number = try append(&record, tells: hold.account)
    if settled.settlement == .held { try raise("call.unreported", hold, id, number, amount, at: time) }
    if shortfall > 0 { try raise("call.shortfall", hold, id, number, shortfall, at: time) }
    if excess > 0 { try raiseThresholds(hold.account, at: time) }
    var receipt = receipt(number, record)
    receipt.shortfall = shortfall
    return Finished(receipt: receipt)
  }

  /// Refuses a hold that no metered call has made.
  private func checkMetered(_ id: HoldID, price: UInt32) throws(Rejection) {
    guard price > 0, Int(price) <= state.catalog.prices.count else {
      throw .failed(
        Failure(.invalidArgument, field: "call", "Hold \(id.value) is not one of a metered call; nothing is charged."))
    }
  }

  /// Charges nothing, and says why where that is not what the end asked for.
  private mutating func release(
    _ id: HoldID, _ hold: Hold, because failure: Failure? = nil, at time: Int64
  ) throws(Rejection) -> Finished {
    var receipt = try end(.release, id.number, hold, at: time)
    receipt.isReleased = true
    return Finished(receipt: receipt, failure: failure)
  }

  /// Charges a call whose hold is over, because it expired or another try of the call released it.
  ///
  /// It gets a new hold of nothing, as the next try of the call, and is charged beyond it.
  private mutating func finishLate(
    _ call: MeteredCall, _ end: FinishRequest, _ id: HoldID, at time: Int64, in store: any Store
  ) throws(Rejection) -> Finished {
    let first = try reservation(of: id, in: store)
    try checkMetered(id, price: first.order.price)
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
  private struct Settled {
    var settlement: Settlement
    var amount: Int64 = 0
    var isCapped = false
    /// What the price was applied to, where it was.
    var usage: Usage?
    /// The call's own part and the lines beside it; empty where there are none.
    var lines: [PricedLine] = []
    /// What the call can cost at the most.
    var maximum: Int64?

    /// Charges an amount, or the maximum where that is less.
    mutating func charge(_ asked: Int64, isCapped: Bool = false) {
      amount = maximum.map { min($0, asked) } ?? asked
      self.isCapped = isCapped || amount < asked
    }
  }

  private func settlement(
    _ call: MeteredCall, _ end: FinishRequest, _ hold: Hold, heldAtFirst: Int64
  ) throws(Rejection) -> Settled {
    let price = state.catalog.prices[Int(hold.price) - 1].price
    // Requests that were recorded count for a price by the request, too.
    let isCounted = price.kind == .flat && end.recorded.given.contains(MeterSet(.requests))
    // Usage that was recorded for other tools only is known to be none of this one.
    let known: UsageKnowledge =
      !end.recorded.isEmpty || (!end.lines.isEmpty && !call.terms.contains(.expected))
      ? .recorded : call.terms.contains(.expected) ? .expected : .unknown
    var settled = Settled(
      settlement: Settlement(
        end.ending, delivered: end.delivered, isCounted ? .usage : price.kind, known,
        releasesUnreported: call.terms.contains(.releasesUnreported)))
    settled.maximum = Ledger.lower(call.maximum, price.maximum)
    do throws(Failure) {
      switch settled.settlement {
      case .released: break
      case .flat: try Ledger.charge(.oneRequest, price, &settled)
      case .amount:
        let total = try price.quote(.oneRequest, dynamicAmount: max(0, end.amount ?? call.amount)) { _ in }
        settled.charge(total.total, isCapped: total.capped)
      case .recorded: try Ledger.charge(end.recorded.usage(scale: price.asset.scale), price, &settled)
      case .expected: try Ledger.charge(call.expected, price, &settled)
      case .held: settled.charge(max(0, heldAtFirst))
      }
    } catch {
      throw .failed(error)
    }
    return settled
  }

  /// Charges the price of a usage; one whose price cannot be computed costs what the payer was ready to pay for it.
  private static func charge(_ usage: Usage, _ price: Price, _ settled: inout Settled) throws(Failure) {
    do throws(Failure) {
      let total = try price.quote(usage) { _ in }
      settled.charge(total.total, isCapped: total.capped)
      settled.usage = usage
    } catch {
      guard let maximum = settled.maximum, error.status == .unpriceable || error.status == .overflow else {
        throw error
      }
      settled.charge(maximum, isCapped: true)
    }
  }

  /// Adds lines to what a call costs, whose own part becomes the first of them.
  private func addLines(
    _ lines: [CallLine], to settled: inout Settled, _ hold: Hold, at time: Int64
  ) throws(Rejection) {
    var own = CaptureLine()
    own.usage = settled.usage
    var stored = StoredLine()
    stored.tool = hold.tool
    stored.beneficiary = hold.beneficiary
    stored.charged = settled.amount
    stored.priced = settled.amount
    if settled.isCapped { stored.flags |= StoredLine.Flags.capped }
    if let usage = settled.usage {
      stored.price = hold.price
      if !usage.isSingleRequest { stored.flags |= StoredLine.Flags.usage }
    } else {
      stored.flags |= StoredLine.Flags.explicit
    }
    let scale = state.catalog.assets[Int(hold.asset)].scale
    var asked: [CaptureLine] = []
    for (index, line) in lines.enumerated() {
      var request = CaptureLine()
      request.tool = line.tool
      request.payee = line.payee
      request.description = line.description
      request.amount = line.amount
      if !line.recorded.isEmpty {
        do throws(Failure) {
          request.usage = try line.recorded.usage(scale: scale)
        } catch {
          throw Rejection.failed(error).inside("lines[\(index)]")
        }
      }
      asked.append(request)
    }
    settled.lines = [PricedLine(request: own, stored: stored)]
    do throws(Rejection) {
      settled.lines += try price(asked, hold, at: time)
      let (total, isCapped) = try Ledger.total(settled.lines)
      settled.charge(total, isCapped: isCapped)
      Ledger.cut(&settled.lines, from: total, to: settled.amount)
    } catch {
      // As with the call's own usage: what nothing prices costs the maximum, all of it for this tool.
      guard let maximum = settled.maximum, error.status == .unpriceable || error.status == .overflow else {
        throw error
      }
      settled.lines = []
      settled.usage = nil
      settled.charge(maximum, isCapped: true)
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
            payee: record.beneficiary, tool: record.tool, price: record.price,
            run: run.isEmpty ? 0 : state.runHash(run),
            isExplicit: record.flags & RecordFlags.explicit != 0, isCapped: false,
            isAssetUnnamed: false),
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
