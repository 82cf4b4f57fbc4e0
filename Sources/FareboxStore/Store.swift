public import FareboxCore

/// The database port: what the engine asks of a store, in the words of the ledger.
///
/// A store keeps one journal of segments, and beside it projections that can all be made again from the journal. It is
/// used by one thread at a time; the engine's turnstile sees to that. Between `begin` and `commit` no other engine, in
/// this process or another, can write. Every method throws a `Failure` of the store family, after which the caller must
/// `rollback` and treat its state in memory as unknown.
public protocol Store: AnyObject {
  /// Whether this process holds the store alone, so that nobody else can have written since the last turn.
  var isExclusive: Bool { get }
  /// Whether the store is a server, whose content may go back behind our back; the end of the journal is then compared
  /// at each turn.
  var isRemote: Bool { get }
  /// Whether nothing can be written, so that `begin` fails.
  var isReadOnly: Bool { get }
  /// The server's clock at the last `begin`, in microseconds since 1970, and how far an engine's may be ahead of it; nil
  /// for a store that has no clock.
  var serverClock: (time: Int64, tolerance: Int64)? { get }
  /// What may be shown of the address: never a password.
  var shownAddress: String { get }
  /// Changes whenever a connection was lost and made again: what was read before, and was not on the disk, may be gone.
  var epoch: Int { get }
  /// Whether a transaction that has failed may be tried again now; waits a moment where that helps.
  ///
  /// - Parameter attempt: how often this turn has been tried again.
  func mayRetry(after failure: Failure, attempt: Int) -> Bool

  /// Starts a write transaction, waiting for other writers up to the busy timeout.
  ///
  /// - Parameter next: the number that the caller thinks the next record will have; a remote store brings what others
  ///   have written from there on in the same round trip.
  func begin(from next: UInt64) throws(Failure)
  /// Sets whether a commit waits until the data has reached the disk; called between transactions.
  func setDurable(_ durable: Bool) throws(Failure)
  /// Ends it; everybody who begins later sees what was written.
  ///
  /// - Throws: `storeOutcomeUnknown` when it may have happened; every other failure says that it has not.
  func commit() throws(Failure)
  /// Waits until all that was committed before, by anybody, has reached the disk; called between transactions.
  ///
  /// Speaks of the store that the last transaction has seen: where the connection to it is lost, it fails.
  func flush() throws(Failure)
  /// Undoes it; never fails, and may be called without a transaction.
  func rollback()
  /// Starts and ends a read transaction: a consistent view that blocks no writer.
  func beginRead(from next: UInt64) throws(Failure)
  func endRead()
  /// Releases everything; the store must not be used again.
  func close()
  /// In the child of a fork, lets go of what is the parent's without touching what the parent still uses; may be called
  /// again, and only `close` may follow.
  func abandon()

  func meta(_ name: String) throws(Failure) -> [UInt8]?
  func setMeta(_ name: String, _ value: [UInt8]) throws(Failure)

  // Journal. A segment is named by the number of its first record.
  func lastSegment() throws(Failure) -> SegmentName?
  func appendSegment(first: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Failure)
  /// Visits segments in order, beginning with the one named `first` or the next after it, until `visit` returns false.
  func visitSegments(
    from first: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure)
  /// Visits the one segment that holds a record.
  func visitSegment(
    containing record: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure)

