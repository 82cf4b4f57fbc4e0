internal import CPostgres
internal import FareboxCore

/// What a statement has answered, in binary form; released with the last reference.
@safe
final class PostgreSQLResult {
  private let handle: OpaquePointer
  private let libpq: Libpq
  let count: Int

  @unsafe
  init(_ handle: OpaquePointer, _ libpq: Libpq) {
    unsafe self.handle = handle
    self.libpq = libpq
    count = Int(unsafe libpq.functions.rows(handle))
  }

  deinit {
    unsafe libpq.functions.clear(handle)
  }

  /// The command that was done, such as `COMMIT`.
  var command: String { unsafe libpq.text(libpq.functions.command(handle)) }

  func isNull(_ row: Int, _ column: Int32) -> Bool {
    unsafe libpq.functions.is_null(handle, Int32(truncatingIfNeeded: row), column) != 0
  }

  /// The bytes of a field, valid as long as the result.
  func bytes(_ row: Int, _ column: Int32) -> UnsafeRawBufferPointer {
    let row = Int32(truncatingIfNeeded: row)
    let length = unsafe libpq.functions.length(handle, row, column)
    return unsafe UnsafeRawBufferPointer(start: libpq.functions.value(handle, row, column), count: Int(length))
  }

  /// A field of type bigint.
  func int64(_ row: Int, _ column: Int32) -> Int64 {
    let field = unsafe bytes(row, column)
    guard field.count == 8 else { return 0 }
    return Int64(bigEndian: unsafe field.loadUnaligned(as: Int64.self))
  }

  /// Compares a row's sum with the one that was written with it.
  func check(_ sum: Int64, _ row: Int, _ column: Int32, _ table: String) throws(Failure) {
    guard isNull(row, column) || int64(row, column) == sum else {
      throw Failure(.storeCorrupt, "A row of the table \(table) is not what was written.")
    }
  }

  func text(_ row: Int, _ column: Int32) -> String {
    unsafe String(decoding: bytes(row, column), as: UTF8.self)
  }
}
