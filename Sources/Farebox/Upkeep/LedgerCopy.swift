internal import FareboxCore
internal import FareboxStore

/// Writes a ledger into an empty store: backup, restore, and the move from one kind of store to another.
///
/// The journal is copied as it stands, and everything else is made again from it. Until the last transaction the copy
/// has no identity, and no engine opens it: what is found under its address is all of a ledger or none. The
/// transactions in between are bounded, so neither memory nor the log of the store grows with the ledger.
struct LedgerCopy {
  private let source: JournalSource
  private let store: any Store
  private let keyMemoryBytes: Int
  /// Names this copy in the store, so that no other one can write between its transactions.
  private let token: [UInt8]
  /// The last segment that an unfinished copy had left, or 0.
  private var found: UInt64 = 0

  /// Slices that are written in one transaction.
  private static let slicesInTransaction = 16
  /// The name under which the token is kept.
  static let tokenName = "copy"

  /// - Returns: what the copy amounts to, read back from where it was written.
  /// - Throws: `storeExists` where there is a ledger already, `ledgerInvalid` where the copy does not verify.
  static func write(
    _ source: JournalSource, into store: any Store, keyMemoryBytes: Int
  ) throws(Failure) -> Audit {
    var copy = LedgerCopy(
      source: source, store: store, keyMemoryBytes: keyMemoryBytes,
      token: SipHashKey(word0: try SecureRandom.word(), word1: try SecureRandom.word()).bytes)
    try store.setDurable(false)
    try copy.claim()
    let hash = try copy.writeJournal()
    try store.setDurable(true)
    // A server that crashes after it was read could lose the end of what was found to be whole. A file has no name before
    // it is on the disk.
    if store.isRemote { try store.flush() }
    let audit = try copy.verify(against: hash)
    try copy.identify()
    return audit
  }

  /// Takes a store that has no ledger in it; what an unfinished copy has left is used again.
  private mutating func claim() throws(Failure) {
    found = try transaction { () throws(Failure) in
      guard try LedgerIdentity(of: store) == nil else {
        throw Failure(.storeExists, field: "to", "There is a ledger at this address already.")
      }
      for table in ProjectionTable.allCases { try store.deleteAllRows(table) }
      try store.setMeta(LedgerCopy.tokenName, token)
      return try store.lastSegment()?.first ?? 0
    }
  }

  private func writeJournal() throws(Failure) -> Digest {
    var ledger = Ledger(keyMemoryBytes: keyMemoryBytes)
    ledger.secret = SipHashKey(bytes: source.identity.secret)
    var next: UInt64 = 1
    var hasMore = true
    while hasMore {
      // Read before the transaction begins: a server does not let one stand idle for long.
      var slices: [JournalSlice] = []
      while hasMore, slices.count < LedgerCopy.slicesInTransaction {
        let slice = try source.slice(next)
        next = slice.next
        hasMore = slice.hasMore
        slices.append(slice)
      }
      try transaction { () throws(Failure) in
        try checkClaim()
        for slice in slices {
          unsafe try slice.visit { first, row throws(Failure) in
            try unsafe put(first, row)
            try unsafe ledger.rebuild(first, row, in: store)
          }
        }
      }
    }
    guard ledger.state.nextRecord > source.last else {
      throw Segment.corrupt("The journal ends at record \(ledger.state.nextRecord - 1).")
    }
    guard ledger.state.nextRecord > found else { throw LedgerCopy.notSame }
    return ledger.state.hash
  }

  /// Writes a segment, or makes sure that it is what an unfinished copy has written.
  private func put(_ first: UInt64, _ row: UnsafeRawBufferPointer) throws(Failure) {
    guard first <= found else {
      try unsafe store.appendSegment(first: first, row)
      return
    }
    var isSame = false
    try unsafe store.visitSegment(containing: first) { name, written throws(Failure) in
      isSame = unsafe name == first && written.elementsEqual(row)
    }
    guard isSame else { throw LedgerCopy.notSame }
  }

  private static let notSame = Failure(
    .storeExists, field: "to", "There is an unfinished copy of another ledger at this address.")

  /// Opens the copy as an engine would, reads it whole, and compares.
  private func verify(against hash: Digest) throws(Failure) -> Audit {
    var ledger = Ledger(keyMemoryBytes: keyMemoryBytes)
    ledger.secret = SipHashKey(bytes: source.identity.secret)
    try store.beginRead(from: 1)
    defer { store.endRead() }
    try ledger.load(from: store)
    let audit = try ledger.audit(in: store)
    guard audit.problems.isEmpty, audit.hash == hash else {
      throw Failure(
        .ledgerInvalid, "The copy does not verify: \(audit.problems.first ?? "its last hash is another one.")")
    }
    return audit
  }

  private func identify() throws(Failure) {
    try transaction { () throws(Failure) in
      try checkClaim()
      try store.setMeta("ledger_id", source.identity.id)
      try store.setMeta("key_secret", source.identity.secret)
    }
  }

  private func checkClaim() throws(Failure) {
    guard try store.meta(LedgerCopy.tokenName) == token else {
      throw Failure(.storeBusy, "Another copy is being written to this address.")
    }
  }

  private func transaction<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    try store.transaction(body)
  }
}

extension Store {
  /// Does something in a write transaction; nothing of it stays where it throws.
  func transaction<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    do throws(Failure) {
      // Nothing of the journal is asked for.
      try begin(from: UInt64(Int64.max))
      let result = try body()
      try commit()
      return result
    } catch {
      rollback()
      throw error
    }
  }
}
