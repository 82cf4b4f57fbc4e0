import Farebox
import FareboxCore
import Testing

@testable import FareboxStore

/// What an address means, and that a refusal does not repeat it.
@Suite struct StoreAddressTests {
  @Test(arguments: [
    ("memory:", StoreAddress.memory), ("farebox.db", .file(path: "farebox.db")), ("ledger", .file(path: "ledger")),
    ("/srv/farebox.db", .file(path: "/srv/farebox.db")), ("./a=b:c.db", .file(path: "./a=b:c.db")),
    ("my ledger.db", .file(path: "my ledger.db")), ("données.db", .file(path: "données.db")),
    ("/data/year=2026/x.db", .file(path: "/data/year=2026/x.db")), ("what?.db", .file(path: "what?.db")),
    ("sqlite:farebox.db", .file(path: "farebox.db")), ("sqlite:/srv/farebox.db", .file(path: "/srv/farebox.db")),
    ("sqlite:///farebox.db", .file(path: "farebox.db")), ("sqlite:////srv/farebox.db", .file(path: "/srv/farebox.db")),
    ("sqlite:a:b.db", .file(path: "a:b.db")), ("sqlite:a%20b.db", .file(path: "a%20b.db")),
    ("postgresql://u:p@h/d", .server(url: "postgresql://u:p@h/d")), ("postgres://h", .server(url: "postgres://h")),
  ])
  func `an address that is one`(_ text: String, _ address: StoreAddress) throws {
    #expect(try StoreAddress(text) == address)
  }

  static let refused = [
    "", " ", "\n", "a\u{0}b", "sqlite:a\u{0}b", "\tledger.db", "ledger.db ", "ledger.db\n", "\u{a0}ledger.db",
    "host=db user=u password=s3cret", "host = db password = s3cret", "password=s3cret", "Server=db;Password=s3cret",
    "dbname=money host=/run/postgresql password='s3cret'", "POSTGRESQL://u:s3cret@db/money", "Postgres://u:s3cret@db",
    "PostgreSQL+psycopg://u:s3cret@db", " postgresql://u:s3cret@db/money", "postgresql://u:s3cret@db/money ",
    "\"postgresql://u:s3cret@db/money\"", "'memory:'", "“postgresql://u:s3cret@db/money”", "`ledger.db`",
    "<postgresql://u:s3cret@db>", "postgresql+psycopg://u:s3cret@db/money", "postgres+asyncpg://u:s3cret@db/money",
    "postgresql:u:s3cret@db", "postgresql:/u:s3cret@db", "postgresql:", "postgres", "mysql://u:s3cret@db/money",
    "mongodb+srv://u:s3cret@db", "jdbc:postgresql://db?password=s3cret", "http://u:s3cret@db", "file:ledger.db",
    "file:///srv/ledger.db", "redis://:s3cret@db", "u:s3cret@db/money", "//u:s3cret@db/money",
    "db/money?password=s3cret",
    "./postgresql://u:s3cret@db", "C:\\ledger.db", "C:/ledger.db", "\\\\server\\ledger.db", "data\\ledger.db",
    "memory:x", "memory://", "MEMORY:", ":memory:", "memory", "sqlite", "sqlite:", "sqlite://", "sqlite:///",
    "sqlite://ledger.db", "sqlite://u:s3cret@db/x", "sqlite::memory:", "sqlite:///:memory:", "SQLite:ledger.db",
    "sqlite+aiosqlite:///ledger.db", "sqlite3:ledger.db", "sqlite:ledger.db?mode=ro", "sqlite:file:ledger.db",
    "sqlite: ledger.db", "sqlite:'ledger.db'", "sqlite:postgresql://u:s3cret@db", "ledger:2026.db", "s3cret:x",
  ]

  @Test(arguments: refused) func `an address that is none is refused without its words`(_ text: String) throws {
    let failure = #expect(throws: Failure.self) { try StoreAddress(text, field: "to") }
    #expect(failure?.status == .invalidArgument && failure?.field == "to")
    let message = try #require(failure?.message)
    #expect(!message.contains("s3cret") && message.count > 20)
    #expect(text.count < 20 || !message.contains(text))
    #expect(status { _ = try Engine(url: text) } == .invalidArgument)
  }

  @Test func `three slashes are a relative path, four an absolute one`() throws {
    let folder = try TemporaryFolder()
    let engine = try Engine(url: "sqlite:///\(folder.file())")
    try engine.close()
    #expect(try FileBytes.read(folder.file()).count > 0)
    let failure = #expect(throws: Failure.self) { try Engine(url: "sqlite:///no/such/folder/ledger.db") }
    #expect(failure?.status == .storeNotFound)
    #expect(failure?.message.contains("'no/such/folder'") == true && failure?.message.contains("sqlite:////") == true)
  }
}

