internal import FareboxCore

/// What an error of the server means for the ledger; codes are of appendix A of its manual.
struct PostgreSQLFailure {
  let failure: Failure
  /// Whether another connection has to be made before anything can be tried again.
  let endsConnection: Bool

  init(code: String, message: String) {
    let status: Status
    var endsConnection = false
    switch code {
    // Serialization failure, deadlock, lock not available, cancelled by a time-out, and a segment that another engine
    // has written meanwhile on a server whose row locks do not hold it back.
    case "40001", "40P01", "55P03", "57014", "23505": status = .storeBusy
    // Read-only: a replica, or a server that is told so; another host of the address may do better.
    case "25006":
      status = .storeReadOnly
      endsConnection = true
    case "42501": status = .storeDenied
    case "53100": status = .storeFull
    case "53200": status = .noMemory
    case "XX001", "XX002": status = .storeCorrupt
    case "3D000", "3F000", "42P01": status = .storeNotFound
    case "28P01", "28000":
      status = .storeAuthentication
      endsConnection = true
    // A prepared statement that is not there, or is there already: sessions are not ours alone.
    case "26000", "42P05":
      failure = Failure(
        .unsupported, field: "url",
        "The server does not keep prepared statements, so there is a pooler of transactions before it; "
          + "add 'pooler=transaction' to the address.", details: ["sqlstate": .string(code)])
      self.endsConnection = true
      return
    // Shut down, crashed, starting, dropped for being idle, no connections left, and all of the connection's own class.
    case "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "53300":
      status = .storeUnreachable
      endsConnection = true
    default:
      // A pooler tells what it was told when it connected itself.
      if code == "08P01", let refusal = PostgreSQLFailure.connecting(message) {
        failure = refusal
        self.endsConnection = true
        return
      }
      endsConnection = code.hasPrefix("08")
      status = endsConnection ? .storeUnreachable : .storeIO
    }
    failure = Failure(status, "PostgreSQL error \(code): \(message)", details: ["sqlstate": .string(code)])
    self.endsConnection = endsConnection
  }

  // MARK: Connecting

  /// What the message of a connection that was refused means, or nil where it may pass by itself.
  ///
  /// - Parameter message: libpq's, which has a code where it is verbose, and otherwise words in the server's language.
  static func connecting(_ message: String) -> Failure? {
    for refusal in refusals where refusal.phrases.contains(where: { $0.allSatisfy(message.contains) }) {
      return Failure(refusal.status, field: "url", "\(refusal.sentence) \(message)")
    }
    let codes = message.split(separator: " ").filter { word in
      word.utf8.count == 6 && word.hasSuffix(":")
        && word.dropLast().utf8.allSatisfy {
          UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0
        }
    }
    guard let code = codes.last?.dropLast() else { return nil }
    for refusal in refusals where refusal.codes.contains(code) {
      return Failure(refusal.status, field: "url", "\(refusal.sentence) \(message)")
    }
    return nil
  }

  private struct Refusal {
    let status: Status
    /// The message has all parts of one of these.
    let phrases: [[String]]
    let codes: [Substring]
    let sentence: String
  }

  /// The more special ones first; phrases are of PostgreSQL, of libpq and of pgbouncer.
  private static let refusals = [
    Refusal(
      status: .storeAuthentication, phrases: [["Peer authentication failed"], ["Ident authentication failed"]],
      codes: [],
      sentence: "The server admits this user only from the system's account of that name (peer or ident)."),
    Refusal(
      status: .storeAuthentication, phrases: [["no pg_hba.conf entry"], ["pg_hba.conf rejects"]], codes: [],
      sentence: "The server's pg_hba.conf does not admit this user and database from this machine."),
    Refusal(
      status: .storeAuthentication,
      phrases: [
        ["authentication failed"], ["no password supplied"], ["no such user"], ["auth failed"],
        ["is not permitted to log in"], ["role \"", "\" does not exist"], ["valid client certificate"],
      ], codes: ["28P01", "28000"], sentence: "The server refused the user or password."),
    Refusal(
      status: .storeNotFound,
      phrases: [["database \"", "\" does not exist"], ["no such database"], ["bouncer config error"]], codes: ["3D000"],
      sentence: "The server has no such database."),
    Refusal(
      status: .storeDenied, phrases: [["permission denied for database"]], codes: ["42501"],
      sentence: "The role has no permission to connect to the database."),
    Refusal(
      status: .unsupported, phrases: [["statement pooling mode"]], codes: [],
      sentence:
        "The pooler keeps a connection for one statement only; a ledger needs one that keeps it for a transaction."
    ),
    Refusal(
      status: .invalidArgument, phrases: [["unsupported startup parameter"]], codes: [],
      sentence:
        "A pooler before the server refuses a setting; remove it from 'options' of the address or from PGOPTIONS."),
    Refusal(
      status: .invalidArgument, phrases: [["unrecognized configuration parameter"]], codes: ["42704", "22023"],
      sentence: "The server refuses a setting in 'options' of the address or in PGOPTIONS."),
  ]
}
