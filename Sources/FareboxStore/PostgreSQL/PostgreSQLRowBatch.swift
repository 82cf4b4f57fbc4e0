/// Rows of one table that are written with one statement.
struct PostgreSQLRowBatch {
  private(set) var table: ProjectionTable?
  private var keys: Set<RowKey> = []
  private var majors: ContiguousArray<Int64> = []
  private var minors: ContiguousArray<Int64> = []
  private var bytes = ContiguousArray<UInt8>()
  private var ends: ContiguousArray<Int> = []
  private var sums: ContiguousArray<Int64> = []

  private static let mostRows = 1_024
  private static let mostBytes = 1 << 20

  /// Whether a row can be added: of the same table, another key than those before, and not too much.
  func hasRoom(for table: ProjectionTable, _ key: RowKey) -> Bool {
    guard let own = self.table else { return true }
    return own == table && ends.count < PostgreSQLRowBatch.mostRows && bytes.count < PostgreSQLRowBatch.mostBytes
      && !keys.contains(key)
  }

  @unsafe
  mutating func append(_ table: ProjectionTable, _ key: RowKey, _ value: UnsafeRawBufferPointer) {
    self.table = table
    keys.insert(key)
    majors.append(key.major)
    minors.append(key.minor)
    unsafe bytes.append(contentsOf: value)
    ends.append(bytes.count)
    sums.append(unsafe RowSum.of(table, key, value))
  }

  var parameters: PostgreSQLParameters {
    var parameters = PostgreSQLParameters()
    parameters.append(array: majors)
    parameters.append(array: minors)
    parameters.append(array: bytes, ends: ends)
    parameters.append(array: sums)
    return parameters
  }

  mutating func removeAll() {
    table = nil
    keys.removeAll(keepingCapacity: true)
    majors.removeAll(keepingCapacity: true)
    minors.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    sums.removeAll(keepingCapacity: true)
  }
}