/// What the parameters of a server's address mean, and what is shown of it.
@Suite(.enabled(if: (try? Libpq.load()) != nil)) struct PostgreSQLAddressTests {
  private func address(_ rest: String) throws -> PostgreSQLAddress {
    try PostgreSQLAddress("postgresql://\(rest)", Libpq.load())
  }

  @Test func `parameters of ours are not libpq's`() throws {
    let plain = try address("u:p%40ss@h/d?connect_timeout=3")
    #expect(plain.schema == "farebox" && plain.pooler == nil && plain.clockTolerance == 300_000_000)
    #expect(plain.connection == "postgresql://u:p%40ss@h/d?connect_timeout=3")
    let full = try address("h/d?schema=a&sslmode=disable&pooler=transaction&clock_tolerance=60")
    #expect(full.schema == "a" && full.pooler == .transaction && full.clockTolerance == 60_000_000)
    #expect(full.connection == "postgresql://h/d?sslmode=disable")
    #expect(try address("h/d?pooler=session").pooler == .session && address("h/d?pooler=auto").pooler == nil)
  }

  @Test(arguments: [
    ("u:s3cret@h:5432/d", "u@h:5432/d"), ("u:s3cret@h1:1,h2:2/d", "u@h1:1,h2:2/d"), ("h?password=s3cret", "h"),
    ("u:s3cret@%2Frun%2Fpg/d", "u@%2Frun%2Fpg/d"), ("u%40x:s3cret@[::1]:5/d", "u%40x@[::1]:5/d"), ("", ""),
    ("h/d?user=u&password=s3cret&host=g", "u@g/d"),
  ])
  func `what is shown has no password`(_ rest: String, _ shown: String) throws {
    #expect(try address(rest).shown == "postgresql://\(shown)?schema=farebox")
  }

  @Test(arguments: [
    "h/d?nosuch=1", "h/d?schema", "h/d?schema=a&schema=b", "h/d?pooler=statement", "h/d?pooler=",
    "h/d?clock_tolerance=0",
    "h/d?clock_tolerance=-1", "h/d?clock_tolerance=5m", "h/d?clock_tolerance=99999999999999999999", "h/d?Schema=a",
    "u:s3cret?x@h/d", "u:s3?cret=1@h/d", "u:1?s3cret=1@h/d", "h/password%3Ds3cret", "h/postgresql%3A%2F%2Fu:s3cret",
  ])
  func `what is not known is refused without its words`(_ rest: String) throws {
    let failure = #expect(throws: Failure.self) { try address(rest) }
    #expect(failure?.status == .invalidArgument && failure?.field == "url")
    #expect(failure?.message.contains("cret") == false)
  }

  @Test func `an unknown parameter is named where it cannot be part of a password`() throws {
    let failure = #expect(throws: Failure.self) { try address("u:p@h/d?nosuch=1") }
    #expect(failure?.message.contains("'nosuch'") == true)
  }

  @Test(arguments: [
    ("FATAL:  password authentication failed for user \"u\"", Status.storeAuthentication),
    ("fe_sendauth: no password supplied", .storeAuthentication),
    ("FATAL:  SASL authentication failed", .storeAuthentication),
    ("FATAL:  Peer authentication failed for user \"u\"", .storeAuthentication),
    ("FATAL:  no pg_hba.conf entry for host \"1.2.3.4\", user \"u\"", .storeAuthentication),
    ("FATAL:  role \"u\" does not exist", .storeAuthentication), ("FATAL:  no such user: u", .storeAuthentication),
    ("FATAL:  role \"u\" is not permitted to log in", .storeAuthentication),
    ("FATAL:  28P01: Passwort-Authentifizierung fehlgeschlagen", .storeAuthentication),
    ("FATAL:  28000: Rolle ist nicht da", .storeAuthentication),
    ("FATAL:  database \"d\" does not exist", .storeNotFound),
    ("FATAL:  3D000: Datenbank ist nicht da", .storeNotFound),
    ("FATAL:  permission denied for database \"d\"", .storeDenied),
    ("FATAL:  unsupported startup parameter: options", .invalidArgument),
  ])
  func `a refusal to connect has its status, whatever the language`(_ message: String, _ status: Status) {
    #expect(PostgreSQLFailure.connecting("connection to server at \"h\", port 1 failed: \(message)")?.status == status)
  }

  @Test(arguments: [
    "Connection refused", "FATAL:  sorry, too many clients already", "FATAL:  too many connections for role \"u\"",
    "FATAL:  too many connections for database \"d\"", "FATAL:  the database system is starting up", "timeout expired",
    "FATAL:  53300: zu viele Verbindungen", "FATAL:  57P03: das Datenbanksystem startet",
  ])
  func `what may pass by itself is no refusal`(_ message: String) {
    #expect(PostgreSQLFailure.connecting("connection to server at \"h\", port 1 failed: \(message)") == nil)
  }
}
