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

  /// Refuses a file of another program, or that a newer version has written, before anything is done to it.
  ///
  /// - Returns: how many steps the file has taken.
  @discardableResult
  func check(_ database: borrowing Database) throws(Failure) -> Int64 {
    // One statement, because another process may be making the ledger.
    let statement = try database.prepare(
      """
      SELECT (SELECT user_version FROM pragma_user_version), count(*),
        count(*) FILTER (WHERE type = 'table' AND name IN ('meta', 'segments')) FROM sqlite_schema
      """)
    _ = try statement.step()
    let found = statement.int64(0)
    if found == 0, statement.int64(1) == 0 { return 0 }
    guard found != 0, statement.int64(2) == 2 else {
      let file = database.paths.first.map { " '\($0)'" } ?? ""
      throw Failure(.storeCorrupt, field: "url", "The file\(file) is an SQLite database, but not a ledger.")
    }
    guard (0...version).contains(found) else {
      throw Failure(.storeNewer, "The ledger has layout \(found); this version knows \(version).")
    }
    return found
  }

  /// Refuses a file that would have to be changed before it could be used.
  func checkComplete(_ database: borrowing Database) throws(Failure) {
    let found = try check(database)
    let file = database.paths.first ?? ""
    guard found > 0 else { throw Failure(.storeNotFound, field: "url", "There is no ledger in the file '\(file)'.") }
    guard found == version else {
      throw Failure(
        .storeReadOnly, field: "url",
        "The ledger '\(file)' can only be read and has layout \(found); open a copy where it can be written.")
    }
  }

  /// Takes the steps that a file lacks; one that fails leaves the file as it was.
  func migrate(_ database: borrowing Database) throws(Failure) {
    guard try check(database) < version else { return }
    try database.execute("BEGIN IMMEDIATE")
    do throws(Failure) {
      // Another process may have been faster.
      let found = try check(database)
      for step in steps[Int(found)...] { try database.execute(step) }
      try database.execute("PRAGMA user_version = \(version)")
      try database.execute("COMMIT")
    } catch {
      if database.inTransaction { try? database.execute("ROLLBACK") }
      throw error
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
