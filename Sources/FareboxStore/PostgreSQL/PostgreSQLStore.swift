internal import CPostgres
public import FareboxCore

/// The store for more than one machine: a schema of a PostgreSQL server, shared by any number of engines.
///
/// A turn is two round trips. The first begins, waits for the one row whose lock is the writer's turn, and brings what
/// others have written. The second adds the segments, commits, and then flushes: the commit itself does not wait for
/// the disk, so the turn passes on before that, and the server flushes for many engines at once. A receipt is given out
/// only after the flush, and whatever was decided on a record that is not flushed yet comes after it in the server's log.
/// No account has a row on this path, so none is fought for.
///
/// Behind a pooler of transactions the session is not ours between two transactions: what else is set once is set in
/// each of them, statements are not prepared, and the flush is a round trip by itself, which looks for the last segment.
public final class PostgreSQLStore: Store {
  public let isExclusive = false
  public let isRemote = true
  public private(set) var epoch = 0
  public private(set) var serverClock: (time: Int64, tolerance: Int64)?
  public var shownAddress: String { address.shown }
  private let libpq: Libpq
  private let address: PostgreSQLAddress
  private let statements: PostgreSQLStatements
  private let patience: Int64
  private(set) var connection: PostgreSQLConnection?
  private var isClosed = false
  private var isInTransaction = false
  private var isDurable = true
  /// The level of `synchronous_commit` that the server has for durable commits; nil on a server whose commits are always
  /// durable, so that there is nothing to flush.
  private var durableLevel: String?
  /// What came with the beginning of the transaction: the journal from a record on.
  private var tail: (from: UInt64, result: PostgreSQLResult)?
  /// The last segment that was seen or written, as far as it is committed.
  private var known: SegmentName?
  /// The last segment of the transaction that is under way.
  private var appended: SegmentName?
  private var rows = PostgreSQLRowBatch()
  /// When the turn that is being tried again first failed.
  private var firstFailure: Int64 = 0
  /// Whether the last failure has used up the patience itself.
  private var hasWaited = false

  /// How long a transaction may be decided at the least before the server drops it: a large batch or a seal takes time.
  private static let leastIdleMilliseconds: Int64 = 2_000

  /// Connects, and makes the tables where there are none.
  ///
  /// - Parameter url: as `PostgreSQLAddress` reads it.
  public init(url: String, mustExist: Bool, busyTimeoutMilliseconds: UInt32) throws(Failure) {
    libpq = try Libpq.load()
    address = try PostgreSQLAddress(url, libpq)
    statements = PostgreSQLStatements(schema: address.schema)
    patience = max(100, Int64(busyTimeoutMilliseconds))
    let connection = try connect()
    try PostgreSQLSchema(name: address.schema, isPostgreSQL: durableLevel != nil)
      .prepare(connection, mustExist: mustExist)
    self.connection = connection
  }

  // MARK: The connection

  private func connect() throws(Failure) -> PostgreSQLConnection {
    // The server's own time-outs come first, so that it can say what it has waited for.
    let connection = try PostgreSQLConnection(address, libpq, patienceMilliseconds: patience + 2_000)
    try connection.send(statements.version, keep: true)
    try connection.sync()
    guard let version = try connection.receive().first, version.count == 1 else {
      throw Failure(.storeUnreachable, "The server does not say its version.")
    }
    let name = version.text(0, 0)
    let isDistributed = name.contains("CockroachDB") || name.contains("-YB-")
    let level = version.text(0, 1)
    durableLevel = isDistributed ? nil : level == "off" ? "on" : level
    let isOwn = isDistributed || version.int64(0, 2) == connection.backendNumber
    guard address.pooler == .session || address.pooler == nil && isOwn else {
      if !isDistributed { durableLevel = try commitLevel(connection) }
      return connection
    }
    connection.takeSession()
    var settings = timeouts
    if durableLevel != nil {
      // A server that does not wait for its replica says so in a warning, which a role or an address may have silenced.
      settings += [("synchronous_commit", "off"), ("client_min_messages", "warning")]
    }
    for (name, value) in settings {
      var parameters = PostgreSQLParameters()
      parameters.append(name)
      parameters.append(value)
      try connection.send(statements.set, parameters)
      try connection.sync()
    }
    let failures = try connection.receiveAll().compactMap(\.failure)
    if let failure = failures.first, !isDistributed { throw failure }
    return connection
  }

