internal import FareboxCore
internal import FareboxStore

/// Which wallet pays for an account below another.
enum WalletKind: String {
  case own
  case parent
}

extension Ledger {
  /// Opens an account; opening it again on the same terms changes nothing.
  ///
  /// - Parameter wallet: nil is `parent` for an account below another, `own` for one that is not.
  mutating func openAccount(
    _ name: String, wallet: WalletKind?, unbounded: Bool = false, at time: Int64
  ) throws(Rejection) -> UInt32 {
    do throws(Failure) {
      try AccountName.validate(name, field: "account")
    } catch {
      throw .failed(error)
    }
    let parentName = AccountName.parent(of: name)
    let wallet = wallet ?? (parentName == nil ? .own : .parent)
    guard parentName != nil || wallet == .own else {
      throw .failed(Failure(.invalidArgument, field: "wallet", "There is no account above it whose wallet could pay."))
    }
    if let found = state.accountNames.find(name) {
      let inherits = state.accounts[Int(found)].flags & AccountFlags.parentWallet != 0
      if state.accounts[Int(found)].flags & AccountFlags.closed != 0 {
        throw .failed(state.stateFailure(found, field: "account"))
      }
      guard inherits == (wallet == .parent) else {
        throw .failed(Failure(.accountExists, field: "wallet", "Account '\(name)' is open with the other wallet."))
      }
      return found
    }
    var parent: UInt32 = 0
    if let parentName {
      guard let found = state.accountNames.find(parentName) else {
        throw .failed(
          Failure(.accountNotFound, field: "account", "Account '\(parentName)', above it, is not open."))
      }
      guard state.accounts[Int(found)].flags & AccountFlags.closed == 0 else {
        throw .failed(state.stateFailure(found, field: "account"))
      }
      parent = found + 1
    }

    // After this point the account must open.
    var record = Record(.account, time: time)
    record.account = UInt32(state.accounts.count)
    record.detail = parent
    if wallet == .parent { record.flags |= AccountFlags.parentWallet }
    if unbounded { record.flags |= AccountFlags.unbounded }
    log.beginRecord()
    log.addField(.name, name)
    _ = try append(&record)
    return record.account
  }

  /// The account of a name, opened with the accounts above it where it is not open yet.
  mutating func makeAccount(_ name: String, at time: Int64) throws(Rejection) -> UInt32 {
    if let found = state.accountNames.find(name) { return found }
    do throws(Failure) {
      try AccountName.validate(name, field: "account")
    } catch {
      throw .failed(error)
    }
    if let parent = AccountName.parent(of: name) { _ = try makeAccount(parent, at: time) }
    return try openAccount(name, wallet: .own, at: time)
  }

  /// Sets and clears an account's flags.
  mutating func setFlags(
    _ account: UInt32, set: UInt8 = 0, clear: UInt8 = 0, at time: Int64
  ) throws(Rejection) {
    let flags = state.accounts[Int(account)].flags & ~clear | set
    guard flags != state.accounts[Int(account)].flags else { return }
    var record = Record(.accountState, time: time)
    record.account = account
    record.flags = flags
    log.beginRecord()
    _ = try append(&record)
  }

  /// Closes an account that has neither money nor holds nor open accounts below it; it stays in the history.
  mutating func closeAccount(_ account: UInt32, at time: Int64) throws(Rejection) {
    guard account != LedgerState.external, account != LedgerState.platform else {
      throw .failed(Failure(.invalidArgument, field: "account", "A built-in account cannot be closed."))
    }
    var index = state.accounts[Int(account)].firstBalance
    while index >= 0 {
      let balance = state.balances[Int(index)]
      guard balance.units == 0, balance.held == 0 else { throw .failed(Ledger.notEmpty("it has money or holds")) }
      index = balance.next
    }
    for (child, entry) in state.accounts.enumerated()
    where entry.parent == Int32(bitPattern: account) && entry.flags & AccountFlags.closed == 0 {
      throw .failed(Ledger.notEmpty("'\(state.accountNames[UInt32(child)])' below it is open"))
    }
    for hold in state.holds.values where hold.account == account {
      throw .failed(Ledger.notEmpty("it has an open hold"))
    }
    try setFlags(account, set: AccountFlags.closed, at: time)
  }

