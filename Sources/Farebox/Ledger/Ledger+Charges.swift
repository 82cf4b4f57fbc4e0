internal import FareboxCore
internal import FareboxStore

/// A charge or reservation with its names resolved and its price known.
struct Order {
  let account: UInt32
  let asset: UInt16
  let amount: Int64
  /// The wallet that is credited, or a split with `Record.splitBit`.
  let beneficiary: UInt32
  /// The account that was named to be credited: `beneficiary`, or one that draws on its wallet.
  let payee: UInt32
  /// Index + 1, or 0.
  let tool: UInt32
  let price: UInt32
  let run: UInt64
  let isExplicit: Bool
  let isCapped: Bool
  /// Whether the ledger's default asset stands in for one that was not named.
  let isAssetUnnamed: Bool
}

extension Ledger {
  /// Charges a payer at once.
  ///
  /// Order of checks: key, texts, payer, tool or amount, price, account state, caps, rate, budgets, wallet, overflow.
  ///
  /// - Parameter known: what `foresee` has found of this request.
  mutating func charge(
    _ request: ChargeRequest, known: Foreknown = .nothing, at time: Int64, in store: any Store
  ) throws(Rejection) -> Receipt {
    if request.hasLongIdentifier {
      let arena = TextArena()
      defer { extendLifetime(arena) }
      return try charge(request.folded(in: arena), known: known, at: time, in: store)
    }
    let hash = request.key.isEmpty || !known.key.isNone ? known.key : KeyHash(request.key, secret)
    if let replay = try replayed(
      hash, request.key, in: store,
      compare: { ledger, record, heap in
        ledger.difference(.charge, request, record, heap, at: time)
      })
    {
      return replay
    }
    try Ledger.checkTexts(request)
    let order = try resolve(request, known: known, at: time, reserving: false)
    try check(order, at: time)

    // After this point the charge must succeed.
    var record = record(.charge, order, at: time)
    beginFields(request, order)
    let number = try append(&record, key: hash, tells: order.account)
    try raiseThresholds(order.account, at: time)
    return receipt(number, record)
  }

  /// Sets money aside; the same checks in the same order as `charge`.
  mutating func reserve(
    _ request: ChargeRequest, _ terms: HoldTerms, at time: Int64, in store: any Store
  ) throws(Rejection) -> Receipt {
    if request.hasLongIdentifier {
      let arena = TextArena()
      defer { extendLifetime(arena) }
      return try reserve(request.folded(in: arena), terms, at: time, in: store)
    }
    let hash = request.key.isEmpty ? KeyHash.none : KeyHash(request.key, secret)
    if let replay = try replayed(
      hash, request.key, in: store,
      compare: { ledger, record, heap in
        if let field = ledger.difference(.reserve, request, record, heap, at: time) { return field }
        if record.extra - record.time != terms.expiresInMilliseconds &* 1_000 { return "expires_in_ms" }
        return record.detail & 0xff != UInt32(terms.overCapture.rawValue) ? "over_capture" : nil
      })
    {
      return replay
    }
    try Ledger.checkTexts(request)
    guard (1...Limits.holdMilliseconds).contains(terms.expiresInMilliseconds) else {
      throw .failed(Failure(.invalidArgument, field: "expires_in_ms", "A hold lasts from 1 ms to 366 days."))
    }
    let order = try resolve(request, known: .nothing, at: time, reserving: true)
    try check(order, at: time)

    // After this point the reservation must succeed.
    var record = record(.reserve, order, at: time)
    record.detail = UInt32(terms.overCapture.rawValue) | (UInt32(truncatingIfNeeded: writer) & HoldID.tagMask) << 8
    record.extra = time + terms.expiresInMilliseconds * 1_000
    record.remaining = order.amount
    beginFields(request, order)
    let number = try append(&record, key: hash, tells: order.account)
    try raiseThresholds(order.account, at: time)
    return receipt(number, record)
  }

  /// Refuses an order that its payer may not, or cannot, pay.
  mutating func check(_ order: Order, at time: Int64) throws(Rejection) {
    let hasGuard = try checkOpen(order.account)
    if hasGuard,
      let refusal = state.limitPassed(
        order.account, at: time, amount: order.amount, added: order.amount, asset: order.asset, run: order.run,
        isNew: true, countedAt: time)
    {
      throw .refused(refusal)
    }
    try checkFunds(order.account, order.asset, order.amount)
    try checkCredit(order.beneficiary, named: order.payee, order.asset, order.amount)
  }

  /// Refuses an account that is frozen or closed, itself or by one above it; tells whether the path has a guard.
  @discardableResult
  func checkOpen(_ account: UInt32, field: String = "payer") throws(Rejection) -> Bool {
    var hasGuard = false
    var index = Int32(bitPattern: account)
    while index >= 0 {
      if state.accounts[Int(index)].flags & (AccountFlags.closed | AccountFlags.frozen) != 0 {
        throw .failed(state.stateFailure(UInt32(index), field: field))
      }
      hasGuard = hasGuard || state.accounts[Int(index)].guardIndex >= 0
      index = state.accounts[Int(index)].parent
    }
    return hasGuard
  }

