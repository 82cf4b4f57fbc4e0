public import FareboxCore
internal import Synchronization

extension Engine {
  /// Charges a payer at once: price, limits, transfer and split in one atomic step.
  public func charge(_ request: ChargeRequest, durability: Durability? = nil) throws(Failure) -> Receipt {
    try paying(.charge(request.tool)) { () throws(Failure) in
      try receipt(durability ?? options.durability) { ledger, context throws(Rejection) in
        try ledger.charge(request, at: context.time, in: context.store)
      }
    }
  }

  /// Charges many in one commit; each stands or falls alone.
  ///
  /// - Parameters:
  ///   - hint: the key and payer of an index, so that memory can be fetched before it is needed.
  ///   - request: makes the request of an index, while the batch is decided; again where its turn is tried again.
  ///   - result: takes the receipt of an index, or the status that it was refused with.
  /// - Returns: whether the receipts are not committed yet.
  /// - Throws: what failed for the batch as a whole; then nothing was charged, whatever `result` was given.
  public func chargeMany(
    count: Int, durability: Durability? = nil, hint: (Int) -> (key: BorrowedText, payer: BorrowedText),
    request: (Int) throws(Failure) -> ChargeRequest,
    result: (Int, Result<Receipt, Failure>) -> Void
  ) throws(Failure) -> Bool {
    guard count <= Limits.batch else {
      throw Failure(.tooLong, field: "count", "A batch has at most \(Limits.batch) charges.")
    }
    var counts = InlineArray<11, Int>(repeating: 0)
    let (outcome, isUncommitted) = try write(durability ?? options.durability, isBatch: true) {
      ledger, context throws(Rejection) in
      counts = InlineArray(repeating: 0)
      ledger.log.reserveCapacity(count)
      var ahead = InlineArray<8, Foreknown>(repeating: .nothing)
      func foresee(_ index: Int) {
        guard index < count else { return }
        let names = hint(index)
        ahead[index & 7] = ledger.foresee(names.key, payer: names.payer)
      }
      for index in 0..<Ledger.foresight { foresee(index) }
      for index in 0..<count {
        foresee(index + Ledger.foresight)
        do throws(Rejection) {
          let next: ChargeRequest
          do throws(Failure) {
            next = try request(index)
          } catch {
            throw .failed(error)
          }
          let receipt = try ledger.charge(next, known: ahead[index & 7], at: context.time, in: context.store)
          counts[0] += 1
          result(index, .success(receipt))
        } catch {
          if error.storeFailure != nil { throw error }
          counts[EngineMetrics.family(error.status)] += 1
          result(index, .failure(ledger.failure(error)))
        }
      }
    }
    if case .failure(let rejection) = outcome { throw failure(rejection) }
    metrics.countCalls(counts)
    return isUncommitted
  }

  /// Holds money for a call that is about to run.
  public func reserve(
    _ request: ChargeRequest, _ terms: HoldTerms = HoldTerms(), durability: Durability? = nil
  ) throws(Failure) -> Receipt {
    try paying(.call(request.tool)) { () throws(Failure) in
      try receipt(durability ?? holdDurability) { ledger, context throws(Rejection) in
        try ledger.reserve(request, terms, at: context.time, in: context.store)
      }
    }
  }

  /// Adds to an open hold; all of it or nothing.
  public func increase(_ request: IncreaseRequest, durability: Durability? = nil) throws(Failure) -> Receipt {
    try receipt(durability ?? holdDurability) { ledger, context throws(Rejection) in
      try ledger.increase(request, at: context.time, in: context.store)
    }
  }

  /// Charges a hold, in part or as a whole.
  public func capture(_ request: CaptureRequest, durability: Durability? = nil) throws(Failure) -> Receipt {
    try paying(.capture(request.hold)) { () throws(Failure) in
      try receipt(durability ?? options.durability) { ledger, context throws(Rejection) in
        try ledger.capture(request, at: context.time, in: context.store)
      }
    }
  }

  /// Returns what is left of a hold to the payer.
  public func release(hold: UInt64) throws(Failure) -> Receipt {
    try receipt(holdDurability) { ledger, context throws(Rejection) in
      try ledger.release(HoldID(hold), at: context.time, in: context.store)
    }
  }

  /// Moves the expiry of an open hold to a time from now.
  public func extend(hold: UInt64, milliseconds: Int64) throws(Failure) -> Receipt {
    try receipt(holdDurability) { ledger, context throws(Rejection) in
      try ledger.extend(HoldID(hold), byMilliseconds: milliseconds, at: context.time, in: context.store)
    }
  }

  var holdDurability: Durability {
    options.holdDurability ?? (options.durability == .relaxed ? .relaxed : .normal)
  }

