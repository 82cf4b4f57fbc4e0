public import FareboxCore

/// Where a ledger is kept, read from the text that a host gives.
///
/// This is the only place that decides what an address means; bindings pass on what they are given. No failure here
/// repeats the text, because it may carry a password.
public enum StoreAddress: Equatable, Sendable {
  /// `memory:`.
  case memory
  /// A path, or `sqlite:PATH`.
  case file(path: String)
  /// `postgresql://...`, which `PostgreSQLAddress` reads further.
  case server(url: String)

  /// - Parameter field: the input to blame.
  public init(_ text: String, field: String = "url") throws(Failure) {
    do throws(Problem) {
      self = try StoreAddress.read(text)
    } catch {
      throw Failure(.invalidArgument, field: field, error.message)
    }
  }

  private static func read(_ text: String) throws(Problem) -> StoreAddress {
    guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { throw .empty }
    guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else { throw .control }
    guard !first.properties.isWhitespace, !last.properties.isWhitespace else { throw .space }
    guard !quotes.contains(first), !quotes.contains(last) else { throw .quotes }
    if let scheme = scheme(of: text) { return try read(text, scheme) }
    try checkBarePath(text)
    return .file(path: text)
  }

  /// What stands before the first colon, where it can be a scheme: no path has a letter and a colon before a slash.
  private static func scheme(of text: String) -> Substring? {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let scheme = text[..<colon]
    return scheme.contains("/") ? nil : scheme
  }

  private static func read(_ text: String, _ scheme: Substring) throws(Problem) -> StoreAddress {
    let rest = String(text[scheme.endIndex...].dropFirst())
    switch scheme {
    case "memory":
      guard rest.isEmpty else { throw .memory }
      return .memory
    case "sqlite": return .file(path: try path(rest))
    case "postgresql", "postgres":
      guard rest.hasPrefix("//") else { throw .slashes }
      return .server(url: text)
    default: throw Problem(scheme: scheme, rest)
    }
  }

  /// The path behind `sqlite:`, which SQLAlchemy and its kin write with three slashes before it.
  private static func path(_ rest: String) throws(Problem) -> String {
    var path = rest
    if rest.hasPrefix("//") {
      guard rest.hasPrefix("///") else { throw rest == "//" ? .memory : .authority }
      path = String(rest.dropFirst(3))
    }
    guard !path.isEmpty else { throw rest.isEmpty ? .emptyPath : .memory }
    guard path != ":memory:", !path.hasPrefix("file:") else { throw .memory }
    guard !path.contains("?") else { throw .parameters }
    guard let first = path.unicodeScalars.first, !first.properties.isWhitespace, !quotes.contains(first) else {
      throw .space
    }
    try checkPath(path)
    return path
  }

  /// Refuses what was meant as another kind of address and would be taken for a path.
  private static func checkBarePath(_ text: String) throws(Problem) {
    guard !words.contains(text.lowercased()) else { throw .word }
    guard !text.prefix(while: { $0 != "/" }).contains("=") else { throw .keywords }
    guard !text.contains("\\") else { throw .backslash }
    try checkPath(text)
  }

  private static func checkPath(_ path: String) throws(Problem) {
    let lowercased = path.lowercased()
    guard !path.hasPrefix("//"), !path.contains("://"), !hasCredentials(path),
      !["password=", "passwd=", "pwd="].contains(where: lowercased.contains)
    else { throw .credentials }
  }

  /// Whether a part of the path reads like `user:password@host`.
  private static func hasCredentials(_ path: String) -> Bool {
    guard let colon = path.firstIndex(of: ":") else { return false }
    return path[colon...].contains("@")
  }

  private static let quotes: Set<Unicode.Scalar> = [
    "'", "\"", "`", "\u{2018}", "\u{2019}", "\u{201c}", "\u{201d}", "\u{ab}", "\u{bb}", "<", ">",
  ]

  /// Names of kinds of stores, which are no files.
  private static let words: Set<String> = [
    "memory", ":memory:", "sqlite", "sqlite3", "file", "postgres", "postgresql", "pg", "mysql", "mariadb", "http",
    "https",
  ]
}

extension StoreAddress {
  /// Why a text is no address: a sentence that says what to write.
  private struct Problem: Error {
    let message: String

    private init(_ message: String) {
      self.message = message
    }

    private static let known = "Give a path, 'sqlite:PATH', 'postgresql://USER@HOST/DATABASE' or 'memory:'."

    static let empty = Problem("The address is empty. \(known)")
    static let control = Problem("The address has a NUL or another control character.")
    static let space = Problem("The address begins or ends with a space; remove it.")
    static let quotes = Problem("The address begins or ends with a quotation mark or bracket; remove it.")
    static let memory = Problem("The address of a ledger in memory is 'memory:', with nothing behind it.")
    static let slashes = Problem("The address of a server begins with 'postgresql://', with two slashes.")
    static let emptyPath = Problem("The path after 'sqlite:' is empty.")
    static let authority = Problem(
      "An address of a file has no host: write 'sqlite:PATH', 'sqlite:///RELATIVE' or 'sqlite:////ABSOLUTE'.")
    static let parameters = Problem(
      "'sqlite:' takes no parameters; open a file with '?' in its name by its path, without 'sqlite:'.")
    static let word = Problem("This is the name of a kind of store, and no address. \(known)")
    static let keywords = Problem(
      "A list of keywords is not an address: write 'postgresql://USER:PASSWORD@HOST:PORT/DATABASE', or './' before the "
        + "path of a file with '=' in its name.")
    static let backslash = Problem("A path has slashes, not backslashes; write 'sqlite:' before a name that has one.")
    static let credentials = Problem("This would be a path with a host or password in it. \(known)")

    init(scheme: Substring, _ rest: String) {
      let name = scheme.lowercased()
      let base = name.prefix { $0 != "+" }
      if scheme.isEmpty {
        self = .memory
      } else if scheme.count == 1 {
        self.init("A path with a drive letter is not supported; write the path with slashes alone.")
      } else if base == "postgresql" || base == "postgres" {
        self.init(
          base == name
            ? "A scheme is written in small letters: 'postgresql://'."
            : "Farebox has a driver built in: write 'postgresql://', without '+' and the name of another.")
      } else if base == "sqlite" || name == "memory" {
        self.init("A scheme is written in small letters, without a driver: 'sqlite:' or 'memory:'.")
      } else if Problem.others.contains(String(base)) {
        self.init("Farebox keeps no ledger at an address that begins with '\(base):'. \(Problem.known)")
      } else if rest.hasPrefix("//") {
        self.init("The scheme of the address is not one that Farebox knows. \(Problem.known)")
      } else {
        self.init("The address begins with an unknown scheme; write './' before a path with ':' in its name.")
      }
    }

    /// Schemes that may be repeated, because they are nobody's secret.
    private static let others: Set<String> = [
      "mysql", "mariadb", "mssql", "oracle", "sqlserver", "mongodb", "redis", "file", "http", "https", "jdbc",
      "sqlite3",
      "cockroachdb", "libsql", "duckdb",
    ]
  }
}
