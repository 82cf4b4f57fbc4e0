internal import CPostgres
internal import FareboxCore

/// The functions of the PostgreSQL client library, found once in a process.
@safe
struct Libpq: @unchecked Sendable {
  // Sound because the table is never changed once it is filled.
  let functions: farebox_libpq

  private static let loaded: Libpq? = {
    guard let table = unsafe farebox_libpq_load() else { return nil }
    return unsafe Libpq(functions: table.pointee)
  }()

  /// - Throws: `unsupported` where the machine has no libpq of version 14 or later.
  static func load() throws(Failure) -> Libpq {
    guard let loaded else {
      throw Failure(
        .unsupported, field: "url", "PostgreSQL needs the client library libpq.so.5, version 14 or later.")
    }
    return loaded
  }

  /// A text of libpq's own, which is never a null where this is used.
  @unsafe
  func text(_ characters: UnsafePointer<CChar>?) -> String {
    unsafe characters.map { unsafe String(cString: $0) } ?? ""
  }
}
