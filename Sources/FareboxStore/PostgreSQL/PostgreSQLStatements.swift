/// A statement with the types of its parameters; prepared on each connection when it is first used.
struct PostgreSQLStatement {
  let name: String
  let sql: String
  let parameters: [PostgreSQLType]

  init(_ name: String, _ sql: String, _ parameters: [PostgreSQLType] = []) {
    self.name = name
    self.sql = sql
    self.parameters = parameters
  }
}

/// The statements of a PostgreSQL store, in SQL that the distributed engines which speak its protocol also run.
struct PostgreSQLStatements {
  let begin = PostgreSQLStatement("begin", "BEGIN ISOLATION LEVEL READ COMMITTED")
  let beginRead = PostgreSQLStatement("begin_read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
  let commit = PostgreSQLStatement("commit", "COMMIT")
  let rollback = PostgreSQLStatement("rollback", "ROLLBACK")
  /// Waits for the writer's turn, and tells the server's clock. The row is locked and never changed, so it leaves no dead
  /// versions behind.
  let takeTurn: PostgreSQLStatement
  /// The segment before a record, by name and hash, and those from there on as a whole.
  let tail: PostgreSQLStatement
  let segments: PostgreSQLStatement
  let segmentContaining: PostgreSQLStatement
  let lastSegment: PostgreSQLStatement
  let appendSegment: PostgreSQLStatement
  let meta: PostgreSQLStatement
  let setMeta: PostgreSQLStatement
  let size: PostgreSQLStatement
  /// A transaction that changes nothing, but is in the log: with it all that was committed before is flushed, and on
  /// its replica where there is one that commits wait for. A transaction's number alone would not do: the server waits
  /// only for a transaction that has itself written to the log.
  let flush = PostgreSQLStatement(
    "flush",
    "SELECT set_config('synchronous_commit', $1, true), pg_logical_emit_message(true, 'farebox', '')", [.text])
  /// The same in a session that may have been another's before: says for itself what it is told, and whether the last
  /// segment is there, because the server may be another one by now.
  let flushShared: PostgreSQLStatement
  /// Sets something for the connection.
  let set = PostgreSQLStatement("set", "SELECT set_config($1, $2, false)", [.text, .text])
  /// Sets for a transaction what a connection sets for its session.
  let setLocal = PostgreSQLStatement(
    "set_local",
    """
    SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
    set_config('tcp_user_timeout', $3, true), set_config('idle_in_transaction_session_timeout', $4, true),
    set_config('synchronous_commit', 'off', true), set_config('client_min_messages', 'warning', true)
    """, [.text, .text, .text, .text])
  let version = PostgreSQLStatement(
    "version", "SELECT version(), current_setting('synchronous_commit'), pg_backend_pid()::bigint")
  /// What the server has for a session that has changed nothing.
  let commitLevel = PostgreSQLStatement(
    "commit_level", "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'")
  /// One entry a projected table, in the order of the enumeration.
  private let tables: [PostgreSQLRowStatements]

  /// Segments in one answer.
  static let segmentsInAnswer = 64
  /// Projected rows in one answer.
  static let rowsInAnswer = 512

  init(schema: String) {
    let segments = "\"\(schema)\".segments"
    let limit = PostgreSQLStatements.segmentsInAnswer
    takeTurn = PostgreSQLStatement(
      "take_turn",
      """
      SELECT id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
      FROM "\(schema)".turn WHERE id = 1 FOR UPDATE
      """)
    flushShared = PostgreSQLStatement(
      "flush_shared",
      """
      SELECT set_config('synchronous_commit', $1, true), set_config('client_min_messages', 'warning', true),
      pg_logical_emit_message(true, 'farebox', ''),
      (SELECT count(*) FROM \(segments) WHERE first = $2 AND hash = $3)
      """, [.text, .int8, .bytea])
    tail = PostgreSQLStatement(
      "tail",
      """
      SELECT first, hash, CASE WHEN first >= $1 THEN data END FROM \(segments)
      WHERE first >= coalesce((SELECT max(first) FROM \(segments) WHERE first < $1), 0)
      ORDER BY first LIMIT \(limit + 1)
      """, [.int8])
    self.segments = PostgreSQLStatement(
      "segments", "SELECT first, data FROM \(segments) WHERE first >= $1 ORDER BY first LIMIT \(limit)", [.int8])
    segmentContaining = PostgreSQLStatement(
      "segment_containing",
      "SELECT first, data FROM \(segments) WHERE first <= $1 ORDER BY first DESC LIMIT 1", [.int8])
    lastSegment = PostgreSQLStatement(
      "last_segment", "SELECT first, hash FROM \(segments) ORDER BY first DESC LIMIT 1")
    appendSegment = PostgreSQLStatement(
      "append_segment", "INSERT INTO \(segments) (first, hash, data) VALUES ($1, $2, $3)", [.int8, .bytea, .bytea])
    meta = PostgreSQLStatement("meta", "SELECT value, sum FROM \"\(schema)\".meta WHERE name = $1", [.text])
    setMeta = PostgreSQLStatement(
      "set_meta",
      """
      INSERT INTO "\(schema)".meta (name, value, sum) VALUES ($1, $2, $3)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum
      """, [.text, .bytea, .int8])
    size = PostgreSQLStatement(
      "size",
      """
      SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'
      """, [.text])
    tables = ProjectionTable.allCases.map { PostgreSQLRowStatements($0, schema: schema) }
  }

  func rows(_ table: ProjectionTable) -> PostgreSQLRowStatements { tables[table.rawValue] }
}

/// The statements of one projected table.
struct PostgreSQLRowStatements {
  let put: PostgreSQLStatement
  let get: PostgreSQLStatement
  let deleteMajor: PostgreSQLStatement
  let deleteAll: PostgreSQLStatement
  let ascending: PostgreSQLStatement
  let descending: PostgreSQLStatement
  let ofMajor: PostgreSQLStatement

