import FareboxCore
import FareboxStore

/// What a store keeps beside the journal, row by row.
enum Projections {
  static func rows(of store: any Store, but left: ProjectionTable? = nil) throws -> [String: [UInt8]] {
    var rows: [String: [UInt8]] = [:]
    for table in ProjectionTable.allCases where table != left {
      try unsafe store.visitRows(table, major: 0 ... .max, descending: false) { key, bytes throws(Failure) in
        rows["\(table.name) \(key.major) \(key.minor)"] = unsafe [UInt8](bytes)
        return true
      }
    }
    return rows
  }
}
