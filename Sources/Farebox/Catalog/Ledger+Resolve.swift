internal import FareboxCore

extension Ledger {
  /// Turns the names of a request into indices, and its usage into an amount.
  ///
  /// - Parameter reserving: a reservation holds `max_cost`, or the price's own maximum where the usage is not known yet;
  ///   a charge is refused above `max_cost`.
  func resolve(
    _ request: ChargeRequest, known: Foreknown, at time: Int64, reserving: Bool
  ) throws(Rejection) -> Order {
    guard let account = known.payer ?? state.account(request.payer) else {
      throw .failed(state.unknownAccount(request.payer, field: "payer"))
    }
    if let most = request.maxCost, most < 0 {
      throw .failed(Failure(.invalidAmount, field: "max_cost", "It must not be negative."))
    }
    let run = request.run.isEmpty ? 0 : state.runHash(request.run)
    if request.tool.isEmpty { return try resolveAmount(request, account, run, reserving) }

    guard request.payee.isEmpty, request.asset.isEmpty else {
      throw .failed(
        Failure(
          .invalidArgument, field: request.payee.isEmpty ? "asset" : "payee", "A tool's price decides it; leave it out."
        ))
    }
    let (tool, index) = try pricedTool(request.tool, customer: account, at: time)
    let version = state.catalog.prices[Int(index)]
    if request.amount != nil, !version.price.isDynamic {
      throw .failed(
        Failure(.invalidArgument, field: "amount", "The tool has a price; an amount is for a dynamic one."))
    }
    let total = try amount(request, version, index, reserving)
    if !reserving, let most = request.maxCost, total.total > most {
      throw .refused(Refusal(.overMaxCost, .maxCost, account, version.asset, limit: most, requested: total.total))
    }
    return Order(
      account: account, asset: version.asset, amount: total.total, beneficiary: version.beneficiary,
      payee: version.payee, tool: tool + 1, price: index + 1, run: run, isExplicit: request.amount != nil,
      isCapped: total.capped, isAssetUnnamed: false)
  }

  /// A tool that can be charged for, and the price that applies.
  func pricedTool(
    _ name: BorrowedText, customer: UInt32?, at time: Int64
  ) throws(Rejection) -> (tool: UInt32, price: UInt32) {
    guard let named = state.catalog.find(name), !named.isAmbiguous else {
      throw .failed(state.catalog.unresolved(name))
    }
    guard state.catalog.isForSale(named) else { throw .failed(state.catalog.notForSale(named, name)) }
    if let customer, !state.catalog.isOpenToAll(named.tool), let barred = state.barred(customer, from: named.tool) {
      throw .failed(
        Failure(
          .toolDisabled, field: "tool",
          "Tool '\(name.shown)' is disabled for account '\(state.accountNames[barred])'."))
    }
    guard let price = state.catalog.priceIndex(named, customer: customer, at: time) else {
      throw .failed(Failure(.rateCardNotFound, field: "tool", "Tool '\(name.shown)' has no price at this time."))
    }
    return (named.tool, price)
  }

  /// The tool that a name stands for, whether or not it is for sale.
  func tool(_ name: BorrowedText) throws(Rejection) -> NamedTool {
    guard let named = state.catalog.find(name), !named.isAmbiguous else {
      throw .failed(state.catalog.unresolved(name))
    }
    return named
  }

  func tool(_ name: String) throws(Rejection) -> NamedTool {
    try name.withBorrowedText { text throws(Rejection) in try tool(text) }
  }

