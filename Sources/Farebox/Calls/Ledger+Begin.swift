internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// Holds money for a metered call that is about to run.
  ///
  /// Order of checks: texts, payer, tool, price, maximum, key, account state, caps, rate, budgets, wallet, overflow.
  mutating func begin(_ request: BeginRequest, at time: Int64, in store: any Store) throws(Rejection) -> MeteredCall {
    try Ledger.checkTexts(request)
    let arena = TextArena()
    defer { withExtendedLifetime(arena) {} }
    var request = request
    request.run = Identifier.folded(request.run, in: arena)
    request.call = Identifier.folded(request.call, in: arena)
    guard let account = state.account(request.payer) else {
      throw .failed(state.unknownAccount(request.payer, field: "payer"))
    }
    guard !request.tool.isEmpty else {
      throw .failed(Failure(.missingField, field: "tool", "A metered call needs a tool."))
    }
    let (tool, index) = try pricedTool(request.tool, customer: account, at: time)
    let reservation = try reservation(request, index)
    let key = CallKey(request, tool: state.catalog.identities[Int(tool)].fullName)
    var call = MeteredCall()
    call.maximum = reservation.maximum
    call.amount = request.amount ?? 0
    call.terms = request.terms.union(key == nil ? [] : .named)
    if let expected = reservation.expected {
      call.expected = expected
      call.terms.insert(.expected)
    }
    let asset = state.catalog.prices[Int(index)].asset
    call.scale = state.catalog.assets[Int(asset)].scale
    call.assetCode = state.catalog.assetCodes[Int(asset)]
    if let key, !key.isGiven { for place in key.base.indices { call.key[place] = key.base[place] } }

    var attempt = Attempt(number: 0, key: [], hash: .none)
    if let key {
      switch try self.attempt(key, request, account, tool + 1, in: store) {
      case .repeated(let earlier, let isPaid):
        // Its price may have changed since, even to another asset: what is true of it is what its reservation says.
        var (again, asset) = try meteredCall(HoldID(earlier.hold), in: store)
        let version = Int(again.priceVersion) - 1
        if state.catalog.prices.indices.contains(version) {
          again.maximum = Ledger.lower(again.maximum, state.catalog.prices[version].price.maximum)
        }
        again.scale = state.catalog.assets[Int(asset)].scale
        again.assetCode = state.catalog.assetCodes[Int(asset)]
        again.key = call.key
        again.isPaid = isPaid
        again.isShared = !isPaid
        return again
      case .new(let new): attempt = new
      }
    }
    let order = Order(
      account: account, asset: asset, amount: reservation.amount,
      beneficiary: state.catalog.prices[Int(index)].beneficiary, payee: state.catalog.prices[Int(index)].payee,
      tool: tool + 1, price: index + 1,
      run: request.run.isEmpty ? 0 : state.runHash(request.run),
      isExplicit: request.amount != nil, isCapped: reservation.isCapped, isAssetUnnamed: false)
    try check(order, at: time)

    // After this point the reservation must succeed.
    let receipt = try hold(order, request, reservation.expected, attempt, at: time)
    call.hold = receipt.hold
    call.held = receipt.amount
    call.priceVersion = receipt.priceVersion
    return call
  }

  /// What is held for a call, and why.
  private struct Reservation {
    var amount: Int64
    var isCapped = false
    /// What the call can cost at the most; nil is anything.
    let maximum: Int64?
    let expected: Usage?
  }

  /// Decides how much is held.
  ///
  /// A flat price is held whole; a price by usage holds the caller's maximum or the price's own if that is lower, else the
  /// price of the estimate, else the price's own maximum.
  private func reservation(_ request: BeginRequest, _ index: UInt32) throws(Rejection) -> Reservation {
    let price = state.catalog.prices[Int(index)].price
    if let maximum = request.maxCost, maximum < 0 {
      throw .failed(Failure(.invalidAmount, field: "max_cost", "A maximum must not be negative."))
    }
    let maximum = Ledger.lower(request.maxCost, price.maximum)
    let kind = price.kind
    if request.amount != nil, kind != .dynamic {
      throw .failed(
        Failure(.invalidArgument, field: "amount", "The tool has a price; an amount is for a dynamic one."))
    }
    switch kind {
    case .flat:
      let total = try state.catalog.quote(index, .oneRequest, amount: nil, maxCost: nil)
      if let most = request.maxCost, total.total > most {
        let account = state.account(request.payer) ?? LedgerState.platform
        throw .refused(
          Refusal(
            .overMaxCost, .maxCost, account, state.catalog.prices[Int(index)].asset, limit: most,
            requested: total.total))
      }
      return Reservation(amount: total.total, isCapped: total.capped, maximum: maximum, expected: nil)
    case .dynamic:
      guard let amount = request.amount else {
        throw .failed(
          Failure(.missingField, field: "amount", "The tool's price is dynamic; say what this call costs."))
      }
      guard amount >= 0 else { throw .failed(Failure(.invalidAmount, field: "amount", "It must not be negative.")) }
      let total = try state.catalog.quote(index, .oneRequest, amount: amount, maxCost: request.maxCost)
      return Reservation(amount: total.total, isCapped: total.capped, maximum: maximum, expected: nil)
    case .usage:
      var expected: Usage?
      if let tally = request.expected, !tally.isEmpty {
        do throws(Failure) {
          expected = try tally.usage(scale: price.asset.scale)
        } catch {
          throw .failed(error)
        }
      }
      if request.maxCost == nil, let expected {
        let total = try state.catalog.quote(index, expected, amount: nil, maxCost: nil)
        return Reservation(amount: total.total, isCapped: total.capped, maximum: maximum, expected: expected)
      }
      if let maximum { return Reservation(amount: maximum, maximum: maximum, expected: expected) }
      guard request.terms.contains(.chargesAfterwards) else {
        throw .failed(
          Failure(
            .missingField, field: "max_cost",
            "Tool '\(request.tool.shown)' is priced by usage that is known only after the call. "
              + "Give a max_cost, which is held while it runs."))
      }
      return Reservation(amount: 0, maximum: nil, expected: nil)
    }
  }

  /// The lower of two maxima, each of which may be absent.
  static func lower(_ first: Int64?, _ second: Int64?) -> Int64? {
    guard let first else { return second }
    return second.map { min(first, $0) } ?? first
  }

  // MARK: Tries

  /// One try of a call that has a key.
  struct Attempt {
    let number: Int
    let key: [UInt8]
    let hash: KeyHash
  }

  enum AttemptOutcome {
    /// No earlier try has charged or holds anything: this is the key of the next one.
    case new(Attempt)
    /// The reservation of an earlier try that was charged, or is under way.
    case repeated(Receipt, isPaid: Bool)
  }

  /// Finds the try of a call that counts: the first that was charged or is under way, else a new one.
  mutating func attempt(
    _ key: CallKey, from first: Int = 0, _ request: BeginRequest, _ account: UInt32, _ tool: UInt32,
    in store: any Store
  ) throws(Rejection) -> AttemptOutcome {
    let digest = key.isGiven ? ArgumentDigest(request.arguments) : nil
    for number in first..<first + Limits.callAttempts {
      let bytes = key.attempt(number)
      let outcome: Result<AttemptOutcome?, Rejection> = unsafe bytes.withUnsafeBufferPointer { buffer in
        let text = unsafe BorrowedText(buffer.baseAddress, count: buffer.count)
        let hash = KeyHash(text, secret)
        do throws(Rejection) {
          let earlier = try replayed(
            hash, text, in: store,
            compare: { ledger, record, heap in
              ledger.difference(
                request, account, tool, isGiven: key.isGiven && number == 0, digest, record, heap)
            })
          guard let earlier else { return .success(.new(Attempt(number: number, key: bytes, hash: hash))) }
          let id = HoldID(earlier.hold)
          if let hold = state.holds[id.number], hold.tag == id.tag {
            return .success(.repeated(earlier, isPaid: false))
          }
          do throws(Failure) {
            return .success(try holdEnd(id, in: store) == .captured ? .repeated(earlier, isPaid: true) : nil)
          } catch {
            throw .failed(error)
          }
        } catch {
          return .failure(error)
        }
      }
      if let outcome = try outcome.get() { return outcome }
    }
    throw .failed(
      Failure(
        .tooLong, field: "call", "\(Limits.callAttempts) tries of this call have failed; give the next one another id.")
    )
  }

  /// The first field in which a repeat of a metered call differs from the reservation of its first try, or nil.
  ///
  /// A derived key says itself what the call is; its estimate and its price may have changed since.
  private func difference(
    _ request: BeginRequest, _ account: UInt32, _ tool: UInt32, isGiven: Bool, _ digest: ArgumentDigest?,
    _ record: Record, _ heap: Heap
  ) -> String? {
    if record.kind != RecordKind.reserve.rawValue { return "operation" }
    if record.account != account { return "payer" }
    if record.tool != tool, !isSameTool(request.tool, record, heap) { return "tool" }
    guard isGiven else { return nil }
    if !heap[.run].equals(request.run) { return "run" }
    if !heap[.call].equals(request.call) { return "call" }
    if heap[.arguments].word != digest?.word { return "arguments" }
    return nil
  }

  /// Writes the reservation of a call.
  mutating func hold(
    _ order: Order, _ request: BeginRequest, _ expected: Usage?, _ attempt: Attempt, at time: Int64
  ) throws(Rejection) -> Receipt {
    var record = record(.reserve, order, at: time)
    let policy = request.maxCost == nil ? OverCapture.overflow : .cap
    record.detail = UInt32(policy.rawValue) | (UInt32(truncatingIfNeeded: writer) & HoldID.tagMask) << 8
    record.extra = time + request.expiresInMilliseconds * 1_000
    record.remaining = order.amount
    log.beginRecord()
    unsafe attempt.key.withUnsafeBufferPointer { buffer in
      log.addField(.key, unsafe BorrowedText(buffer.baseAddress, count: buffer.count))
    }
    log.addField(.run, request.run)
    log.addField(.call, request.call)
    if let maximum = request.maxCost { log.addField(.maxCost, words: [maximum]) }
    if !request.tool.isEmpty, !state.catalog.isOwnName(request.tool, of: order.tool - 1) {
      log.addField(.toolName, request.tool)
    }
    // What was asked for, because a minimum, a maximum or other parts of the price hide it and the end prices it again.
    if let amount = request.amount, amount != order.amount { log.addField(.requested, words: [amount]) }
    if let expected, !expected.isSingleRequest { log.addField(.usage, words: expected.words) }
    let terms = request.terms.union(expected == nil ? [] : .expected).intersection(.kept)
    if !terms.isEmpty { log.addField(.terms, words: [Int64(terms.rawValue)]) }
    if attempt.number > 0 { log.addField(.attempt, words: [Int64(attempt.number)]) }
    if !request.key.isEmpty, let digest = ArgumentDigest(request.arguments) {
      log.addField(.arguments, words: [digest.word])
    }
    let number = try append(&record, key: attempt.hash, tells: order.account)
    try raiseThresholds(order.account, at: time)
    return receipt(number, record)
  }

  private static func checkTexts(_ request: BeginRequest) throws(Rejection) {
    try checkText(request.key, "idempotency_key", Limits.key, mustBeText: false)
    do throws(Failure) {
      try Identifier.check(request.run, "run")
      try Identifier.check(request.call, "call")
    } catch {
      throw .failed(error)
    }
    try checkText(request.parent, "parent", CallKey.length)
    try checkText(request.arguments, "arguments", Limits.jsonBytes, mustBeText: false)
    guard (1...Limits.holdMilliseconds).contains(request.expiresInMilliseconds) else {
      throw .failed(Failure(.invalidArgument, field: "expires_in_ms", "A hold lasts from 1 ms to 366 days."))
    }
  }
}

/// What tells the arguments of two calls under one given key apart.
struct ArgumentDigest {
  let word: Int64

  /// nil where there are no arguments.
  init?(_ arguments: BorrowedText) {
    if arguments.isEmpty { return nil }
    var hasher = SHA256Hasher()
    unsafe hasher.update(arguments.bytes)
    word = Int64(truncatingIfNeeded: hasher.finish().word0)
  }
}
