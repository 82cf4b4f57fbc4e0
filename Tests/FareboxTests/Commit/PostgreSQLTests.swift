import FareboxCore
import Testing

@testable import FareboxStore

/// What only a store on a server has to answer for: its connection, and statements whose answers are still due.
@Suite(.enabled(if: TestStore.chosen == .postgresql)) struct PostgreSQLTests {
  @Test(arguments: ["user:half/secret@host/db", "user:se@cret@host/db", "host:12a/db", "host/d@b"])
  func `an address whose password would be taken for something else is refused`(_ rest: String) throws {
    let failure = #expect(throws: Failure.self) {
      try PostgreSQLStore(url: "postgresql://\(rest)", mustExist: false, busyTimeoutMilliseconds: 100)
    }
    #expect(failure?.status == .invalidArgument)
    #expect(failure.map { !$0.message.contains("secret") && !$0.message.contains("cret@") } == true)
  }

  @Test(arguments: [
    "user:half%2Fse%40cret@host:5432/db", "h1:1,h2:2/db?schema=a_1", "/db?host=@socket,/run&port=5432", "host", "",
  ])
  func `an address that libpq can read is left as it is`(_ rest: String) throws {
    _ = try PostgreSQLAddress("postgresql://\(rest)", Libpq.load())
  }
}