  /// Refuses an amount that the wallet does not have.
  ///
  /// - Parameter owned: what is held already for the call that asks.
  func checkFunds(_ account: UInt32, _ asset: UInt16, _ amount: Int64, owned: Int64 = 0) throws(Rejection) {
    let wallet = state.wallet(of: account)
    let index = state.balanceIndex(wallet, asset)
    let balance = index < 0 ? Balance(account: wallet, asset: asset, next: -1) : state.balances[Int(index)]
    if state.accounts[Int(wallet)].isUnbounded {
      let (held, isTooMuch) = balance.held.addingReportingOverflow(amount)
      guard !isTooMuch, !balance.units.subtractingReportingOverflow(held).overflow else {
        throw .failed(Ledger.overflow)
      }
      return
    }
    if amount > balance.available {
      var refusal = Refusal(
        .insufficientFunds, .wallet, wallet, asset, limit: balance.available, spent: balance.units,
        held: balance.held, requested: amount)
      refusal.owned = owned
      throw .refused(refusal)
    }
    // What is available fits, so the balance after it does; the amount held may still not.
    guard !balance.held.addingReportingOverflow(amount).overflow,
      !balance.units.subtractingReportingOverflow(amount).overflow
    else { throw .failed(Ledger.overflow) }
  }

  /// Refuses a payee that is closed, and an amount that does not fit on top of what one has.
  ///
  /// Each payee is checked against the whole amount: nearer than that to 2^63 nobody wants to be.
  ///
  /// - Parameter payee: who was named to be credited, whose wallet may be that of an account above it.
  func checkCredit(
    _ beneficiary: UInt32, named payee: UInt32, _ asset: UInt16, _ amount: Int64, field: String = "payee"
  ) throws(Rejection) {
    var fits = true
    var closed: UInt32?
    func lookAtState(_ account: UInt32) {
      if state.accounts[Int(account)].flags & AccountFlags.closed != 0 { closed = account }
    }
    func look(_ account: UInt32) {
      lookAtState(account)
      let index = state.balanceIndex(account, asset)
      if index >= 0, state.balances[Int(index)].units.addingReportingOverflow(amount).overflow { fits = false }
    }
    if beneficiary & Record.splitBit == 0 {
      look(beneficiary)
      if payee != beneficiary { lookAtState(payee) }
    } else {
      let rule = state.catalog.splits[Int(beneficiary & ~Record.splitBit)]
      for index in rule.accounts.indices { look(rule.accounts[index]) }
      for index in rule.recipients.indices { lookAtState(rule.recipients[index]) }
    }
    if let closed { throw .failed(state.stateFailure(closed, field: field)) }
    guard fits else { throw .failed(Ledger.overflow) }
  }

  static let overflow = Failure(
    .overflow, field: "amount", "The balance would not fit into 64 bits of atomic units.")

  func record(_ kind: RecordKind, _ order: Order, at time: Int64) -> Record {
    var record = Record(kind, time: time)
    record.asset = order.asset
    record.account = order.account
    record.amount = order.amount
    record.tool = order.tool
    record.beneficiary = order.beneficiary
    record.price = order.price
    if order.isExplicit { record.flags |= RecordFlags.explicit }
    if order.isCapped { record.flags |= RecordFlags.capped }
    if order.isAssetUnnamed { record.flags |= RecordFlags.unnamedAsset }
    return record
  }

  private mutating func beginFields(_ request: ChargeRequest, _ order: Order) {
    log.beginRecord()
    log.addField(.key, request.key)
    log.addField(.run, request.run)
    log.addField(.call, request.call)
    log.addField(.description, request.description)
    log.addField(.metadata, request.metadata)
    if let most = request.maxCost { log.addField(.maxCost, words: [most]) }
    if !request.usage.isSingleRequest { log.addField(.usage, words: request.usage.words) }
    // What was asked for, where something else stands in the record: a repeat is compared with it.
    if let amount = request.amount, amount != order.amount { log.addField(.requested, words: [amount]) }
    if order.tool == 0 {
      if order.payee != order.beneficiary { log.addField(.payee, words: [Int64(order.payee)]) }
    } else if !state.catalog.isOwnName(request.tool, of: order.tool - 1) {
      log.addField(.toolName, request.tool)
    }
  }

  /// Refuses texts that are too long or not text.
  static func checkTexts(_ request: ChargeRequest) throws(Rejection) {
    try checkText(request.key, "idempotency_key", Limits.key, mustBeText: false)
    try checkText(request.run, "run", Limits.runID)
    try checkText(request.call, "call", Limits.runID)
    try checkText(request.description, "description", Limits.description)
    try checkText(request.metadata, "metadata", Limits.metadata)
  }

  static func checkTexts(_ description: String, _ metadata: String = "") throws(Rejection) {
    try description.withBorrowedText { text throws(Rejection) in
      try checkText(text, "description", Limits.description)
    }
    try metadata.withBorrowedText { text throws(Rejection) in try checkText(text, "metadata", Limits.metadata) }
  }

  static func checkText(
    _ text: BorrowedText, _ field: String, _ limit: Int, mustBeText: Bool = true
  ) throws(Rejection) {
    if text.count > limit { throw .failed(Failure(.tooLong, field: field, "It is longer than \(limit) bytes.")) }
    if mustBeText && !text.isEmpty && !text.isText {
      throw .failed(Failure(.invalidUTF8, field: field, "It is not UTF-8 text without NUL."))
    }
  }
}