  init(_ table: ProjectionTable, schema: String) {
    let name = "\"\(schema)\".\(table.name)"
    put = PostgreSQLStatement(
      "put_\(table.name)",
      """
      INSERT INTO \(name) (major, minor, data, sum)
      SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[])
      ON CONFLICT (major, minor) DO UPDATE SET data = excluded.data, sum = excluded.sum
      """, [.int8Array, .int8Array, .byteaArray, .int8Array])
    get = PostgreSQLStatement(
      "get_\(table.name)", "SELECT data, sum FROM \(name) WHERE major = $1 AND minor = $2", [.int8, .int8])
    deleteMajor = PostgreSQLStatement("delete_major_\(table.name)", "DELETE FROM \(name) WHERE major = $1", [.int8])
    deleteAll = PostgreSQLStatement("delete_all_\(table.name)", "DELETE FROM \(name)")
    // From a key on that was seen last; the bounds are of the major key.
    let limit = PostgreSQLStatements.rowsInAnswer
    ascending = PostgreSQLStatement(
      "ascending_\(table.name)",
      """
      SELECT major, minor, data, sum FROM \(name)
      WHERE major BETWEEN $1 AND $2 AND (major, minor) > ($3, $4) ORDER BY major, minor LIMIT \(limit)
      """, [.int8, .int8, .int8, .int8])
    descending = PostgreSQLStatement(
      "descending_\(table.name)",
      """
      SELECT major, minor, data, sum FROM \(name)
      WHERE major BETWEEN $1 AND $2 AND (major, minor) < ($3, $4) ORDER BY major DESC, minor DESC LIMIT \(limit)
      """, [.int8, .int8, .int8, .int8])
    ofMajor = PostgreSQLStatement(
      "of_major_\(table.name)",
      "SELECT minor, data, sum FROM \(name) WHERE major = $1 AND minor BETWEEN $2 AND $3 ORDER BY minor",
      [.int8, .int8, .int8])
  }
}
