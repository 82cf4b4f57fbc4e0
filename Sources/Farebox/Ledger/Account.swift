/// Who holds money, as the engine keeps it in memory.
struct Account {
  /// The account one level up its path, or -1.
  let parent: Int32
  /// The account whose balances pay: itself, or the nearest above it that has a wallet of its own.
  let wallet: Int32
  /// `AccountFlags`.
  var flags: UInt8
  /// The account's budgets and limits, or -1.
  var guardIndex: Int32 = -1
  /// First of its balances, or -1; each names the next.
  var firstBalance: Int32 = -1
  /// The record that opened it.
  let opened: UInt64

  var isUnbounded: Bool { flags & AccountFlags.unbounded != 0 }
}

enum AccountFlags {
  static let frozen: UInt8 = 1
  static let closed: UInt8 = 2
  /// May go below zero without end: the world outside, where deposits come from.
  static let unbounded: UInt8 = 4
  /// Draws on the wallet of the account above it.
  static let parentWallet: UInt8 = 8
}

/// Money of one account in one asset.
struct Balance {
  let account: UInt32
  let asset: UInt16
  var next: Int32
  /// Sum of all postings.
  var units: Int64 = 0
  /// In open holds.
  var held: Int64 = 0
  /// How far below zero it may go.
  var creditLine: Int64 = 0
  /// Changed since the last seal.
  var isDirty = false

  /// What can be spent; saturates, because a balance near the end of Int64 is still a balance.
  var available: Int64 {
    let (free, low) = units.subtractingReportingOverflow(held)
    if low { return .min }
    let (sum, high) = free.addingReportingOverflow(creditLine)
    return high ? .max : sum
  }
}

/// Money set aside for a call.
struct Hold {
  /// Of the engine that made it; see `HoldID`.
  let tag: UInt32
  /// The account that was charged; its wallet pays.
  let account: UInt32
  /// Index of the paying balance.
  let balance: Int32
  let beneficiary: UInt32
  /// Who was named to be credited: `beneficiary`, or an account that draws on its wallet.
  let payee: UInt32
  let asset: UInt16
  let overCapture: UInt8
  let tool: UInt32
  let price: UInt32
  /// Of the run and the call; see `OriginTag`.
  let origin: UInt32
  /// All that was held, with its increases.
  var amount: Int64
  /// What of it was added after the reservation.
  var increased: Int64 = 0
  var remaining: Int64
  /// Part of it that was captured and not given back.
  var captured: Int64
  let time: Int64
  var expires: Int64
  /// Hash of the run, or 0.
  let run: UInt64
}

/// How a hold ended; kept in memory for recent holds, found in the history for older ones.
enum HoldEnd: UInt8 {
  case captured = 1
  case released = 2
  case expired = 3
}