  // Projections.
  func putRow(_ table: ProjectionTable, _ key: RowKey, _ value: UnsafeRawBufferPointer) throws(Failure)
  func row(
    _ table: ProjectionTable, _ key: RowKey, _ read: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool
  /// Visits the rows of a table whose major key is within bounds, in the order of their keys.
  func visitRows(
    _ table: ProjectionTable, major: ClosedRange<Int64>, descending: Bool,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure)
  /// Visits the rows of one major key whose minor key is within bounds, in order; a remote store brings them together.
  func visitRows(
    _ table: ProjectionTable, major: Int64, minors: ClosedRange<Int64>,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure)
  /// Deletes all rows with a major key.
  func deleteRows(_ table: ProjectionTable, major: Int64) throws(Failure)

  /// Deletes all rows of a table.
  func deleteAllRows(_ table: ProjectionTable) throws(Failure)

  /// Bytes of the store on disk, or 0 where it has none.
  func sizeOnDisk() -> Int64
}

extension Store {
  public var isReadOnly: Bool { false }
  public var serverClock: (time: Int64, tolerance: Int64)? { nil }
}

/// Which segment it is, and of what content.
public struct SegmentName: Equatable, Sendable {
  /// The number of its first record.
  public let first: UInt64
  /// Its hash, which is also in its bytes.
  public let hash: [UInt8]

  public init(first: UInt64, hash: [UInt8]) {
    self.first = first
    self.hash = hash
  }

  /// Where the hash stands in a segment's bytes.
  public static let hashPlace = 64..<96
}

/// A table that is projected from the journal behind the commit path.
///
/// Each is a sorted map from a pair of integers to a small binary row whose layout its writer owns.
public enum ProjectionTable: Int, CaseIterable, Sendable {
  /// Records that define something (account, asset, price, budget): (record, 0).
  case definitions
  /// Balances as of the last seal: (account, asset).
  case balances
  /// Balances that a seal found changed: (seal, account << 16 | asset). In the order of seals, so that a seal writes at
  /// the end of the table and not all over it.
  case balancePoints
  /// Windows of budgets as of the last seal: (budget, 0).
  case budgets
  /// Holds open at the last seal: (hold, 0).
  case holds
  /// What a run has spent and holds, as of the last seal: (account, run hash).
  case runs
  /// Times of recent charges under an hourly limit, as of the last seal: (account, 0).
  case rates
  /// Record numbers by account: (seal, account).
  case history
  /// What each seal covers: (seal, 0).
  case seals
  /// Filter and fences of a run of keys: (run, part).
  case keyFilters
  /// Sorted idempotency keys by level of their run: (run, page). A merge empties a level, which costs next to nothing for
  /// a whole table and as much as writing it for rows of one.
  case keyPages0
  case keyPages1
  case keyPages2
  case keyPages3
  case keyPages4

  /// The pages of a level's runs; there are levels 0 to 4.
  public static func keyPages(level: Int64) -> ProjectionTable {
    switch level {
    case 0: .keyPages0
    case 1: .keyPages1
    case 2: .keyPages2
    case 3: .keyPages3
    default: .keyPages4
    }
  }

  /// Whether a row may fill a page; such a table is keyed by major << 24 | minor, because a SQLite table without a rowid
  /// would put the greater part of each row on a page of its own.
  public var hasLargeRows: Bool {
    switch self {
    case .keyFilters, .keyPages0, .keyPages1, .keyPages2, .keyPages3, .keyPages4: true
    case .definitions, .balances, .balancePoints, .budgets, .holds, .runs, .rates, .history, .seals: false
    }
  }

  public var name: String {
    switch self {
    case .definitions: "definitions"
    case .balances: "balances"
    case .balancePoints: "balance_points"
    case .budgets: "budgets"
    case .holds: "holds"
    case .runs: "runs"
    case .rates: "rates"
    case .history: "history"
    case .seals: "seals"
    case .keyFilters: "key_filters"
    case .keyPages0: "key_pages_0"
    case .keyPages1: "key_pages_1"
    case .keyPages2: "key_pages_2"
    case .keyPages3: "key_pages_3"
    case .keyPages4: "key_pages_4"
    }
  }
}

/// The key of a projected row.
public struct RowKey: Hashable, Sendable {
  public let major: Int64
  public let minor: Int64

  public init(_ major: Int64, _ minor: Int64 = 0) {
    self.major = major
    self.minor = minor
  }
}
