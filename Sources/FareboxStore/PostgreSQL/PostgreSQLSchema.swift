internal import CPostgres
internal import FareboxCore

/// The tables of a ledger on a server, and how they are made.
struct PostgreSQLSchema {
  let name: String
  /// Whether the server is PostgreSQL itself, which can be told how to store large values.
  let isPostgreSQL: Bool

  /// The layout that this version writes; a newer one is refused.
  static let version = 1
  private static let attempts = 20

  /// Makes the tables where there are none.
  ///
  /// Several engines may do so at once: whoever comes second fails, and finds them there.
  func prepare(_ connection: PostgreSQLConnection, mustExist: Bool) throws(Failure) {
    for attempt in 1... {
      if let found = try found(connection) {
        guard found <= PostgreSQLSchema.version else {
          throw Failure(
            .storeNewer, "The ledger has layout \(found); this version knows \(PostgreSQLSchema.version).")
        }
        return
      }
      if mustExist { throw Failure(.storeNotFound, field: "url", "There is no ledger in the schema '\(name)'.") }
      do throws(Failure) {
        return try create(connection)
      } catch {
        guard !connection.isBroken, attempt < PostgreSQLSchema.attempts else { throw error }
        connection.disregard()
        try connection.send(PostgreSQLStatement("rollback", "ROLLBACK"))
        try connection.sync()
        _ = try connection.receive()
        farebox_sleep_milliseconds(Int64(attempt) * 5)
      }
    }
  }

  /// The layout of the ledger there, or nil where there is none.
  private func found(_ connection: PostgreSQLConnection) throws(Failure) -> Int? {
    let exists = PostgreSQLStatement(
      "exists", "SELECT 1 FROM information_schema.tables WHERE table_schema = $1 AND table_name = 'meta'", [.text])
    var parameters = PostgreSQLParameters()
    parameters.append(name)
    try connection.send(exists, parameters, keep: true)
    try connection.sync()
    guard try connection.receive().first?.count == 1 else { return nil }
    let version = PostgreSQLStatement("layout", "SELECT value FROM \"\(name)\".meta WHERE name = 'layout'")
    try connection.send(version, keep: true)
    try connection.sync()
    guard let result = try connection.receive().first, result.count == 1, let layout = Int(result.text(0, 0)) else {
      throw Failure(.storeCorrupt, "The ledger in the schema '\(name)' does not say its layout.")
    }
    return layout
  }

  private func create(_ connection: PostgreSQLConnection) throws(Failure) {
    let hasSchema = PostgreSQLStatement(
      "has_schema", "SELECT 1 FROM information_schema.schemata WHERE schema_name = $1", [.text])
    var parameters = PostgreSQLParameters()
    parameters.append(name)
    try connection.send(hasSchema, parameters, keep: true)
    try connection.sync()
    // Asked first, because making one takes a right that a role may not have where there is one already.
    var commands = try connection.receive().first?.count == 1 ? [] : ["CREATE SCHEMA \"\(name)\""]
    commands += [
      "CREATE TABLE \"\(name)\".meta (name text PRIMARY KEY, value bytea NOT NULL, sum bigint)",
      "CREATE TABLE \"\(name)\".turn (id bigint PRIMARY KEY)", "INSERT INTO \"\(name)\".turn (id) VALUES (1)",
      "CREATE TABLE \"\(name)\".segments (first bigint PRIMARY KEY, hash bytea NOT NULL, data bytea NOT NULL)",
    ]
    // Neither the journal nor sorted hashes are made smaller by trying.
    if isPostgreSQL { commands.append("ALTER TABLE \"\(name)\".segments ALTER COLUMN data SET STORAGE EXTERNAL") }
    for table in ProjectionTable.allCases {
      commands.append(
        """
        CREATE TABLE "\(name)".\(table.name)
        (major bigint NOT NULL, minor bigint NOT NULL, data bytea NOT NULL, sum bigint NOT NULL, PRIMARY KEY (major, minor))
        """)
      if isPostgreSQL, table.hasLargeRows {
        commands.append("ALTER TABLE \"\(name)\".\(table.name) ALTER COLUMN data SET STORAGE EXTERNAL")
      }
    }
    commands.append("INSERT INTO \"\(name)\".meta (name, value) VALUES ('layout', '\(PostgreSQLSchema.version)')")
    try connection.send(PostgreSQLStatement("begin", "BEGIN ISOLATION LEVEL READ COMMITTED"))
    for (index, command) in commands.enumerated() {
      // A definition is analysed when it is prepared, so what it builds on must be there.
      try connection.send(PostgreSQLStatement("create_\(commands.count)_\(index)", command))
    }
    try connection.send(PostgreSQLStatement("commit", "COMMIT"))
    try connection.sync()
    _ = try connection.receive()
  }
}