  private func resolveAmount(
    _ request: ChargeRequest, _ account: UInt32, _ run: UInt64, _ reserving: Bool
  ) throws(Rejection) -> Order {
    var asset = defaultAsset
    if !request.asset.isEmpty {
      guard let found = state.catalog.assetIndex(request.asset) else {
        throw .failed(Failure(.assetNotFound, field: "asset", "There is no asset '\(request.asset.shown)' here."))
      }
      asset = found
    }
    var payee = LedgerState.platform
    if !request.payee.isEmpty {
      guard let found = state.account(request.payee) else {
        throw .failed(state.unknownAccount(request.payee, field: "payee"))
      }
      payee = found
    }
    guard let amount = request.amount ?? (reserving ? request.maxCost : nil) else {
      throw .failed(Failure(.missingField, field: "tool", "A tool, or an amount, says what to charge."))
    }
    guard amount >= 0 else { throw .failed(Failure(.invalidAmount, field: "amount", "It must not be negative.")) }
    if !reserving, let most = request.maxCost, amount > most {
      throw .refused(Refusal(.overMaxCost, .maxCost, account, asset, limit: most, requested: amount))
    }
    // Who draws on another's wallet earns for it.
    return Order(
      account: account, asset: asset, amount: amount, beneficiary: state.wallet(of: payee), payee: payee, tool: 0,
      price: 0, run: run, isExplicit: request.amount != nil, isCapped: false, isAssetUnnamed: request.asset.isEmpty)
  }

  private func amount(
    _ request: ChargeRequest, _ version: PriceVersion, _ index: UInt32, _ reserving: Bool
  ) throws(Rejection) -> QuoteTotal {
    if reserving {
      if let most = request.maxCost {
        guard request.amount != nil else { return QuoteTotal(total: most, capped: false) }
        let asked = try state.catalog.quote(index, request.usage, amount: request.amount, maxCost: most)
        return QuoteTotal(total: most, capped: asked.capped)
      }
      // The usage is not known before the call: what it may cost at the most is.
      if request.amount == nil, version.price.maxCost > 0, request.usage.isSingleRequest, !version.price.isPerRequest {
        return QuoteTotal(total: version.price.maxCost, capped: false)
      }
      return try state.catalog.quote(index, request.usage, amount: request.amount)
    }
    do throws(Rejection) {
      return try state.catalog.quote(index, request.usage, amount: request.amount)
    } catch {
      // Usage that nothing prices costs what the caller was ready to pay for it.
      if error.status == .unpriceable, let most = request.maxCost { return QuoteTotal(total: most, capped: true) }
      throw error
    }
  }
}

extension LedgerState {
  /// The account on a payer's path that may not use a tool, or nil; the nearest of whom something was said decides.
  func barred(_ payer: UInt32, from tool: UInt32) -> UInt32? {
    var index = Int32(bitPattern: payer)
    while index >= 0 {
      let account = UInt32(bitPattern: index)
      if let mayUse = catalog.access(tool, account: account) { return mayUse ? nil : account }
      index = accounts[Int(account)].parent
    }
    return nil
  }
}

extension Price {
  /// Whether a component takes its amount from the caller.
  var isDynamic: Bool { components.contains { $0.model == .dynamic } }

  /// Whether the usage does not matter: only requests are charged for.
  var isPerRequest: Bool { components.allSatisfy { $0.meters == MeterSet(.requests) && $0.model != .dynamic } }
}

extension Usage {
  /// Whether it is the usage that a call without one has: one request.
  var isSingleRequest: Bool {
    present == MeterSet(.requests) && self[.requests] == Usage.micro
  }

  /// The quantities of all meters in the order of their numbers, as they stand in the journal.
  var words: [Int64] { Meter.allCases.map { self[$0] } }

  /// Reads back what `words` gave.
  init(words bytes: BorrowedText) throws(Failure) {
    self = .oneRequest
    let raw = unsafe bytes.bytes
    for meter in Meter.allCases where (Int(meter.rawValue) + 1) * 8 <= raw.count {
      try set(meter, micro: unsafe raw.loadUnaligned(fromByteOffset: Int(meter.rawValue) * 8, as: Int64.self))
    }
  }
}

extension BorrowedText {
  /// The text for a message: cut to sixty characters, with what is not text replaced.
  var shown: String {
    if count > 65_536 { return "..." }
    let text = unsafe String(decoding: bytes.prefix(240), as: UTF8.self)
    return text.count > 60 ? String(text.prefix(60)) + "..." : text
  }
}
