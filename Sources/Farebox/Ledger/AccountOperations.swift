package import FareboxCore
internal import FareboxStore

/// Accounts and balances through the JSON door.
enum AccountOperations {
  static let all: [Operation] = [
    open, get, list, freeze, unfreeze, close, setCreditLine, deposit, withdraw, balance,
  ]

  private static let account = OperationField("account", .text, "The account's name.", required: true)
  private static let summary = [
    OperationField("account", .text, "The name."), OperationField("wallet", .text, "The account whose balances pay."),
    OperationField("frozen", .flag, "Whether it may not be charged."),
    OperationField("closed", .flag, "Whether it is closed."),
    OperationField("balances", .list, "Its wallet's balances, by asset."),
  ]

  static let open = Operation(
    "account.open", "Opens an account; on the same terms again it changes nothing.",
    input: [
      OperationField("account", .text, "A path such as org:acme/dept:research.", required: true),
      OperationField(
        "wallet", .text, "own, or parent: the account above pays. Below another account parent is the default."),
      OperationField("credit_line", .amount, "How far below zero the wallet may go."),
      OperationField("asset", .text, "The credit line's asset."),
    ], output: summary, errors: [.accountExists, .accountNotFound, .accountClosed]
  ) { engine, input throws(Failure) in
    var wallet: WalletKind?
    if let text = input.text("wallet") {
      wallet = WalletKind(rawValue: text)
      if wallet == nil { throw Failure(.invalidArgument, field: "wallet", "It is own or parent.") }
    }
    return try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      // Before anything is opened, because a call that fails opens nothing.
      let line = try ledger.creditLine(input)
      if line != nil {
        let isBelow = AccountName.parent(of: input.text("account") ?? "") != nil
        guard wallet == .own || (wallet == nil && !isBelow) else {
          throw .failed(Failure(.invalidArgument, field: "credit_line", "The account has no wallet of its own."))
        }
      }
      let index = try ledger.openAccount(input.text("account") ?? "", wallet: wallet, at: context.time)
      if let line { try setLine(&ledger, index, line, input, context.time) }
      return ledger.json(index)
    }
  }

  private static func setLine(
    _ ledger: inout Ledger, _ account: UInt32, _ units: Int64, _ input: OperationInput, _ time: Int64
  ) throws(Rejection) {
    try ledger.checkCreditLine(account, units)
    let asset =
      try input.text("asset").map { code throws(Rejection) in try ledger.makeAsset(code, at: time) }
      ?? ledger.defaultAsset
    try ledger.setCreditLine(account, units, asset: asset, at: time)
  }

  static let get = Operation(
    "account.get", "Tells an account's state and balances.", input: [account], output: summary,
    errors: [.accountNotFound]
  ) { engine, input throws(Failure) in
    try engine.read { ledger, _ throws(Rejection) in ledger.json(try ledger.account(input)) }
  }

  static let list = Operation(
    "account.list", "Lists accounts in the order of their opening.",
    input: [
      OperationField("under", .text, "Only this account and those below it."),
      OperationField("after", .text, "Begin after this account, for the next page."),
      OperationField("limit", .integer, "Rows, from 1 to 1,000; 100 where absent."),
    ],
    output: [
      OperationField("accounts", .list, "As account.get."),
      OperationField("next", .text, "The next page's after, or null."),
    ], errors: [.accountNotFound]
  ) { engine, input throws(Failure) in
    let limit = try Paging.limit(input)
    return try engine.read { ledger, _ throws(Rejection) in
      let under = try input.text("under").map { _ throws(Rejection) in try ledger.account(input, "under") }
      var index = try input.text("after").map { _ throws(Rejection) in try ledger.account(input, "after") + 1 } ?? 0
      var rows: [JSON] = []
      var last: UInt32 = 0
      var isMore = false
      while index < ledger.state.accounts.count, !isMore {
        if under.map({ ledger.state.isInside(index, $0) }) ?? true {
          if rows.count == limit {
            isMore = true
          } else {
            rows.append(ledger.json(index))
            last = index
          }
        }
        index += 1
      }
      return ["accounts": .array(rows), "next": isMore ? .string(ledger.state.accountNames[last]) : .null]
    }
  }

  static let freeze = flagOperation(
    "account.freeze", "Stops charges and holds on an account and all below it; open holds may still be captured.",
    set: AccountFlags.frozen)
  static let unfreeze = flagOperation("account.unfreeze", "Lifts a freeze.", clear: AccountFlags.frozen)

  private static func flagOperation(_ name: String, _ doc: String, set: UInt8 = 0, clear: UInt8 = 0) -> Operation {
    Operation(name, doc, input: [account], output: summary, errors: [.accountNotFound]) {
      engine, input throws(Failure) in
      try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
        let index = try ledger.account(input)
        try ledger.setFlags(index, set: set, clear: clear, at: context.time)
        return ledger.json(index)
      }
    }
  }

  static let close = Operation(
    "account.close", "Closes an account without money, holds or open accounts below it, for good.", input: [account],
    output: summary, errors: [.accountNotFound, .accountNotEmpty]
  ) { engine, input throws(Failure) in
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      let index = try ledger.account(input)
      try ledger.closeAccount(index, at: context.time)
      return ledger.json(index)
    }
  }

  static let setCreditLine = Operation(
    "account.set_credit_line", "Lets a wallet go below zero, down to a bound; 0 takes it back.",
    input: [
      account, OperationField("credit_line", .amount, "How far below zero.", required: true),
      OperationField("asset", .text, "Its asset; the ledger's default where absent."),
    ], output: summary, errors: [.accountNotFound, .assetNotFound]
  ) { engine, input throws(Failure) in
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      let index = try ledger.account(input)
      try setLine(&ledger, index, ledger.creditLine(input) ?? 0, input, context.time)
      return ledger.json(index)
    }
  }

  private static let movement = [
    account, OperationField("amount", .amount, "More than zero.", required: true),
    OperationField("asset", .text, "Its asset; the ledger's default where absent."),
    OperationField("idempotency_key", .text, "The same key and request give the first receipt again."),
    OperationField("description", .text, "For people."), OperationField("metadata", .object, "For programs."),
  ]

  static let deposit = Operation(
    "account.deposit", "Brings money from outside into an account, which it opens where it is not open yet.",
    input: movement, output: Shapes.receipt, errors: [.assetNotFound, .keyConflict, .accountClosed]
  ) { engine, input throws(Failure) in try move(engine, input, isDeposit: true) }

  static let withdraw = Operation(
    "account.withdraw", "Pays money of an account out.", input: movement, output: Shapes.receipt,
    errors: [.accountNotFound, .insufficientFunds, .keyConflict]
  ) { engine, input throws(Failure) in try move(engine, input, isDeposit: false) }

  private static func move(_ engine: Engine, _ input: OperationInput, isDeposit: Bool) throws(Failure) -> JSON {
    let arena = TextArena()
    return try engine.receiptJSON(nil) { ledger, context throws(Rejection) in
      // Everything that can fail comes before the account and the asset are opened.
      let key = arena.add(input.text("idempotency_key"))
      let unnamed = try ledger.firstUnnamed(key, in: context.store).first?.asset ?? ledger.defaultAsset
      let known = try ledger.knownAsset(input, unnamed: unnamed)
      let units = try ledger.units(input.amount("amount") ?? "", "amount", of: known)
      guard units > 0 else { throw .failed(Failure(.invalidAmount, field: "amount", "It must be more than zero.")) }
      let description = input.text("description") ?? ""
      let metadata = input.objectText("metadata")
      try Ledger.checkText(key, "idempotency_key", Limits.key, mustBeText: false)
      try Ledger.checkTexts(description, metadata)
      let isRepeat = try ledger.checkMovement(
        input, key, units, unnamed: unnamed, isDeposit: isDeposit, in: context.store)
      let account =
        isDeposit
        ? try ledger.makeAccount(input.text("account") ?? "", at: context.time) : try ledger.account(input)
      // A repeat is answered whatever has become of the account since.
      if !isRepeat, !isDeposit {
        try ledger.checkOpen(account, field: "account")
      } else if !isRepeat, ledger.state.accounts[Int(account)].flags & AccountFlags.closed != 0 {
        throw .failed(ledger.state.stateFailure(account, field: "account"))
      }
      if !isDeposit, let code = input.text("asset"), ledger.state.catalog.assetIndex(code) == nil {
        throw .failed(.nothingOfNewAsset(field: "amount"))
      }
      let asset =
        try input.text("asset").map { code throws(Rejection) in
          try ledger.makeAsset(code, at: context.time)
        } ?? unnamed
      let wallet = ledger.state.wallet(of: account)
      let postings = [
        Posting(account: isDeposit ? LedgerState.external : wallet, asset: asset, amount: -units),
        Posting(account: isDeposit ? wallet : LedgerState.external, asset: asset, amount: units),
      ]
      let parties = isDeposit ? [LedgerState.external, account] : [account, LedgerState.external]
      // A deposit's receipt is about the account that got the money, not about the world outside.
      return try ledger.transfer(
        postings, parties: parties, key: key, description: description, metadata: metadata, tells: account,
        named: account + 1, isAssetUnnamed: input.text("asset") == nil, at: context.time, in: context.store)
    }
  }

  static let balance = Operation(
    "balance.get", "Tells what an account's wallet has, now or at a time in the past.",
    input: [
      account, OperationField("asset", .text, "The asset; the ledger's default where absent."),
      OperationField("at", .integer, "Microseconds since 1970; what was posted up to then counts."),
    ],
    output: [
      OperationField("account", .text, "The account."),
      OperationField("wallet", .text, "The account whose balance it is."),
      OperationField("asset", .text, "The asset."), OperationField("balance", .amount, "Sum of all postings."),
      OperationField("held", .amount, "In open holds; only now."),
      OperationField("credit_line", .amount, "How far below zero it may go; only now."),
      OperationField("available", .amount, "balance - held + credit_line; only now."),
      OperationField("units", .integer, "The balance in atomic units."),
      OperationField("scale", .integer, "Its scale."),
    ], errors: [.accountNotFound, .assetNotFound]
  ) { engine, input throws(Failure) in
    let code = input.text("asset") ?? ""
    let moment = input.integer("at")
    let asset = code.isEmpty ? nil : try engine.asset(code)
    return try engine.look { ledger, context throws(Rejection) in
      let index = try ledger.account(input)
      let assetIndex = asset.map { ledger.state.catalog.assetIndex($0.code) } ?? ledger.defaultAsset
      guard let assetIndex else {
        throw .failed(Failure(.assetNotFound, field: "asset", "The ledger has no such asset yet."))
      }
      return try ledger.balanceJSON(index, assetIndex, at: moment, in: context.store)
    }
  }
}