  private static func notEmpty(_ why: String) -> Failure {
    Failure(.accountNotEmpty, field: "account", "The account cannot be closed: \(why).")
  }

  /// Refuses a credit line that cannot be set.
  func checkCreditLine(_ account: UInt32, _ units: Int64) throws(Rejection) {
    guard units >= 0 else { throw .failed(Ledger.negativeCreditLine) }
    guard state.wallet(of: account) == account else {
      throw .failed(
        Failure(.invalidArgument, field: "account", "The account has no wallet of its own; the one above it pays."))
    }
  }

  static var negativeCreditLine: Failure {
    Failure(.invalidAmount, field: "credit_line", "It must not be negative.")
  }

  /// Lets a wallet go below zero, down to a bound that `checkCreditLine` lets pass.
  mutating func setCreditLine(
    _ account: UInt32, _ units: Int64, asset: UInt16, at time: Int64
  ) throws(Rejection) {
    var record = Record(.accountState, time: time)
    record.account = account
    record.asset = asset
    record.amount = units
    record.flags = state.accounts[Int(account)].flags
    record.detail = 1
    log.beginRecord()
    _ = try append(&record)
  }

  /// The asset of a code, opened from the built-in table where the ledger has not used it yet.
  mutating func makeAsset(_ code: String, field: String = "asset", at time: Int64) throws(Rejection) -> UInt16 {
    if let found = state.catalog.assetIndex(code) { return found }
    guard let asset = Asset.builtIn(code) else {
      throw .failed(Failure(.assetNotFound, field: field, "There is no asset '\(code.prefix(24))'; open it first."))
    }
    return try openAsset(asset, at: time)
  }

  mutating func openAsset(_ asset: Asset, at time: Int64) throws(Rejection) -> UInt16 {
    if let found = state.catalog.assetIndex(asset.code) {
      guard state.catalog.assets[Int(found)].scale == asset.scale else {
        throw .failed(Failure(.assetExists, field: "scale", "Asset '\(asset.code)' is open with another scale."))
      }
      return found
    }
    guard state.catalog.assets.count < Int(UInt16.max) else {
      throw .failed(Failure(.tooLong, field: "asset", "The ledger has as many assets as it can have."))
    }
    try define(
      .asset,
      [
        "code": .string(asset.code), "scale": .int(Int64(asset.scale)), "minor_digits": .int(Int64(asset.minorDigits)),
        "name": .string(asset.name),
      ], at: time)
    return UInt16(state.catalog.assets.count - 1)
  }

  /// Appends a definition that stands in the journal as JSON.
  mutating func define(
    _ kind: RecordKind, _ json: JSON, account: UInt32 = LedgerState.platform, asset: UInt16 = 0, at time: Int64
  ) throws(Rejection) {
    var record = Record(kind, time: time)
    record.account = account
    record.asset = asset
    log.beginRecord()
    log.addField(.definition, json.serialized())
    _ = try append(&record)
  }
}

extension LedgerState {
  func unknownAccount(_ name: BorrowedText, field: String) -> Failure {
    if name.count > Limits.accountName {
      return Failure(.tooLong, field: field, "A name has at most \(Limits.accountName) bytes.")
    }
    if !name.isEmpty && !name.isText { return Failure(.invalidUTF8, field: field, "It is not UTF-8 text without NUL.") }
    return name.isEmpty
      ? Failure(.missingField, field: field, "It must name an account.")
      : Failure(.accountNotFound, field: field, "There is no account '\(name.shown)'.")
  }

  /// Why an account that is frozen or closed cannot take part.
  func stateFailure(_ account: UInt32, field: String) -> Failure {
    let isClosed = accounts[Int(account)].flags & AccountFlags.closed != 0
    return Failure(
      isClosed ? .accountClosed : .accountFrozen, field: field,
      "Account '\(accountNames[account])' is \(isClosed ? "closed" : "frozen").")
  }
}
