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
    case "42501": status = .storeReadOnly
    case "53100": status = .storeFull
    case "53200": status = .noMemory
    case "XX001", "XX002": status = .storeCorrupt
    case "3D000", "3F000", "42P01": status = .storeNotFound
    // Shut down, crashed, starting, dropped for being idle, no connections left, and all of the connection's own class.
    case "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "53300":
      status = .storeUnreachable
      endsConnection = true
    default:
      endsConnection = code.hasPrefix("08")
      status = endsConnection ? .storeUnreachable : .storeIO
    }
    failure = Failure(status, "PostgreSQL error \(code): \(message)", details: ["sqlstate": .string(code)])
    self.endsConnection = endsConnection
  }
}