  /// The server's time-outs, in the order of the parameters of `setLocal`.
  private var timeouts: [(String, String)] {
    [
      ("lock_timeout", "\(patience)"), ("statement_timeout", "\(patience + 1_000)"),
      // None of the others ends a server's process that is sending while it has the turn, to somebody who takes nothing.
      ("tcp_user_timeout", "\(max(1_000, patience / 2))"),
      // An engine that hangs with the turn in its hands loses it before others lose their patience.
      ("idle_in_transaction_session_timeout", "\(max(PostgreSQLStore.leastIdleMilliseconds, patience / 2))"),
    ]
  }

  /// The level of durable commits where the session may have been another's, who has set what it liked.
  private func commitLevel(_ connection: PostgreSQLConnection) throws(Failure) -> String {
    try connection.send(statements.commitLevel, keep: true)
    try connection.sync()
    guard let result = try connection.receive().first, result.count == 1 else {
      throw Failure(.storeUnreachable, "The server does not say how durable its commits are.")
    }
    let level = result.text(0, 0)
    return level == "off" ? "on" : level
  }

  /// Begins a transaction, with its settings where the session is not ours.
  private func sendBegin(_ statement: PostgreSQLStatement, _ connection: PostgreSQLConnection) throws(Failure) {
    try connection.send(statement)
    guard !connection.ownsSession, durableLevel != nil else { return }
    var parameters = PostgreSQLParameters()
    for (_, value) in timeouts { parameters.append(value) }
    try connection.send(statements.setLocal, parameters)
  }

  /// Takes what came with the beginning of a transaction.
  ///
  /// Behind a pooler a server can crash, or another can take its place, without a connection being lost. Then records that
  /// were not on the disk may be gone, as after a lost connection.
  private func take(_ result: PostgreSQLResult, from next: UInt64) {
    tail = (next, result)
    let hasKnown = result.count > 0 && PostgreSQLStore.name(result, 0) == known
    if connection?.ownsSession == false, let known, known.first < next, !hasKnown { epoch += 1 }
    known = result.count == 0 ? nil : PostgreSQLStore.name(result, result.count - 1)
  }

  /// A connection that works, made anew where it was lost.
  private func ready() throws(Failure) -> PostgreSQLConnection {
    if isClosed { throw Failure(.closed, "The store is closed.") }
    if let connection, !connection.isBroken { return connection }
    connection = nil
    isInTransaction = false
    let made = try connect()
    connection = made
    epoch += 1
    return made
  }

  /// The connection of the transaction that is under way.
  private func current() throws(Failure) -> PostgreSQLConnection {
    if isClosed { throw Failure(.closed, "The store is closed.") }
    guard let connection else { throw Failure(.storeUnreachable, "The connection to the server was lost.") }
    return connection
  }

  public func mayRetry(after failure: Failure, attempt: Int) -> Bool {
    guard !isClosed, !hasWaited else {
      hasWaited = false
      return false
    }
    guard [.storeUnreachable, .storeBusy, .storeReadOnly].contains(failure.status) else { return false }
    let now = farebox_monotonic_milliseconds()
    if attempt == 0 { firstFailure = now }
    guard now - firstFailure < patience else { return false }
    farebox_sleep_milliseconds(min(100, 1 << Int64(min(attempt, 7))))
    return true
  }

  // MARK: Transactions

  public func begin(from next: UInt64) throws(Failure) {
    let connection = try ready()
    isInTransaction = true
    try sendBegin(statements.begin, connection)
    try connection.send(statements.takeTurn, keep: true)
    try connection.send(statements.tail, PostgreSQLParameters(next), keep: true)
    try connection.sync()
    let results: [PostgreSQLResult]
    do throws(Failure) {
      results = try connection.receive()
    } catch {
      hasWaited = error.details.object?["sqlstate"] == "55P03"
      throw error
    }
    guard results.count == 2, results[0].count == 1 else {
      throw Failure(.storeCorrupt, "The row of the writer's turn is missing.")
    }
    serverClock = (results[0].int64(0, 1), address.clockTolerance)
    take(results[1], from: next)
  }

