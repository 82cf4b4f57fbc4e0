internal import FareboxCore

/// The layouts that a ledger file has had, each as the step that leads to it from the one before.
///
/// A file says in `user_version` how many steps it has taken, and takes the others when it is opened, all in one
/// transaction. A step that was once released is never changed: files of its layout exist, and a corpus of them is
/// opened by the tests.
struct SQLiteSchema: Sendable {
  /// Statements in SQL.
  let steps: [String]

  /// What this version of the library writes.
  static let current = SQLiteSchema(steps: [makeTables, addSums])

  var version: Int64 { Int64(steps.count) }

  /// Refuses a file that a newer version has written, before anything is done to it.
  ///
  /// - Returns: how many steps the file has taken.
  @discardableResult
  func check(_ database: borrowing Database) throws(Failure) -> Int64 {
    let statement = try database.prepare("PRAGMA user_version")
    _ = try statement.step()
    let found = statement.int64(0)
    guard (0...version).contains(found) else {
      throw Failure(.storeNewer, "The ledger has layout \(found); this version knows \(version).")
    }
    return found
  }

  /// Takes the steps that a file lacks; one that fails leaves the file as it was.
  func migrate(_ database: borrowing Database) throws(Failure) {
    guard try check(database) < version else { return }
    try database.execute("BEGIN IMMEDIATE")
    do throws(Failure) {
      // Another process may have been faster.
      let found = try check(database)
      if found == 0 { try SQLiteSchema.checkEmpty(database) }
      for step in steps[Int(found)...] { try database.execute(step) }
      try database.execute("PRAGMA user_version = \(version)")
      try database.execute("COMMIT")
    } catch {
      if database.inTransaction { try? database.execute("ROLLBACK") }
      throw error
    }
  }

  /// Keeps our tables out of a database that another program has made.
  private static func checkEmpty(_ database: borrowing Database) throws(Failure) {
    let tables = try database.prepare("SELECT count(*) FROM sqlite_schema")
    guard try tables.step(), tables.int64(0) == 0 else {
      throw Failure(.storeCorrupt, "The file is a database, but not a ledger.")
    }
  }

  // MARK: Steps

  /// Layout 1. Rows that may fill a page are in tables with a rowid, which puts them on pages of their own whole.
  private static let makeTables =
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE segments (first INTEGER PRIMARY KEY, data BLOB NOT NULL);
    """
    + [
      "definitions", "balances", "balance_points", "budgets", "holds", "runs", "rates", "history", "seals",
    ].map { name in
      """
      CREATE TABLE \(name) (
        major INTEGER NOT NULL, minor INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (major, minor)
      ) WITHOUT ROWID;
      """
    }.joined()
    + ["key_filters", "key_pages_0", "key_pages_1", "key_pages_2", "key_pages_3", "key_pages_4"].map { name in
      "CREATE TABLE \(name) (place INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    }.joined()

  /// Layout 2. A sum of each row that no hash of the journal covers; rows that were written before have none.
  private static let addSums =
    (["meta"] + ProjectionTable.allCases.map(\.name)).map { "ALTER TABLE \($0) ADD COLUMN sum INTEGER;" }.joined()
}