/// How many rows a listing gives.
package enum Paging {
  package static func limit(_ input: OperationInput) throws(Failure) -> Int {
    let limit = input.integer("limit") ?? 100
    guard (1...Int64(Limits.page)).contains(limit) else {
      throw Failure(.invalidArgument, field: "limit", "A page has from 1 to \(Limits.page) rows.")
    }
    return Int(limit)
  }
}

extension LedgerState {
  /// Whether an account is another, or lies below it.
  func isInside(_ account: UInt32, _ ancestor: UInt32) -> Bool {
    var index = Int32(bitPattern: account)
    while index >= 0 {
      if index == Int32(bitPattern: ancestor) { return true }
      index = accounts[Int(index)].parent
    }
    return false
  }
}

extension Ledger {
  /// The asset that an input names, open or built in; where it names none the ledger's default, or `unnamed`.
  func knownAsset(_ input: OperationInput, unnamed: UInt16? = nil) throws(Rejection) -> Asset {
    guard let code = input.text("asset") else { return state.catalog.assets[Int(unnamed ?? defaultAsset)] }
    if let found = state.catalog.assetIndex(code) { return state.catalog.assets[Int(found)] }
    guard let asset = Asset.builtIn(code) else {
      throw .failed(Failure(.assetNotFound, field: "asset", "There is no asset '\(code.prefix(24))'; open it first."))
    }
    return asset
  }

