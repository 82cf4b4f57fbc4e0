internal import FareboxCore
internal import FareboxStore

/// Makes the projections of a ledger anew from its journal: the repair of a store whose journal is whole.
///
/// It is one transaction, so that a crash leaves what was there before and nobody meets half of it. Engines that have
/// the ledger open need not be closed: the rows are those that their seals have written.
enum LedgerRebuild {
  /// - Returns: what the ledger amounts to, as an engine that opens it now would find it.
  /// - Throws: `ledgerInvalid` or `storeCorrupt` where the journal itself is damaged; then nothing was changed.
  static func run(_ store: any Store, keyMemoryBytes: Int) throws(Failure) -> Audit {
    try store.setDurable(true)
    return try store.transaction { () throws(Failure) in
      guard let identity = try LedgerIdentity(of: store) else {
        throw Failure(.storeNotFound, field: "url", "There is no ledger at this address.")
      }
      let secret = SipHashKey(bytes: identity.secret)
      for table in ProjectionTable.allCases { try store.deleteAllRows(table) }
      var ledger = Ledger(keyMemoryBytes: keyMemoryBytes)
      ledger.secret = secret
      var hasMore = true
      while hasMore {
        let slice = try JournalSlice(of: store, from: ledger.state.nextRecord, through: .max)
        unsafe try slice.visit { first, row throws(Failure) in try unsafe ledger.rebuild(first, row, in: store) }
        hasMore = slice.hasMore
      }
      var found = Ledger(keyMemoryBytes: keyMemoryBytes)
      found.secret = secret
      try found.load(from: store)
      let audit = try found.audit(in: store)
      if let problem = audit.problems.first {
        throw Failure(.ledgerInvalid, "The ledger does not verify: \(problem)")
      }
      return audit
    }
  }
}
