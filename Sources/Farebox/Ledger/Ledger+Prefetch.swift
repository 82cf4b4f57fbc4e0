extension Ledger {
  /// How many requests ahead of the one being decided memory is fetched: long enough for main memory to answer.
  static let prefetchDistance = 6

  /// Asks for the memory that a charge will touch: a batch spends most of its time waiting for it otherwise.
  func prefetch(_ hint: (key: BorrowedText, payer: BorrowedText)) {
    if !hint.key.isEmpty { keys.prefetch(KeyHash(hint.key, secret)) }
    state.prefetch(payer: hint.payer)
  }
}

extension LedgerState {
  fileprivate func prefetch(payer: BorrowedText) {
    guard let account = accountNames.find(payer) else { return }
    let wallet = accounts[Int(account)].wallet
    let balance = accounts[Int(wallet)].firstBalance
    guard balance >= 0 else { return }
    unsafe balances.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { unsafe prefetchMemory(base + Int(balance)) }
    }
  }
}