  public func setDurable(_ durable: Bool) throws(Failure) {
    isDurable = durable
  }

  public func commit() throws(Failure) {
    let connection = try current()
    try sendRows()
    tail = nil
    isInTransaction = false
    let unreplicated = connection.unreplicatedCount
    let answers: [PostgreSQLConnection.Answer]
    do throws(Failure) {
      try connection.send(statements.commit, keep: true)
      try connection.sync()
      if isDurable, connection.ownsSession { try sendFlush(connection) }
      answers = try connection.receiveAll()
    } catch {
      throw PostgreSQLStore.unknown(error)
    }
    if connection.isBroken { throw PostgreSQLStore.unknown(answers.compactMap(\.failure).first) }
    guard case .success(let committed)? = answers.first, committed.command == "COMMIT" else {
      // The transaction has failed before, or in the commit; either way the server has undone it.
      isInTransaction = true
      throw answers.first?.failure ?? Failure(.storeIO, "The server has rolled the transaction back.")
    }
    known = appended ?? known
    appended = nil
    if answers.count > 1, let failure = answers[1].failure { throw PostgreSQLStore.unknown(failure) }
    if isDurable, !connection.ownsSession {
      do throws(Failure) {
        try flushShared(connection)
      } catch {
        throw PostgreSQLStore.unknown(error)
      }
    }
    if connection.unreplicatedCount != unreplicated {
      self.connection = nil
      throw PostgreSQLStore.unknown(nil)
    }
  }

  private static func unknown(_ failure: Failure?) -> Failure {
    Failure(.storeOutcomeUnknown, "The answer to a commit was lost. \(failure?.message ?? "")")
  }

  public func flush() throws(Failure) {
    // Never on another connection: its server may have lost what this one had, and would flush without it.
    let connection = try current()
    let unreplicated = connection.unreplicatedCount
    if connection.ownsSession {
      try sendFlush(connection)
      _ = try connection.receive()
    } else {
      try flushShared(connection)
    }
    guard connection.unreplicatedCount == unreplicated else {
      self.connection = nil
      throw Failure(.storeUnreachable, "The server did not wait for its replica.")
    }
  }

  private func sendFlush(_ connection: PostgreSQLConnection) throws(Failure) {
    guard let durableLevel else { return }
    var parameters = PostgreSQLParameters()
    parameters.append(durableLevel)
    try connection.send(statements.flush, parameters, keep: true)
    try connection.sync()
  }

  /// Flushes in whatever session the pooler gives, and makes sure that its server has what is to be flushed.
  private func flushShared(_ connection: PostgreSQLConnection) throws(Failure) {
    guard let durableLevel, let known else { return }
    var parameters = PostgreSQLParameters()
    parameters.append(durableLevel)
    parameters.append(Int64(bitPattern: known.first))
    parameters.append(known.hash)
    try connection.send(statements.flushShared, parameters, keep: true)
    try connection.sync()
    guard let result = try connection.receive().first, result.count == 1, result.int64(0, 3) == 1 else {
      throw Failure(.storeUnreachable, "The server behind the pooler does not have the last segment.")
    }
  }

  public func rollback() {
    tail = nil
    appended = nil
    rows.removeAll()
    guard isInTransaction, let connection else { return }
    isInTransaction = false
    guard !connection.isBroken else { return }
    // Behind a sync of its own, or the server would pass over it where something that was sent before has failed. Its
    // answers are read with the next ones; a failure of the connection shows then.
    if connection.isExpecting { try? connection.sync() }
    try? connection.send(statements.rollback)
    try? connection.sync()
    connection.disregard()
  }

