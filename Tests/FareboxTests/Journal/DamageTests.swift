import Farebox
import FareboxCore
import FareboxStore
import Testing

@testable import Farebox

/// A ledger one byte of whose journal has changed: it is told, and the host lives.
@Suite struct DamageTests {
  private static let refusals: [Status] = [.storeCorrupt, .ledgerInvalid, .storeNewer]

  /// A store with a journal of every kind of record, sealed half-way where that is asked for.
  private func store(seals: Bool) throws -> (store: FaultyStore, lengths: [UInt64: Int]) {
    let store = try FaultyStore(in: TestHome(inFile: false))
    let ledger = try Engine(store: store, options: options)
    let calls: [(String, JSON)] = [
      ("account.deposit", ["account": "user:ana", "amount": "10"]),
      ("budget.set", ["account": "user:ana", "window": "day", "amount": "9", "thresholds": [1]]),
      (
        "skill.register",
        [
          "manifest": [
            "id": "s", "owner": "agent:a", "revenue_share": "0.7", "tools": [["name": "t", "pricing": ["cost": "1"]]],
          ]
        ]
      ),
      ("charge.create", ["payer": "user:ana", "tool": "t", "idempotency_key": "k", "metadata": ["a": 1]]),
      ("hold.reserve", ["payer": "user:ana", "tool": "t", "run": "r"]),
      ("hold.reserve", ["payer": "user:ana", "amount": "2"]),
      (
        "transfer.create",
        ["postings": [["account": "user:ana", "amount": "-1"], ["account": "agent:a", "amount": "1"]]]
      ),
    ]
    for (operation, input) in calls { _ = try ledger.call(operation, input) }
    if seals { try ledger.sealNow() }
    _ = try ledger.call("charge.create", ["payer": "user:ana", "amount": "1"])
    var lengths: [UInt64: Int] = [:]
    try unsafe store.visitSegments(from: 1) { name, bytes throws(Failure) in
      lengths[name] = bytes.count
      return true
    }
    return (store, lengths)
  }

  private var options: EngineOptions {
    var options = EngineOptions()
    let clock = ManualClock()
    options.clock = { clock.now }
    return options
  }

  /// Opens the ledger and looks into every corner of it; gives the first refusal.
  private func look(at store: FaultyStore) -> Status {
    var ledger = Ledger(keyMemoryBytes: 0)
    let loaded = status { try ledger.load(from: store) }
    guard loaded == .ok else { return loaded }
    var found = Status.ok
    func note(_ status: Status) { if found == .ok { found = status } }
    for number in 1..<ledger.state.nextRecord {
      note(
        status {
          _ = try ledger.withRecord(number, in: store) { record, heap throws(Failure) in
            _ = try ledger.json(number, record, heap, explains: true, in: store)
          }
        })
      note(status { _ = try ledger.holdEnd(HoldID(number: number, tag: 0), in: store) })
    }
    for account in 0..<UInt32(ledger.state.accounts.count) {
      note(status { _ = try ledger.pastBalance(account, 0, at: .max, in: store) })
    }
    return found
  }

  @Test func `a byte changed after the last seal keeps the ledger from opening`() throws {
    let (store, lengths) = try store(seals: false)
    #expect(look(at: store) == .ok)
    for (name, length) in lengths {
      for index in 0..<length {
        store.damage = { if $0 == name { $1[index] ^= 0x41 } }
        let result = look(at: store)
        #expect(Self.refusals.contains(result), "segment \(name), byte \(index): \(result)")
      }
      for length in [0, 1, 95, 96, 97, length - 1] {
        store.damage = { if $0 == name { $1 = Array($1.prefix(length)) } }
        #expect(look(at: store) == .storeCorrupt, "segment \(name) cut to \(length)")
      }
    }
  }

  @Test func `a byte changed before the last seal is found by a verification`() throws {
    let (store, lengths) = try store(seals: true)
    let engine = try Engine(store: store, options: options)
    for (name, length) in lengths {
      for index in stride(from: 0, to: length, by: 3) {
        store.damage = { if $0 == name { $1[index] ^= 0x41 } }
        let result = status { _ = try engine.call("ledger.verify") }
        #expect(Self.refusals.contains(result), "segment \(name), byte \(index): \(result)")
      }
    }
    store.damage = nil
    try engine.expectSound()
  }

  @Test func `a damaged sealed segment never traps whoever reads it`() async {
    await #expect(processExitsWith: .success) {
      let tests = DamageTests()
      let (store, lengths) = try tests.store(seals: true)
      for (name, length) in lengths {
        for index in stride(from: 0, to: length, by: 2) {
          for mask in [0x41, 0xff] as [UInt8] {
            store.damage = { if $0 == name { $1[index] ^= mask } }
            _ = tests.look(at: store)
          }
        }
      }
    }
  }

  @Test func `a damaged charge is neither refunded nor replayed`() async {
    await #expect(processExitsWith: .success) {
      let tests = DamageTests()
      let (store, lengths) = try tests.store(seals: true)
      let engine = try Engine(store: store, options: tests.options)
      let before = try engine.call("account.list")
      let transfers = try engine.call("transfer.list", ["kind": "charge"])
      let rows = try #require(transfers.object?["transfers"]?.array)
      let id = try #require(rows.last?.object?["id"])
      let number = try #require(id.int64)
      let name = try #require(lengths.keys.filter { $0 <= UInt64(number) }.max())
      for index in 0..<(lengths[name] ?? 0) {
        // One that has met damage refuses everything from then on.
        store.damage = nil
        let reader = try Engine(store: store, options: tests.options)
        store.damage = { if $0 == name { $1[index] ^= 0xff } }
        let result = status { _ = try reader.call("charge.refund", ["id": id, "amount": "0.1"]) }
        if result == .ok {
          Issue.record("byte \(index)")
          break
        }
      }
      store.damage = nil
      #expect(try engine.call("account.list") == before)
    }
  }
}