  /// The credit line of an input, or nil where it has none.
  fileprivate func creditLine(_ input: OperationInput) throws(Rejection) -> Int64? {
    guard let text = input.amount("credit_line") else { return nil }
    let units = try units(text, "credit_line", of: knownAsset(input))
    guard units >= 0 else { throw .failed(Ledger.negativeCreditLine) }
    return units
  }

  func units(_ text: String, _ field: String, of asset: Asset) throws(Rejection) -> Int64 {
    do throws(Failure) {
      return try Amount.parse(text, scale: asset.scale, field: field)
    } catch {
      throw .failed(error)
    }
  }

  /// Refuses a deposit or withdrawal whose key was used for another, naming the field as its caller knows it, and one
  /// that the world outside cannot give.
  ///
  /// - Returns: whether the key was used before, for the same.
  fileprivate func checkMovement(
    _ input: OperationInput, _ key: BorrowedText, _ units: Int64, unnamed: UInt16, isDeposit: Bool,
    in store: any Store
  ) throws(Rejection) -> Bool {
    let asset = input.text("asset").map { state.catalog.assetIndex($0) } ?? unnamed
    let hash = key.isEmpty ? KeyHash.none : KeyHash(key, secret)
    let isRepeat = try withFirst(hash, key, in: store) { number, record, heap throws(Failure) -> Bool in
      let legs = heap.postings
      let side = isDeposit ? 0 : 1
      guard record.kind == RecordKind.transfer.rawValue, legs.count == 2, record.reference == 0,
        legs[side].account == LedgerState.external, legs[0].amount < 0
      else { throw Ledger.conflict("operation", number) }
      let wallet = state.accountNames.find(input.text("account") ?? "").map { state.wallet(of: $0) }
      if wallet != legs[1 - side].account { throw Ledger.conflict("account", number) }
      if asset != legs[0].asset { throw Ledger.conflict("asset", number) }
      if legs[1].amount != units { throw Ledger.conflict("amount", number) }
      return true
    }
    if isRepeat == true { return true }
    if isDeposit, let asset { try checkFunds(LedgerState.external, asset, units) }
    return false
  }

  func json(_ account: UInt32) -> JSON {
    let entry = state.accounts[Int(account)]
    var found: [Balance] = []
    var index = state.accounts[Int(entry.wallet)].firstBalance
    while index >= 0 {
      found.append(state.balances[Int(index)])
      index = found[found.count - 1].next
    }
    // In memory they stand in the order of their first use, which is another one after the ledger was opened again.
    let balances = found.sorted { $0.asset < $1.asset }.map { balance -> JSON in
      let asset = state.catalog.assets[Int(balance.asset)]
      func text(_ units: Int64) -> JSON {
        .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
      }
      return [
        "asset": .string(asset.code), "balance": text(balance.units), "held": text(balance.held),
        "credit_line": text(balance.creditLine), "available": text(balance.available),
      ]
    }
    return [
      "account": .string(state.accountNames[account]),
      "wallet": .string(state.accountNames[UInt32(bitPattern: entry.wallet)]),
      "frozen": .bool(entry.flags & AccountFlags.frozen != 0), "closed": .bool(entry.flags & AccountFlags.closed != 0),
      "balances": .array(balances),
    ]
  }
}
