public import FareboxCore

/// The embedded store: one SQLite file in WAL mode, or a database in memory.
///
/// One row of `segments` is one segment of the journal, so a commit usually writes one page. The projections are plain
/// sorted maps, written behind the commit path when the engine seals.
public final class SQLiteStore: Store {
  public let isExclusive: Bool
  public let isRemote = false
  public let epoch = 0
  public let isReadOnly: Bool
  private let path: String
  /// The size of the file, which nobody may change while it is read without locks; nil where locks are used.
  private var immutableSize: Int?
  private var database: Database?
  private var statements: Statements?
  /// The level that `PRAGMA synchronous` stands at; changing it costs a statement, so it is changed only when needed.
  private var syncsCommits: Bool
  /// Why the file cannot be trusted any more.
  private var brokenPromise: Failure?

  public var shownAddress: String { path.isEmpty ? "memory:" : "sqlite:\(path)" }

  /// The file and its log, to notice when another file takes their names; none for a database in memory.
  private var files: [OpenFile] = []

  /// Pages in the log at which it is copied into the file: 32 MiB.
  private static let checkpointPages: Int32 = 4_000

  /// Opens or makes a ledger file; `nil` is a database in memory.
  public convenience init(
    path: String?, exclusive: Bool, mustExist: Bool, busyTimeoutMilliseconds: UInt32
  ) throws(Failure) {
    try self.init(
      path: path, exclusive: exclusive, mustExist: mustExist, busyTimeoutMilliseconds: busyTimeoutMilliseconds,
      schema: .current)
  }

  /// - Parameter schema: the layout that is written; an older file is migrated.
  init(
    path: String?, exclusive: Bool, mustExist: Bool, busyTimeoutMilliseconds: UInt32, schema: SQLiteSchema
  ) throws(Failure) {
    var access = SQLiteFile.Access.readWrite
    if let path { access = try SQLiteFile.examine(path, mustExist: mustExist) }
    let database = try Database(
      path: path ?? ":memory:", readOnly: access != .readWrite, mustExist: mustExist && path != nil,
      immutable: access == .immutable)
    self.path = path ?? ""
    isReadOnly = access != .readWrite
    isExclusive = path == nil || exclusive && access == .readWrite
    syncsCommits = true
    database.setBusyTimeout(milliseconds: Int32(clamping: busyTimeoutMilliseconds))
    if isReadOnly {
      try database.execute("PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;")
      try schema.checkComplete(database)
      if access == .immutable { immutableSize = SQLiteFile.size(self.path) }
    } else {
      try SQLiteStore.makeReady(database, schema, isExclusive: isExclusive, mustExist: mustExist)
    }
    statements = try Statements(database)
    files = try (isReadOnly ? Array(database.paths.prefix(1)) : database.paths).map { path throws(Failure) in
      try OpenFile(path)
    }
    self.database = consume database
  }

  /// Makes a file what this version writes, and its log what is on the disk.
  private static func makeReady(
    _ database: borrowing Database, _ schema: SQLiteSchema, isExclusive: Bool, mustExist: Bool
  ) throws(Failure) {
    // Measured: half the writes of 4 KiB pages for a batch, and no slower for a single charge.
    try database.execute("PRAGMA page_size = 8192")
    if isExclusive { try database.execute("PRAGMA locking_mode = EXCLUSIVE") }
    guard try schema.check(database) > 0 || !mustExist else {
      throw Failure(
        .storeNotFound, field: "url", "There is no ledger in the file '\(database.paths.first ?? "")'.")
    }
    // EXTRA, until there is a log: the journal that a new file begins with must not come back after a power loss.
    try database.execute(
      """
      PRAGMA synchronous = EXTRA;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -32768;
      PRAGMA temp_store = MEMORY;
      """)
    try schema.migrate(database)
    if let log = database.paths.last {
      try database.execute("BEGIN IMMEDIATE")
      do throws(Failure) {
        try SQLiteLog.renew(log)
      } catch {
        try? database.execute("ROLLBACK")
        throw error
      }
      try database.execute("ROLLBACK")
      // What of the file an earlier process could not flush is written from the log anew.
      try database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    }
  }

  /// Refuses to write where nobody would find it again.
  private func checkFiles() throws(Failure) {
    if let brokenPromise { throw brokenPromise }
    try noting { () throws(Failure) in
      for file in files { try file.check() }
    }
    guard let immutableSize else { return }
    // Its folder could not be written when it was opened. A writer elsewhere makes a log first.
    guard SQLiteFile.size(path) == immutableSize, SQLiteFile.size(path + "-wal") ?? 0 == 0 else {
      throw Failure(
        .storeBusy, "Another process writes to the ledger '\(path)', which was read as a closed file; open it again.")
    }
  }

