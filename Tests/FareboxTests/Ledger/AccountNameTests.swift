import FareboxCore
import Testing

@testable import Farebox

/// Names from the ids of identity providers.
@Suite struct AccountNameTests {
  private static func vectors() throws -> JSONObject {
    try #require(JSON.parse(Vectors.read("account_names.json")).object)
  }

  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func `an id has one name, which gives it back, and the name is an account's`() throws {
    let ledger = try TestLedger(inFile: true)
    let cases = try #require(try AccountNameTests.vectors()["cases"]?.array)
    #expect(cases.count > 15)
    var names: [String] = []
    for each in cases.compactMap(\.object) {
      let id = try #require(each["id"]?.string)
      let name = try #require(each["name"]?.string)
      #expect(try AccountNameTests.bytes(AccountName.escape(id)) == AccountNameTests.bytes(name))
      #expect(try AccountNameTests.bytes(AccountName.unescape(name)) == AccountNameTests.bytes(id))
      _ = try ledger.engine.call("account.deposit", ["account": .string(name), "amount": "1"])
      _ = try ledger.engine.call("account.deposit", ["account": .string("user:\(name)"), "amount": "2"])
      names += [name, "user:\(name)"]
    }
    try ledger.engine.sealNow()
    try ledger.reopen()
    let rows = try #require(try ledger.engine.call("account.list").object?["accounts"]?.array)
    let listed = rows.compactMap { $0.object?["account"]?.string }.map(AccountNameTests.bytes)
    #expect(Set(listed) == Set((["external", "platform"] + names).map(AccountNameTests.bytes)))
    #expect(listed.count == names.count + 2)
    for name in names {
      let row = try ledger.engine.call("balance.get", ["account": .string(name)]).object
      #expect(row?["balance"] == (name.hasPrefix("user:") ? "2.00" : "1.00"), "\(name)")
    }
    try ledger.engine.expectSound()
  }

  @Test func `what is no escaped id is refused`() throws {
    for each in try #require(try AccountNameTests.vectors()["refused"]?.array) {
      let name = try #require(each.string)
      #expect(throws: Failure.self, "\(name)") { try AccountName.unescape(name) }
    }
    #expect(throws: Failure.self) { try AccountName.escape("") }
    #expect(throws: Failure.self) { try AccountName.escape(String(repeating: "/", count: 86)) }
    #expect(try AccountName.escape(String(repeating: "/", count: 85)).utf8.count == 255)
  }

  @Test func `two forms of one letter are two accounts`() throws {
    let ledger = try TestLedger()
    let (one, two) = ("user:caf\u{e9}", "user:cafe\u{301}")
    _ = try ledger.engine.call("account.deposit", ["account": .string(one), "amount": "5"])
    let status: Status
    do throws(Failure) {
      _ = try ledger.engine.call("charge.create", ["payer": .string(two), "amount": "1"])
      status = .ok
    } catch {
      status = error.status
    }
    #expect(status == .accountNotFound)
    let row = try ledger.engine.call("balance.get", ["account": .string(one)])
    #expect(row.object?["account"]?.string.map(AccountNameTests.bytes) == AccountNameTests.bytes(one))
  }

  @Test func `a slash before a mark still parts two accounts`() throws {
    #expect(AccountName.parent(of: "org:a/\u{301}b") == "org:a")
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.open", ["account": "org:a"])
    let row = try ledger.engine.call("account.open", ["account": "org:a/\u{301}b"])
    #expect(row.object?["wallet"] == "org:a")
  }
}