  public func beginRead(from next: UInt64) throws(Failure) {
    let connection = try ready()
    isInTransaction = true
    do throws(Failure) {
      try sendBegin(statements.beginRead, connection)
      try connection.send(statements.tail, PostgreSQLParameters(next), keep: true)
      try connection.sync()
      guard let result = try connection.receive().first else {
        throw Failure(.storeIO, "The server has not answered a question.")
      }
      take(result, from: next)
    } catch {
      // It has begun all the same where it is the tail that has failed, and nobody ends what did not begin.
      rollback()
      throw error
    }
  }

  public func endRead() {
    rollback()
  }

  /// Nothing: a word on the shared connection would end that of the parent.
  public func abandon() {}

  public func close() {
    isClosed = true
    tail = nil
    connection = nil
  }

  // MARK: Meta

  public func meta(_ name: String) throws(Failure) -> [UInt8]? {
    var parameters = PostgreSQLParameters()
    parameters.append(name)
    let result = try ask(statements.meta, parameters)
    guard result.count > 0 else { return nil }
    let value = unsafe result.bytes(0, 0)
    try result.check(unsafe RowSum.of(meta: name, value), 0, 1, "meta")
    return unsafe [UInt8](value)
  }

  public func setMeta(_ name: String, _ value: [UInt8]) throws(Failure) {
    var parameters = PostgreSQLParameters()
    parameters.append(name)
    parameters.append(value)
    unsafe parameters.append(try withBytes(of: value) { bytes throws(Failure) in unsafe RowSum.of(meta: name, bytes) })
    try current().send(statements.setMeta, parameters)
  }

  // MARK: The journal

  public func lastSegment() throws(Failure) -> SegmentName? {
    if let tail, tail.result.count <= PostgreSQLStatements.segmentsInAnswer, tail.result.count > 0 {
      return PostgreSQLStore.name(tail.result, tail.result.count - 1)
    }
    let result = try ask(statements.lastSegment)
    return result.count == 0 ? nil : PostgreSQLStore.name(result, 0)
  }

  private static func name(_ result: PostgreSQLResult, _ row: Int) -> SegmentName {
    SegmentName(first: UInt64(bitPattern: result.int64(row, 0)), hash: unsafe [UInt8](result.bytes(row, 1)))
  }

  public func appendSegment(first: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard bytes.count >= SegmentName.hashPlace.upperBound else {
      throw Failure(.internal, "A segment is shorter than its head.")
    }
    tail = nil
    let hash = unsafe UnsafeRawBufferPointer(rebasing: bytes[SegmentName.hashPlace])
    appended = SegmentName(first: first, hash: unsafe [UInt8](hash))
    var parameters = PostgreSQLParameters(first)
    unsafe parameters.append(hash)
    unsafe parameters.append(bytes)
    try current().send(statements.appendSegment, parameters)
  }

  public func visitSegments(
    from first: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    var next = first
    if let tail, tail.from == first {
      for row in 0..<tail.result.count where !tail.result.isNull(row, 2) {
        let name = UInt64(bitPattern: tail.result.int64(row, 0))
        guard try unsafe visit(name, tail.result.bytes(row, 2)) else { return }
        next = name + 1
      }
      if tail.result.count <= PostgreSQLStatements.segmentsInAnswer { return }
    }
    while true {
      let result = try ask(statements.segments, PostgreSQLParameters(next))
      for row in 0..<result.count {
        let name = UInt64(bitPattern: result.int64(row, 0))
        let bytes = unsafe result.bytes(row, 1)
        if name > known?.first ?? 0, bytes.count >= SegmentName.hashPlace.upperBound {
          let hash = unsafe UnsafeRawBufferPointer(rebasing: bytes[SegmentName.hashPlace])
          known = SegmentName(first: name, hash: unsafe [UInt8](hash))
        }
        guard try unsafe visit(name, bytes) else { return }
        next = name + 1
      }
      if result.count < PostgreSQLStatements.segmentsInAnswer { return }
    }
  }

  public func visitSegment(
    containing record: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let result = try ask(statements.segmentContaining, PostgreSQLParameters(record))
    guard result.count > 0 else { return }
    try unsafe visit(UInt64(bitPattern: result.int64(0, 0)), result.bytes(0, 1))
  }