  /// Never: SQLite has waited for others itself, and what fails otherwise does not pass by itself.
  public func mayRetry(after failure: Failure, attempt: Int) -> Bool { false }

  public func begin(from next: UInt64) throws(Failure) {
    if isReadOnly { throw Failure(.storeReadOnly, "The ledger '\(path)' can only be read.") }
    try checkFiles()
    try use { statements throws(Failure) in try statements.begin.run() }
  }

  public func commit() throws(Failure) {
    try use { statements throws(Failure) in try statements.commit.run() }
    // What was committed stands, whatever becomes of this. A full disk may be had again; a failed flush is remembered,
    // and told before the next commit builds on it.
    try? noting { () throws(Failure) in try database?.checkpoint(beyond: SQLiteStore.checkpointPages) }
  }

  public func setDurable(_ durable: Bool) throws(Failure) {
    guard durable != syncsCommits else { return }
    try execute(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
    syncsCommits = durable
  }

  public func rollback() {
    guard database?.inTransaction == true else { return }
    try? execute("ROLLBACK")
  }

  /// A commit at full durability flushes the whole log, so any does.
  public func flush() throws(Failure) {
    try setDurable(true)
    try begin(from: 0)
    do throws(Failure) {
      try setMeta("flushed", [])
      try commit()
    } catch {
      rollback()
      throw error
    }
  }

  public func beginRead(from next: UInt64) throws(Failure) {
    try checkFiles()
    try execute("BEGIN")
  }

  public func endRead() {
    rollback()
  }

  /// Brings everything from the write-ahead log into the file, and both to disk.
  func emptyLog() throws(Failure) {
    let checkpoint = try prepare("PRAGMA wal_checkpoint(TRUNCATE)")
    guard try noting({ () throws(Failure) in try checkpoint.step() }), checkpoint.int64(0) == 0 else {
      throw Failure(.storeBusy, "The log could not be emptied.")
    }
  }

  public func close() {
    statements = nil
    if brokenPromise == nil { database?.checkpointsOnClose(true) }
    database = nil
    // The last to close removes the log.
    files = []
  }

  /// Closes the connection; nothing is copied into the file, and the locks of a process are not those of its child.
  public func abandon() {
    statements = nil
    database = nil
  }

  public func meta(_ name: String) throws(Failure) -> [UInt8]? {
    try use { statements throws(Failure) in
      defer { statements.meta.reset() }
      try statements.meta.bind(name, at: 1)
      guard try statements.meta.step() else { return nil }
      let value = unsafe statements.meta.bytes(0)
      try statements.meta.check(unsafe RowSum.of(meta: name, value), at: 1, "meta")
      return unsafe [UInt8](value)
    }
  }

  public func setMeta(_ name: String, _ value: [UInt8]) throws(Failure) {
    try use { statements throws(Failure) in
      try statements.setMeta.bind(name, at: 1)
      unsafe try withBytes(of: value) { bytes throws(Failure) in
        try unsafe statements.setMeta.bind(bytes, at: 2)
        statements.setMeta.bind(unsafe RowSum.of(meta: name, bytes), at: 3)
        try statements.setMeta.run()
      }
    }
  }

  public func lastSegment() throws(Failure) -> SegmentName? {
    try use { statements throws(Failure) in
      defer { statements.lastSegment.reset() }
      guard try statements.lastSegment.step() else { return nil }
      return SegmentName(
        first: UInt64(bitPattern: statements.lastSegment.int64(0)),
        hash: unsafe [UInt8](statements.lastSegment.bytes(1)))
    }
  }

  public func appendSegment(first: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
    try use { statements throws(Failure) in
      statements.appendSegment.bind(Int64(bitPattern: first), at: 1)
      try unsafe statements.appendSegment.bind(bytes, at: 2)
      try statements.appendSegment.run()
    }
  }

  public func visitSegments(
    from first: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    try use { statements throws(Failure) in
      defer { statements.segmentsFrom.reset() }
      statements.segmentsFrom.bind(Int64(bitPattern: first), at: 1)
      while try statements.segmentsFrom.step() {
        let name = UInt64(bitPattern: statements.segmentsFrom.int64(0))
        guard try unsafe visit(name, statements.segmentsFrom.bytes(1)) else { return }
      }
    }
  }

  public func visitSegment(
    containing record: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    try use { statements throws(Failure) in
      defer { statements.segmentContaining.reset() }
      statements.segmentContaining.bind(Int64(bitPattern: record), at: 1)
      guard try statements.segmentContaining.step() else { return }
      let name = UInt64(bitPattern: statements.segmentContaining.int64(0))
      try unsafe visit(name, statements.segmentContaining.bytes(1))
    }
  }

  public func putRow(
    _ table: ProjectionTable, _ key: RowKey, _ value: UnsafeRawBufferPointer
  ) throws(Failure) {
    try use { statements throws(Failure) in
      try statements.rows(table) { rows throws(Failure) in
        rows.put.bind(key.major, at: 1)
        rows.put.bind(key.minor, at: 2)
        try unsafe rows.put.bind(value, at: 3)
        rows.put.bind(unsafe RowSum.of(table, key, value), at: 4)
        try rows.put.run()
      }
    }
  }

  public func deleteRows(_ table: ProjectionTable, major: Int64) throws(Failure) {
    try use { statements throws(Failure) in
      try statements.rows(table) { rows throws(Failure) in
        rows.deleteMajor.bind(major, at: 1)
        try rows.deleteMajor.run()
      }
    }
  }

  public func deleteAllRows(_ table: ProjectionTable) throws(Failure) {
    try use { statements throws(Failure) in
      try statements.rows(table) { rows throws(Failure) in try rows.deleteAll.run() }
    }
  }

  public func row(
    _ table: ProjectionTable, _ key: RowKey, _ read: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    try use { statements throws(Failure) in
      try statements.rows(table) { rows throws(Failure) in
        defer { rows.get.reset() }
        rows.get.bind(key.major, at: 1)
        rows.get.bind(key.minor, at: 2)
        guard try rows.get.step() else { return false }
        let value = unsafe rows.get.bytes(0)
        try rows.get.check(unsafe RowSum.of(table, key, value), at: 1, table.name)
        try unsafe read(value)
        return true
      }
    }
  }

  public func visitRows(
    _ table: ProjectionTable, major: ClosedRange<Int64>, descending: Bool,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    // Prepared for each visit, so that a visit may lead to another visit of the same table.
    guard database != nil else { throw SQLiteStore.closedFailure }
    let order = descending ? "DESC" : "ASC"
    let statement = try prepare(
      table.hasLargeRows
        ? """
        SELECT place >> 24, place & 16777215, data, sum FROM \(table.name)
        WHERE place BETWEEN ?1 << 24 AND (?2 << 24) + 16777215 ORDER BY place \(order)
        """
        : """
        SELECT major, minor, data, sum FROM \(table.name) WHERE major BETWEEN ?1 AND ?2
        ORDER BY major \(order), minor \(order)
        """)
    // Of a large row the major key has 24 bits less than an integer.
    statement.bind(major.lowerBound, at: 1)
    statement.bind(table.hasLargeRows ? min(major.upperBound, .max >> 24) : major.upperBound, at: 2)
    while try statement.step() {
      let key = RowKey(statement.int64(0), statement.int64(1))
      let value = unsafe statement.bytes(2)
      try statement.check(unsafe RowSum.of(table, key, value), at: 3, table.name)
      guard try unsafe visit(key, value) else { return }
    }
  }

  public func visitRows(
    _ table: ProjectionTable, major: Int64, minors: ClosedRange<Int64>,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    for minor in minors {
      let key = RowKey(major, minor)
      _ = try unsafe row(table, key) { value throws(Failure) in try unsafe visit(key, value) }
    }
  }

  public func sizeOnDisk() -> Int64 {
    guard let pages = try? prepare("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size") else {
      return 0
    }
    return (try? pages.step()) == true ? pages.int64(0) : 0
  }

  private func execute(_ sql: String) throws(Failure) {
    guard database != nil else { throw SQLiteStore.closedFailure }
    try noting { () throws(Failure) in try database?.execute(sql) }
  }

  /// Remembers a failed flush, wherever it was: a large transaction writes to the log before it is committed.
  private func noting<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    do throws(Failure) {
      return try body()
    } catch {
      if error.status == .storeUntrusted { brokenPromise = error }
      throw error
    }
  }

  private func prepare(_ sql: String) throws(Failure) -> Statement {
    switch database {
    case .some(let database): return try database.prepare(sql)
    case .none: throw SQLiteStore.closedFailure
    }
  }

  private func use<Result>(
    _ body: (borrowing Statements) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try noting { () throws(Failure) in
      switch statements {
      case .some(let statements): return try body(statements)
      case .none: throw SQLiteStore.closedFailure
      }
    }
  }

  private static let closedFailure = Failure(.closed, "The store is closed.")
}
