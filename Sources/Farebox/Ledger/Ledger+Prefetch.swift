internal import FareboxCore

/// What is known of a request before it is decided: its key's hash and its payer.
///
/// A batch works some requests ahead, so that the memory a request touches has arrived when its turn comes.
struct Foreknown {
  let key: KeyHash
  let payer: UInt32?

  static let nothing = Foreknown(key: .none, payer: nil)
}

extension Ledger {
  /// How many requests ahead of the one being decided memory is fetched: long enough for main memory to answer.
  static let foresight = 6

  /// Looks a request's names up and asks for the memory that deciding it will touch.
  func foresee(_ key: BorrowedText, payer: BorrowedText) -> Foreknown {
    let hash = key.isEmpty ? KeyHash.none : KeyHash(key, secret)
    if !hash.isNone { keys.prefetch(hash) }
    let account = state.accountNames.find(payer)
    if let account { state.prefetchBalance(of: account) }
    return Foreknown(key: hash, payer: account)
  }
}

extension LedgerState {
  fileprivate func prefetchBalance(of account: UInt32) {
    let balance = accounts[Int(accounts[Int(account)].wallet)].firstBalance
    guard balance >= 0 else { return }
    unsafe balances.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { unsafe prefetchMemory(base + Int(balance)) }
    }
  }
}