  private func receipt(
    _ durability: Durability, _ work: (inout Ledger, TurnContext) throws(Rejection) -> Receipt
  ) throws(Failure) -> Receipt {
    let (result, isUncommitted) = try write(durability, work)
    switch result {
    case .success(var receipt):
      receipt.isUncommitted = isUncommitted
      return receipt
    case .failure(let rejection):
      throw failure(rejection)
    }
  }

  /// What an account's wallet has in an asset.
  public struct BalanceReport: Sendable {
    public let asset: Asset
    /// Sum of all postings, in atomic units.
    public let balance: Int64
    public let held: Int64
    public let creditLine: Int64
    /// balance - held + credit line.
    public let available: Int64
    /// The asset's code padded with zeros.
    public let assetCode: InlineArray<24, UInt8>
  }

  /// The balance of an account's wallet now; an empty asset is the ledger's default.
  public func balance(of account: BorrowedText, asset: BorrowedText = .empty) throws(Failure) -> BalanceReport {
    try read { ledger, _ throws(Rejection) in
      guard let index = ledger.state.account(account) else {
        throw .failed(ledger.state.unknownAccount(account, field: "account"))
      }
      var assetIndex = ledger.defaultAsset
      if !asset.isEmpty {
        guard let found = ledger.state.catalog.assetIndex(asset) else {
          throw .failed(Failure(.assetNotFound, field: "asset", "There is no asset '\(asset.shown)' here."))
        }
        assetIndex = found
      }
      return ledger.balanceReport(index, assetIndex)
    }
  }

  /// Quotes a tool for a usage, without touching the ledger.
  ///
  /// Prices are those in memory: another process's changes are seen after the next call that reads or writes the ledger.
  ///
  /// - Parameters:
  ///   - customer: the account whose own price applies, or empty.
  ///   - amount: what the callback of a dynamic price gave.
  ///   - maxCost: caps the total; nil is no maximum.
  ///   - time: whose prices apply; nil is now.
  ///   - line: takes the lines in order.
  /// - Returns: the total, its asset's code padded with zeros, and the version of the price.
  public func quote(
    tool: BorrowedText, usage: borrowing Usage, customer: BorrowedText = .empty, amount: Int64? = nil,
    maxCost: Int64? = nil, at time: Int64? = nil, line: (QuoteLine) -> Void
  ) throws(Failure) -> (total: QuoteTotal, assetCode: InlineArray<24, UInt8>, priceVersion: UInt64) {
    try checkUsable()
    let clock = time == nil ? try coarseNow() : .min
    if withLedger({ $0.isStale }) { try look { _, _ throws(Rejection) in } }
    let version: (price: PriceVersion, index: UInt32, code: InlineArray<24, UInt8>)
    do throws(Rejection) {
      version = try withLedger { ledger throws(Rejection) in
        let account = customer.isEmpty ? nil : ledger.state.account(customer)
        // The coarse clock may lag behind a price that was set just now.
        let at = time ?? max(clock, ledger.state.time)
        let (_, index) = try ledger.pricedTool(tool, customer: account, at: at)
        let price = ledger.state.catalog.prices[Int(index)]
        return (price, index, ledger.state.catalog.assetCodes[Int(price.asset)])
      }
    } catch {
      throw failure(error)
    }
    let total = try version.price.price.quote(usage, dynamicAmount: amount, maxCost: maxCost, line: line)
    return (total, version.code, UInt64(version.index) + 1)
  }

  /// What a tick has done.
  public struct TickReport: Sendable {
    public let expiredHolds: Int
    public let committed: Int
    public let sealed: Int
  }

  /// Does what is due: expires holds, commits relaxed records, seals indexes.
  public func tick() throws(Failure) -> TickReport {
    let before = (
      metrics.expired.load(ordering: .relaxed), metrics.records.load(ordering: .relaxed),
      metrics.sealed.load(ordering: .relaxed)
    )
    let waiting = withLedger { $0.log.count }
    try perform(.normal) { _, _ throws(Rejection) in }
    return TickReport(
      expiredHolds: metrics.expired.load(ordering: .relaxed) - before.0,
      committed: min(waiting, metrics.records.load(ordering: .relaxed) - before.1),
      sealed: metrics.sealed.load(ordering: .relaxed) - before.2)
  }
}

extension Ledger {
  func balanceReport(_ account: UInt32, _ asset: UInt16) -> Engine.BalanceReport {
    let wallet = state.wallet(of: account)
    let index = state.balanceIndex(wallet, asset)
    let balance = index < 0 ? Balance(account: wallet, asset: asset, next: -1) : state.balances[Int(index)]
    return Engine.BalanceReport(
      asset: state.catalog.assets[Int(asset)], balance: balance.units, held: balance.held,
      creditLine: balance.creditLine, available: balance.available,
      assetCode: state.catalog.assetCodes[Int(asset)])
  }
}
