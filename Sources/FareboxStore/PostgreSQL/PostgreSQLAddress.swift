internal import CPostgres
internal import FareboxCore

/// Where a ledger is kept on a server: libpq's own kind of address, and the schema that has the tables.
struct PostgreSQLAddress {
  /// What libpq is given; it may carry a password and is never shown.
  let connection: String
  let schema: String

  static let defaultSchema = "farebox"
  private static let parameter = "schema="

  /// Reads `postgresql://user@host:port,host2:port/database?schema=name&...`; everything but `schema` is libpq's.
  init(_ url: String, _ libpq: Libpq) throws(Failure) {
    var schema = PostgreSQLAddress.defaultSchema
    var connection = url
    if let mark = url.firstIndex(of: "?") {
      var kept: [Substring] = []
      for part in url[url.index(after: mark)...].split(separator: "&") {
        if part.hasPrefix(PostgreSQLAddress.parameter) {
          schema = String(part.dropFirst(PostgreSQLAddress.parameter.count))
        } else {
          kept.append(part)
        }
      }
      connection = String(url[..<mark]) + (kept.isEmpty ? "" : "?" + kept.joined(separator: "&"))
    }
    guard PostgreSQLAddress.isName(schema) else {
      throw Failure(
        .invalidArgument, field: "url",
        "A schema's name has at most 63 small letters, digits and underscores and does not begin with a digit or 'pg_'."
      )
    }
    guard !url.utf8.contains(0), PostgreSQLAddress.canBeRead(connection, libpq) else {
      // libpq's own words may repeat a part of the address, and so of a password.
      throw Failure(
        .invalidArgument, field: "url",
        "This is not an address that libpq can read; '/' and '@' in a password are written %2F and %40.")
    }
    self.connection = connection
    self.schema = schema
  }

  private static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= 63, !text.hasPrefix("pg_") else { return false }
    let isDigit = { (byte: UInt8) in UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
    return !isDigit(first)
      && text.utf8.allSatisfy {
        isDigit($0) || UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || $0 == UInt8(ascii: "_")
      }
  }

  private static func canBeRead(_ connection: String, _ libpq: Libpq) -> Bool {
    var message: UnsafeMutablePointer<CChar>?
    let options = unsafe libpq.functions.conninfo_parse(connection, &message)
    unsafe libpq.functions.free_memory(message)
    guard let options = unsafe options else { return false }
    defer { unsafe libpq.functions.conninfo_free(options) }
    var index = 0
    while let keyword = unsafe options[index].keyword {
      if let value = unsafe options[index].val {
        guard unsafe isPlausible(String(cString: keyword), String(cString: value)) else { return false }
      }
      index += 1
    }
    return true
  }

  /// Whether a value can be what libpq takes it for.
  ///
  /// Of a password with a '/' or '@' that is not written as %2F or %40 it makes a port, a host or a database, which its
  /// errors repeat.
  private static func isPlausible(_ keyword: String, _ value: String) -> Bool {
    switch keyword {
    case "port": value.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == UInt8(ascii: ",") }
    // A socket without a file has it at its beginning.
    case "host": value.split(separator: ",").allSatisfy { !$0.dropFirst().contains("@") }
    case "dbname": !value.contains("@")
    default: true
    }
  }
}
