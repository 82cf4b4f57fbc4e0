internal import FareboxCore

/// The statements of a SQLite store, prepared once.
struct Statements: ~Copyable {
  let begin: Statement
  let commit: Statement
  let meta: Statement
  let setMeta: Statement
  let lastSegment: Statement
  let appendSegment: Statement
  let segmentsFrom: Statement
  let segmentContaining: Statement
  /// One entry a projected table, in the order of the enumeration.
  private let tables: InlineArray<15, RowStatements>

  init(_ database: borrowing Database) throws(Failure) {
    let begin = try database.prepare("BEGIN IMMEDIATE")
    let commit = try database.prepare("COMMIT")
    let meta = try database.prepare("SELECT value, sum FROM meta WHERE name = ?1")
    let setMeta = try database.prepare("INSERT OR REPLACE INTO meta (name, value, sum) VALUES (?1, ?2, ?3)")
    let hash = SegmentName.hashPlace
    let lastSegment = try database.prepare(
      "SELECT first, substr(data, \(hash.lowerBound + 1), \(hash.count)) FROM segments ORDER BY first DESC LIMIT 1")
    let appendSegment = try database.prepare("INSERT INTO segments (first, data) VALUES (?1, ?2)")
    let segmentsFrom = try database.prepare("SELECT first, data FROM segments WHERE first >= ?1 ORDER BY first")
    let segmentContaining = try database.prepare(
      "SELECT first, data FROM segments WHERE first <= ?1 ORDER BY first DESC LIMIT 1")
    let tables = try InlineArray<15, RowStatements> { index throws(Failure) in
      try RowStatements(ProjectionTable.allCases[index], database)
    }
    self.begin = begin
    self.commit = commit
    self.meta = meta
    self.setMeta = setMeta
    self.lastSegment = lastSegment
    self.appendSegment = appendSegment
    self.segmentsFrom = segmentsFrom
    self.segmentContaining = segmentContaining
    self.tables = tables
  }

  func rows<Result>(
    _ table: ProjectionTable, _ body: (borrowing RowStatements) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(tables[table.rawValue])
  }
}

/// The statements of one projected table.
struct RowStatements: ~Copyable {
  let put: Statement
  let get: Statement
  let deleteMajor: Statement
  let deleteAll: Statement

  init(_ table: ProjectionTable, _ database: borrowing Database) throws(Failure) {
    let name = table.name
    let key = table.hasLargeRows ? "place = (?1 << 24) + ?2" : "major = ?1 AND minor = ?2"
    let keys = table.hasLargeRows ? "place BETWEEN ?1 << 24 AND (?1 << 24) + 16777215" : "major = ?1"
    let put = try database.prepare(
      table.hasLargeRows
        ? "INSERT OR REPLACE INTO \(name) (place, data, sum) VALUES ((?1 << 24) + ?2, ?3, ?4)"
        : "INSERT OR REPLACE INTO \(name) (major, minor, data, sum) VALUES (?1, ?2, ?3, ?4)")
    let get = try database.prepare("SELECT data, sum FROM \(name) WHERE \(key)")
    let deleteMajor = try database.prepare("DELETE FROM \(name) WHERE \(keys)")
    let deleteAll = try database.prepare("DELETE FROM \(name)")
    self.put = put
    self.get = get
    self.deleteMajor = deleteMajor
    self.deleteAll = deleteAll
  }
}
