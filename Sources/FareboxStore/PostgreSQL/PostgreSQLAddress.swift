internal import CPostgres
internal import FareboxCore

/// Where a ledger is kept on a server: libpq's own kind of address, and the parameters that are ours.
struct PostgreSQLAddress {
  /// What libpq is given; it may carry a password and is never shown.
  let connection: String
  let schema: String
  /// What stands between the engine and the server, or nil to find out.
  let pooler: Pooler?
  /// How far the engine's clock may be ahead of the server's, in microseconds.
  let clockTolerance: Int64
  /// The address without password and parameters, to be shown.
  let shown: String

  /// Who keeps the connections to the server.
  enum Pooler: String {
    /// A connection is the engine's for a transaction; between two it may be another one.
    case transaction
    /// A connection is the engine's until it closes it.
    case session
  }

  static let defaultSchema = "farebox"
  private static let defaultToleranceSeconds: Int64 = 300
  private static let mostToleranceSeconds: Int64 = 366 * 86_400

  /// Reads `postgresql://user@host:port,host2:port/database?schema=name&...`.
  init(_ url: String, _ libpq: Libpq) throws(Failure) {
    var own: [Substring: String] = [:]
    var connection = url
    if let mark = url.firstIndex(of: "?") {
      var kept: [Substring] = []
      let known = PostgreSQLAddress.keywords(libpq)
      for part in url[url.index(after: mark)...].split(separator: "&") {
        let name = part.prefix { $0 != "=" }
        if name == part || !known.contains(String(name)) && !PostgreSQLAddress.names.contains(name) {
          throw PostgreSQLAddress.unknownParameter(name, url[mark...])
        }
        guard PostgreSQLAddress.names.contains(name) else {
          kept.append(part)
          continue
        }
        guard own.updateValue(String(part[name.endIndex...].dropFirst()), forKey: name) == nil else {
          throw PostgreSQLAddress.invalid("The parameter '\(name)' of the address is given twice.")
        }
      }
      connection = String(url[..<mark]) + (kept.isEmpty ? "" : "?" + kept.joined(separator: "&"))
    }
    schema = own["schema"] ?? PostgreSQLAddress.defaultSchema
    guard PostgreSQLAddress.isName(schema) else {
      throw PostgreSQLAddress.invalid(
        "A schema's name has at most 63 small letters, digits and underscores and does not begin with a digit or 'pg_'."
      )
    }
    pooler = try PostgreSQLAddress.pooler(own["pooler"] ?? "auto")
    clockTolerance = try PostgreSQLAddress.tolerance(own["clock_tolerance"])
    guard let options = PostgreSQLAddress.options(connection, libpq),
      options.allSatisfy({ PostgreSQLAddress.isPlausible($0.key, $0.value) })
    else {
      // libpq's own words may repeat a part of the address, and so of a password.
      throw PostgreSQLAddress.invalid(
        "This is not an address that libpq can read; '/', '@', '?' and '#' in a password are written %2F, %40, %3F and %23."
      )
    }
    self.connection = connection
    shown = PostgreSQLAddress.shown(options, schema: schema)
  }

  /// Parameters that are ours and not libpq's.
  private static let names: Set<Substring> = ["schema", "pooler", "clock_tolerance"]

  private static func invalid(_ message: String) -> Failure {
    Failure(.invalidArgument, field: "url", message)
  }

  private static func unknownParameter(_ name: Substring, _ rest: Substring) -> Failure {
    // A password with a '?' that is not written %3F goes on behind it, up to an '@'.
    let isShown =
      !rest.contains("@") && (1...40).contains(name.utf8.count)
      && name.utf8.allSatisfy { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || $0 == UInt8(ascii: "_") }
    return invalid(
      (isShown ? "The address has an unknown parameter '\(name)'" : "The address has an unknown parameter")
        + "; 'schema', 'pooler', 'clock_tolerance' and those of libpq are known, each as NAME=VALUE.")
  }

  private static func pooler(_ text: String) throws(Failure) -> Pooler? {
    if text == "auto" { return nil }
    guard let pooler = Pooler(rawValue: text) else {
      throw invalid("The parameter 'pooler' is 'auto', 'transaction' or 'session'.")
    }
    return pooler
  }

  private static func tolerance(_ text: String?) throws(Failure) -> Int64 {
    guard let text else { return defaultToleranceSeconds * 1_000_000 }
    let isNumber = !text.isEmpty && text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    guard isNumber, let seconds = Int64(text), (1...mostToleranceSeconds).contains(seconds) else {
      throw invalid("The parameter 'clock_tolerance' is a number of seconds from 1 to \(mostToleranceSeconds).")
    }
    return seconds * 1_000_000
  }

  private static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= 63, !text.hasPrefix("pg_") else { return false }
    let isDigit = { (byte: UInt8) in UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
    return !isDigit(first)
      && text.utf8.allSatisfy {
        isDigit($0) || UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || $0 == UInt8(ascii: "_")
      }
  }

  // MARK: What libpq reads

  /// The parameters that libpq knows.
  private static func keywords(_ libpq: Libpq) -> Set<String> {
    var names: Set<String> = ["ssl"]
    visitOptions("postgresql://", libpq) { name, _ in names.insert(name) }
    return names
  }

  /// What libpq makes of an address, or nil where it cannot read it.
  private static func options(_ connection: String, _ libpq: Libpq) -> [String: String]? {
    var options: [String: String] = [:]
    let isRead = visitOptions(connection, libpq) { name, value in
      if let value { options[name] = value }
    }
    return isRead ? options : nil
  }

  @discardableResult
  private static func visitOptions(_ connection: String, _ libpq: Libpq, _ visit: (String, String?) -> Void) -> Bool {
    guard !connection.utf8.contains(0) else { return false }
    var message: UnsafeMutablePointer<CChar>?
    let options = unsafe libpq.functions.conninfo_parse(connection, &message)
    unsafe libpq.functions.free_memory(message)
    guard let options = unsafe options else { return false }
    defer { unsafe libpq.functions.conninfo_free(options) }
    var index = 0
    while let keyword = unsafe options[index].keyword {
      let value = unsafe options[index].val.map { unsafe String(cString: $0) }
      visit(unsafe String(cString: keyword), value)
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
    case "dbname": !value.contains("@") && !value.contains("=") && !value.contains("://")
    default: true
    }
  }

  private static func shown(_ options: [String: String], schema: String) -> String {
    func escaped(_ text: Substring) -> String {
      var escaped = ""
      for byte in text.utf8 {
        let isPlain = Unicode.Scalar(byte).properties.isAlphabetic || "0123456789-._".utf8.contains(byte)
        if byte < 0x80, isPlain {
          escaped.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
          escaped += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
      }
      return escaped
    }
    let ports = (options["port"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
    let hosts = (options["host"] ?? options["hostaddr"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
    let places = hosts.enumerated().map { index, host in
      let port = ports.isEmpty ? "" : ports[min(index, ports.count - 1)]
      let name = host.contains(":") ? "[\(host)]" : escaped(host)
      return port.isEmpty ? name : "\(name):\(port)"
    }
    let user = options["user"].map { escaped($0[...]) + "@" } ?? ""
    let database = options["dbname"].map { "/" + escaped($0[...]) } ?? ""
    return "postgresql://\(user)\(places.joined(separator: ","))\(database)?schema=\(schema)"
  }
}