  // MARK: Projections

  public func putRow(
    _ table: ProjectionTable, _ key: RowKey, _ value: UnsafeRawBufferPointer
  ) throws(Failure) {
    if !rows.hasRoom(for: table, key) { try sendRows() }
    unsafe rows.append(table, key, value)
  }

  public func deleteRows(_ table: ProjectionTable, major: Int64) throws(Failure) {
    try sendRows()
    var parameters = PostgreSQLParameters()
    parameters.append(major)
    try current().send(statements.rows(table).deleteMajor, parameters)
  }

  public func deleteAllRows(_ table: ProjectionTable) throws(Failure) {
    try sendRows()
    try current().send(statements.rows(table).deleteAll)
  }

  public func row(
    _ table: ProjectionTable, _ key: RowKey, _ read: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    let result = try ask(statements.rows(table).get, PostgreSQLParameters(key))
    guard result.count > 0 else { return false }
    let value = unsafe result.bytes(0, 0)
    try result.check(unsafe RowSum.of(table, key, value), 0, 1, table.name)
    try unsafe read(value)
    return true
  }

  public func visitRows(
    _ table: ProjectionTable, major: ClosedRange<Int64>, descending: Bool,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    // Neither end is ever a key: a major is a number of something.
    var last = descending ? RowKey(.max, .max) : RowKey(.min, .min)
    while true {
      var parameters = PostgreSQLParameters()
      for value in [major.lowerBound, major.upperBound, last.major, last.minor] { parameters.append(value) }
      let statements = statements.rows(table)
      let result = try ask(descending ? statements.descending : statements.ascending, parameters)
      for row in 0..<result.count {
        last = RowKey(result.int64(row, 0), result.int64(row, 1))
        let value = unsafe result.bytes(row, 2)
        try result.check(unsafe RowSum.of(table, last, value), row, 3, table.name)
        guard try unsafe visit(last, value) else { return }
      }
      if result.count < PostgreSQLStatements.rowsInAnswer { return }
    }
  }

  public func visitRows(
    _ table: ProjectionTable, major: Int64, minors: ClosedRange<Int64>,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    var parameters = PostgreSQLParameters()
    for value in [major, minors.lowerBound, minors.upperBound] { parameters.append(value) }
    let result = try ask(statements.rows(table).ofMajor, parameters)
    for row in 0..<result.count {
      let key = RowKey(major, result.int64(row, 0))
      let value = unsafe result.bytes(row, 1)
      try result.check(unsafe RowSum.of(table, key, value), row, 2, table.name)
      try unsafe visit(key, value)
    }
  }

  public func sizeOnDisk() -> Int64 {
    guard durableLevel != nil else { return 0 }
    var parameters = PostgreSQLParameters()
    parameters.append(address.schema)
    guard let result = try? ask(statements.size, parameters), result.count == 1 else { return 0 }
    return result.int64(0, 0)
  }

  /// Sends the rows that wait.
  private func sendRows() throws(Failure) {
    guard let table = rows.table else { return }
    let parameters = rows.parameters
    rows.removeAll()
    try current().send(statements.rows(table).put, parameters)
  }

  /// Asks one question and waits for its answer.
  private func ask(
    _ statement: PostgreSQLStatement, _ parameters: PostgreSQLParameters = PostgreSQLParameters()
  ) throws(Failure) -> PostgreSQLResult {
    try sendRows()
    let connection = try current()
    try connection.send(statement, parameters, keep: true)
    try connection.sync()
    guard let result = try connection.receive().first else {
      throw Failure(.storeIO, "The server has not answered a question.")
    }
    return result
  }
}

extension PostgreSQLParameters {
  init(_ record: UInt64) {
    self.init()
    append(Int64(bitPattern: record))
  }

  init(_ key: RowKey) {
    self.init()
    append(key.major)
    append(key.minor)
  }
}

extension Result {
  var failure: Failure? {
    if case .failure(let failure) = self { failure } else { nil }
  }
}
