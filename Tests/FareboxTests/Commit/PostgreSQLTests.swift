import FareboxCore
import Testing

@testable import Farebox
@testable import FareboxStore

/// What only a store on a server has to answer for: its connection, and statements whose answers are still due.
@Suite(.enabled(if: TestStore.chosen == .postgresql)) struct PostgreSQLTests {
  private static let segment = [UInt8](repeating: 7, count: 128)

  private static func append(_ store: any Store, first: UInt64) throws(Failure) {
    let outcome: Result<Void, Failure> = unsafe segment.withUnsafeBytes { bytes in
      do throws(Failure) {
        return .success(try unsafe store.appendSegment(first: first, bytes))
      } catch {
        return .failure(error)
      }
    }
    try outcome.get()
  }

  /// Ends the sessions of a name, as a restart of the server does.
  private static func endSessions(named name: String, at url: String) throws {
    let libpq = try Libpq.load()
    let connection = try PostgreSQLConnection(PostgreSQLAddress(url, libpq), libpq, patienceMilliseconds: 10_000)
    let end = PostgreSQLStatement(
      "end", "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = $1", [.text])
    var parameters = PostgreSQLParameters()
    parameters.append(name)
    try connection.send(end, parameters, keep: true)
    try connection.sync()
    #expect(try connection.receive().first?.count == 1)
  }

  @Test(.enabled(if: TestStore.ownsSessions))
  func `a flush is on the connection of the turn before, or fails`() throws {
    guard case .schema(let url) = try TestHome(inFile: false) else { return }
    let name = "turn_\(UInt64.random(in: 0 ... .max))"
    let store = try PostgreSQLStore(
      url: "\(url)&application_name=\(name)", mustExist: false, busyTimeoutMilliseconds: 10_000)
    defer { store.close() }
    try store.setDurable(false)
    try store.begin(from: 1)
    try Self.append(store, first: 1)
    try store.commit()
    let epoch = store.epoch
    try Self.endSessions(named: name, at: url)
    // However often it is asked: a flush elsewhere would say nothing about the record that was written here.
    for _ in 0..<3 {
      let failure = #expect(throws: Failure.self) { try store.flush() }
      #expect(failure?.status == .storeUnreachable)
    }
    #expect(store.epoch == epoch)
    try store.begin(from: 1)
    #expect(store.epoch == epoch + 1)
    store.rollback()
    try store.flush()
  }

  private static func run(_ sql: String, at url: String) throws -> PostgreSQLResult? {
    let libpq = try Libpq.load()
    let connection = try PostgreSQLConnection(PostgreSQLAddress(url, libpq), libpq, patienceMilliseconds: 10_000)
    try connection.send(PostgreSQLStatement("run", sql), keep: true)
    try connection.sync()
    return try connection.receive().first
  }

  @Test func `a flush behind a pooler looks for what is to be flushed`() throws {
    guard case .schema(let url) = try TestHome(inFile: false) else { return }
    let schema = try #require(url.split(separator: "=").last)
    let store = try PostgreSQLStore(
      url: "\(url)&pooler=transaction", mustExist: false, busyTimeoutMilliseconds: 10_000)
    defer { store.close() }
    try store.setDurable(false)
    try store.begin(from: 1)
    try Self.append(store, first: 1)
    try store.commit()
    try store.flush()
    let epoch = store.epoch
    // As if another server had taken the place of the one that had it.
    _ = try Self.run("DELETE FROM \"\(schema)\".segments", at: url)
    #expect(status { try store.flush() } == .storeUnreachable)
    try store.begin(from: 2)
    #expect(store.epoch == epoch + 1)
    store.rollback()
    try store.begin(from: 1)
    #expect(store.epoch == epoch + 1)
    store.rollback()
  }

  /// What a store leaves in its session: prepared statements, and settings.
  private static func traces(_ pooler: String) throws -> [String] {
    guard case .schema(let url) = try TestHome(inFile: false) else { return [] }
    let store = try PostgreSQLStore(
      url: "\(url)&pooler=\(pooler)", mustExist: false, busyTimeoutMilliseconds: 10_123)
    defer { store.close() }
    try store.begin(from: 1)
    try append(store, first: 1)
    try store.commit()
    try store.beginRead(from: 1)
    store.endRead()
    let session = PostgreSQLStatement(
      "session",
      """
      SELECT current_setting('lock_timeout'), current_setting('statement_timeout'),
      (SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'farebox%')::text
      """)
    let connection = try #require(store.connection)
    try connection.send(session, keep: true)
    try connection.sync()
    let result = try #require(try connection.receive().first)
    return (0...2).map { result.text(0, $0) }
  }

  @Test func `nothing is left in a session that is not ours`() throws {
    #expect(try Self.traces("transaction") == ["0", "0", "0"])
  }

  @Test(.enabled(if: TestStore.ownsSessions)) func `a session that is ours is set and prepared once`() throws {
    for pooler in ["session", "auto"] {
      let traces = try Self.traces(pooler)
      #expect(traces.prefix(2) == ["10123ms", "11123ms"] && Int(traces[2]).map { $0 > 5 } == true)
    }
  }

  @Test func `a transaction is undone behind a failure that nobody has read yet`() throws {
    let store = try TestHome(inFile: false).openStore(busyTimeoutMilliseconds: 10_000)
    defer { store.close() }
    try store.begin(from: 1)
    try Self.append(store, first: 1)
    // The server refuses the second one, and passes over what comes before the next sync.
    try Self.append(store, first: 1)
    store.rollback()
    try store.begin(from: 1)
    #expect(try store.lastSegment() == nil)
    try Self.append(store, first: 1)
    try store.commit()
    #expect(try store.meta("nothing") == nil)
  }

  @Test func `a look that could not begin does not stand in the way of the next`() throws {
    guard case .schema(let url) = try TestHome(inFile: false) else { return }
    let schema = try #require(url.split(separator: "=").last)
    let store = try PostgreSQLStore(url: url, mustExist: false, busyTimeoutMilliseconds: 100)
    defer { store.close() }
    let libpq = try Libpq.load()
    let other = try PostgreSQLConnection(PostgreSQLAddress(url, libpq), libpq, patienceMilliseconds: 10_000)
    func run(_ sql: String) throws {
      try other.send(PostgreSQLStatement(sql, sql))
      try other.sync()
      _ = try other.receive()
    }
    try run("BEGIN")
    try run("LOCK TABLE \"\(schema)\".segments IN ACCESS EXCLUSIVE MODE")
    let failure = #expect(throws: Failure.self) { try store.beginRead(from: 1) }
    #expect(failure?.status == .storeBusy)
    try run("ROLLBACK")
    try store.beginRead(from: 1)
    #expect(try store.lastSegment() == nil)
    store.endRead()
  }

  @Test func `a copy is read back when all of it is on the disk`() throws {
    let ledger = try TestLedger(inFile: true)
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    let store = try FaultyStore(in: TestHome(inFile: false))
    defer { store.close() }
    var flushes: [Int] = []
    store.damage = { _, _ in flushes.append(store.flushes) }
    _ = try LedgerCopy.write(ledger.engine.journalSource(), into: store, keyMemoryBytes: 1 << 20)
    #expect(!flushes.isEmpty && flushes.allSatisfy { $0 == 1 })
    try ledger.engine.close()
  }

  @Test(arguments: ["user:half/secret@host/db", "user:se@cret@host/db", "host:12a/db", "host/d@b"])
  func `an address whose password would be taken for something else is refused`(_ rest: String) throws {
    let failure = #expect(throws: Failure.self) {
      try PostgreSQLStore(url: "postgresql://\(rest)", mustExist: false, busyTimeoutMilliseconds: 100)
    }
    #expect(failure?.status == .invalidArgument)
    #expect(failure.map { !$0.message.contains("secret") && !$0.message.contains("cret@") } == true)
  }

  @Test(arguments: [
    "user:half%2Fse%40cret@host:5432/db", "h1:1,h2:2/db?schema=a_1", "/db?host=@socket,/run&port=5432", "host", "",
  ])
  func `an address that libpq can read is left as it is`(_ rest: String) throws {
    _ = try PostgreSQLAddress("postgresql://\(rest)", Libpq.load())
  }
}
