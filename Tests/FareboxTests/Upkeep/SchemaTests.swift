import Farebox
import FareboxCore
import Testing

@testable import Farebox
@testable import FareboxStore

/// Ledger files of other layouts than this version writes.
@Suite struct SchemaTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
  }

  private func execute(_ sql: String) throws {
    let database = try Database(path: folder.file(), readOnly: false, mustExist: false)
    try database.execute(sql)
  }

  private func number(_ sql: String) throws -> Int64 {
    let database = try Database(path: folder.file(), readOnly: false, mustExist: true)
    let statement = try database.prepare(sql)
    _ = try statement.step()
    return statement.int64(0)
  }

  private func open(_ schema: SQLiteSchema) throws -> SQLiteStore {
    try SQLiteStore(
      path: folder.file(), exclusive: false, mustExist: true, busyTimeoutMilliseconds: 0, schema: schema)
  }

  private func makeLedger() throws {
    let engine = try Engine(url: folder.url())
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "1"])
    try engine.close()
  }

  @Test func `every projection has its table`() throws {
    let store = try SQLiteStore(path: nil, exclusive: true, mustExist: false, busyTimeoutMilliseconds: 0)
    for table in ProjectionTable.allCases {
      try putRow(store, table, RowKey(3, 4), [7 as Int64][...])
      #expect(try unsafe store.row(table, RowKey(3, 4)) { _ in })
      #expect(try Projections.rows(of: store)["\(table.name) 3 4"]?.first == 7)
    }
    store.close()
  }

  @Test func `a ledger of a newer layout is refused and left as it is`() throws {
    try makeLedger()
    try execute("PRAGMA user_version = 999")
    let before = try FileBytes.read(folder.file())
    #expect(status { _ = try Engine(url: folder.url()) } == .storeNewer)
    #expect(try FileBytes.read(folder.file()) == before)
    try execute("PRAGMA user_version = -1")
    #expect(status { _ = try Engine(url: folder.url()) } == .storeNewer)
  }

  @Test func `another program's database is refused and left as it is`() throws {
    try execute("PRAGMA journal_mode = DELETE; CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')")
    #expect(status { _ = try Engine(url: folder.url()) } == .storeCorrupt)
    #expect(try number("SELECT count(*) FROM sqlite_schema") == 1)
    #expect(try number("SELECT count(*) FROM notes") == 1)
  }

  @Test func `the steps that a file lacks are taken in order, each once`() throws {
    try makeLedger()
    let second = SQLiteSchema(
      steps: SQLiteSchema.current.steps + ["CREATE TABLE added (number INTEGER); INSERT INTO added VALUES (20)"])
    let third = SQLiteSchema(steps: second.steps + ["UPDATE added SET number = number + 1"])
    for schema in [SQLiteSchema.current, third, third] { try open(schema).close() }
    #expect(try number("PRAGMA user_version") == third.version && number("SELECT number FROM added") == 21)
    // The library of today would not know what to do with it.
    #expect(status { _ = try Engine(url: folder.url()) } == .storeNewer)
    #expect(status { try open(second).close() } == .storeNewer)
  }

  @Test func `a step that fails leaves the old ledger`() throws {
    try makeLedger()
    let broken = SQLiteSchema(
      steps: SQLiteSchema.current.steps + [
        "CREATE TABLE added (number INTEGER); DELETE FROM segments; DROP TABLE history; DROP TABLE nowhere"
      ])
    #expect(status { try open(broken).close() } == .storeIO)
    #expect(try number("PRAGMA user_version") == SQLiteSchema.current.version)
    let engine = try Engine(url: folder.url())
    try engine.expectSound()
    try engine.close()
  }
}
