internal import FareboxCore
internal import FareboxStore

/// Where a copy reads from: who a ledger is, and its journal up to a moment.
///
/// The journal only grows, so it can be read in slices, each in a short transaction of its own, and what comes together
/// is the ledger at the moment when the reading began. Nobody waits for longer than one slice takes.
struct JournalSource {
  let identity: LedgerIdentity
  /// A record of the last segment.
  let last: UInt64
  /// Reads a slice that begins with a record.
  let slice: (UInt64) throws(Failure) -> JournalSlice
}

/// Who a ledger is: what is not in its journal and cannot be made again.
struct LedgerIdentity {
  let secret: [UInt8]
  let id: [UInt8]

  /// Reads who the ledger in a store is, or gives nil where there is none.
  init?(of store: any Store) throws(Failure) {
    guard let secret = try store.meta("key_secret"), let id = try store.meta("ledger_id") else { return nil }
    guard secret.count == 16, id.count == 16 else { throw Segment.corrupt("The ledger's identity is damaged.") }
    self.secret = secret
    self.id = id
  }
}

extension Engine {
  /// The journal of this engine's ledger as it is now; its other callers go on meanwhile.
  func journalSource() throws(Failure) -> JournalSource {
    // Relaxed records are part of the ledger as its callers know it.
    if !isReadOnly { try perform(.normal) { _, _ throws(Rejection) in } }
    let (identity, last) = try look { ledger, context throws(Rejection) in
      do throws(Failure) {
        return (try LedgerIdentity(of: context.store), ledger.firstUnwritten - 1)
      } catch {
        throw .failed(error)
      }
    }
    guard let identity else { throw Segment.corrupt("The ledger's identity is missing.") }
    return JournalSource(identity: identity, last: last) { record throws(Failure) in
      try self.journalSlice(from: record, through: last)
    }
  }

  /// Reads a slice of the journal in a turn.
  func journalSlice(from record: UInt64, through last: UInt64 = .max) throws(Failure) -> JournalSlice {
    try look { _, context throws(Rejection) in
      do throws(Failure) {
        return try JournalSlice(of: context.store, from: record, through: last)
      } catch {
        throw .failed(error)
      }
    }
  }
}

extension JournalSource {
  /// The journal in a store that no engine need be able to open: nothing but identity and segments is read.
  init(_ store: any Store) throws(Failure) {
    let found = try JournalSource.reading(store, from: UInt64(Int64.max)) { () throws(Failure) in
      (try LedgerIdentity(of: store), try store.lastSegment()?.first)
    }
    guard let identity = found.0, let end = found.1 else {
      throw Failure(.storeNotFound, field: "from", "There is no ledger at this address.")
    }
    self.init(identity: identity, last: end) { record throws(Failure) in
      try JournalSource.reading(store, from: record) { () throws(Failure) in
        try JournalSlice(of: store, from: record, through: end)
      }
    }
  }

  private static func reading<Result>(
    _ store: any Store, from record: UInt64, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try store.beginRead(from: record)
    defer { store.endRead() }
    return try body()
  }
}
