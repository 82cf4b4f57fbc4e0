import FareboxCore
import FareboxStore
import Glibc
import Testing

/// Where the tests keep their ledgers; the same tests on each store are its conformance suite.
///
/// `FAREBOX_TEST_STORE` is `memory` (the default), `sqlite` or `postgresql`; the last one needs the address of a server in
/// `FAREBOX_TEST_POSTGRESQL`. A test that opens its ledger again uses a file even where others are in memory.
enum TestStore: String {
  case memory
  case sqlite
  case postgresql

  static let chosen =
    environment("FAREBOX_TEST_STORE").map { name in
      guard let store = TestStore(rawValue: name) else { preconditionFailure("There is no store '\(name)'.") }
      return store
    } ?? .memory

  /// Whether a process can hold a ledger alone, which relaxed durability needs.
  static var canBeExclusive: Bool { chosen != .postgresql }

  /// Whether a connection to the server is a session of it.
  static var ownsSessions: Bool { environment("FAREBOX_TEST_POOLER").map(\.isEmpty) ?? true }

  static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}

/// What the ledger of one test is kept in.
enum TestHome {
  case memory
  case folder(TemporaryFolder)
  /// A schema of the server's own for each test; they go with the server.
  case schema(url: String)

  init(inFile: Bool) throws {
    switch TestStore.chosen {
    case .memory: self = inFile ? .folder(try TemporaryFolder()) : .memory
    case .sqlite: self = .folder(try TemporaryFolder())
    case .postgresql:
      let server = try #require(
        TestStore.environment("FAREBOX_TEST_POSTGRESQL"), "FAREBOX_TEST_POSTGRESQL must be the address of a server.")
      let schema = "test_\(UInt64.random(in: 0 ... .max))"
      self = .schema(url: server + (server.contains("?") ? "&" : "?") + "schema=\(schema)")
    }
  }

  var url: String {
    switch self {
    case .memory: "memory:"
    case .folder(let folder): folder.url()
    case .schema(let url): url
    }
  }

  var canBeOpenedAgain: Bool {
    if case .memory = self { false } else { true }
  }

  /// The bare store.
  func openStore(exclusive: Bool = false, busyTimeoutMilliseconds: UInt32 = 100) throws(Failure) -> any Store {
    switch self {
    case .memory:
      try SQLiteStore(path: nil, exclusive: true, mustExist: false, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
    case .folder(let folder):
      try SQLiteStore(
        path: folder.file(), exclusive: exclusive, mustExist: false, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
    case .schema(let url):
      try PostgreSQLStore(url: url, mustExist: false, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
    }
  }
}
