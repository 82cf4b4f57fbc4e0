import Farebox
import FareboxCore
import FareboxStore
import Glibc
import Testing

@testable import Farebox

/// A store that fails at any of its calls: nothing of the call is visible afterwards, and the engine goes on.
@Suite struct CommitFailureTests {
  private struct Setting {
    let home: TestHome
    let store: FaultyStore
    let engine: Engine
    let clock: ManualClock

    /// Money of each kind that a failed call must not change.
    func facts() throws -> [JSON] {
      try [
        engine.call("balance.get", ["account": "user:ana"]), engine.call("balance.get", ["account": "platform"]),
        engine.call("budget.list", ["account": "user:ana"]), engine.call("hold.list"), engine.call("account.list"),
        engine.call("event.list"), engine.call("skill.list"),
      ]
    }
  }

  private static func segments(_ store: FaultyStore) throws -> Int {
    var count = 0
    try unsafe store.visitSegments(from: 1) { _, _ throws(Failure) in
      count += 1
      return true
    }
    return count
  }

  private func setting(isExclusive: Bool, durability: Durability = .normal) throws -> Setting {
    let home = try TestHome(inFile: true)
    let isExclusive = isExclusive && TestStore.canBeExclusive
    let store = try FaultyStore(in: home, exclusive: isExclusive)
    let clock = ManualClock()
    var options = EngineOptions()
    options.isExclusive = isExclusive
    options.durability = durability
    options.clock = { clock.now }
    let engine = try Engine(store: store, options: options)
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    _ = try engine.call(
      "budget.set", ["account": "user:ana", "window": "day", "amount": "50", "thresholds": [1]])
    return Setting(home: home, store: store, engine: engine, clock: clock)
  }

  private static let calls: [(String, JSON)] = [
    ("charge.create", ["payer": "user:ana", "amount": "1", "idempotency_key": "k"]),
    ("hold.reserve", ["payer": "user:ana", "amount": "1", "idempotency_key": "k"]),
    ("account.open", ["account": "user:new"]),
    ("budget.set", ["account": "user:ana", "window": "month", "amount": "1", "name": "second"]),
    ("account.freeze", ["account": "user:ana"]),
    ("skill.register", ["manifest": ["id": "s", "tools": [["name": "t", "pricing": ["cost": "1"]]]]]),
    (
      "charge.create_many",
      [
        "charges": [
          ["payer": "user:ana", "amount": "1"], ["payer": "user:ana", "amount": "2", "idempotency_key": "k"],
        ]
      ]
    ),
  ]

  @Test(arguments: [false, true], Self.calls.indices)
  func `a call that fails at any point leaves nothing behind`(_ isExclusive: Bool, _ index: Int) throws {
    let (operation, input) = Self.calls[index]
    let setting = try setting(isExclusive: isExclusive)
    let before = try setting.facts()
    var failures = 0
    for fuse in 0..<100 {
      setting.store.light(fuse)
      let result = status { _ = try setting.engine.call(operation, input) }
      setting.store.fuse = nil
      guard setting.store.hasFailed else {
        #expect(result == .ok)
        break
      }
      failures += 1
      #expect([Status.storeIO, .storeBusy, .storeFull].contains(result), "fuse \(fuse): \(result)")
      // First the way that reads from memory alone.
      let arena = TextArena()
      let ana = arena.add("user:ana")
      let report = try setting.engine.balance(of: ana)
      #expect(report.available == 100_000_000_000, "fuse \(fuse)")
      if operation == "account.open" {
        #expect(status { _ = try setting.engine.call("account.get", input) } == .accountNotFound, "fuse \(fuse)")
      }
      #expect(try setting.facts() == before, "fuse \(fuse)")
    }
    #expect(failures >= 3)
    // The key was free, so the call that got through was a new one, and is known now.
    if operation == "charge.create" {
      #expect(try setting.engine.call(operation, input).object?["replayed"] == true)
    }
    try setting.engine.expectSound()
    try setting.engine.close()
    let again = try Engine(url: setting.home.url)
    try again.expectSound()
    try again.close()
  }

  @Test(arguments: [false, true]) func `a price of a failed registration is not quoted`(_ isExclusive: Bool) throws {
    let setting = try setting(isExclusive: isExclusive)
    let (operation, input) = Self.calls[5]
    for fuse in 0..<4 {
      setting.store.light(fuse)
      _ = status { _ = try setting.engine.call(operation, input) }
      setting.store.fuse = nil
      guard setting.store.hasFailed else { break }
      let arena = TextArena()
      let tool = arena.add("t")
      let quoted = status { _ = try setting.engine.quote(tool: tool, usage: .oneRequest) { _ in } }
      #expect(quoted == .toolNotFound, "fuse \(fuse)")
    }
  }

  @Test(arguments: [0, 2, 4, 6, 9, 12]) func `a seal that fails is done at the next call`(_ fuse: Int) throws {
    let home = try TestHome(inFile: true)
    let store = try FaultyStore(in: home)
    var options = EngineOptions()
    options.durability = .normal
    options.keyMemoryBytes = 1 << 20
    let engine = try Engine(store: store, options: options)
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    _ = try engine.call("hold.reserve", ["payer": "user:ana", "amount": "3", "idempotency_key": "held"])
    let arena = TextArena()
    let payer = arena.add("user:ana")
    _ = try engine.chargeMany(count: 8_192) { _ in
      (.empty, .empty)
    } request: { _ throws(Failure) in
      var request = ChargeRequest()
      request.payer = payer
      request.amount = 1
      return request
    } result: { _, _ in
    }
    store.light(fuse)
    #expect(status { _ = try engine.tick() } != .ok)
    #expect(store.hasFailed)
    store.fuse = nil
    let again = try engine.call("hold.reserve", ["payer": "user:ana", "amount": "3", "idempotency_key": "held"])
    #expect(again.object?["replayed"] == true)
    let info = try engine.call("ledger.info").object
    #expect(try #require(info?["sealed_records"]?.int64) > 8_192)
    #expect(try engine.call("balance.get", ["account": "user:ana"]).object?["balance"] == "99.999991808")
    try engine.expectSound()
  }

  @Test func `a store that fails inside of a decision ends the turn`() throws {
    let setting = try setting(isExclusive: false)
    let charge = try setting.engine.call(
      "charge.create", ["payer": "user:ana", "amount": "1", "idempotency_key": "k"])
    _ = try setting.engine.call("hold.reserve", ["payer": "user:ana", "amount": "1", "expires_in_ms": 1_000])
    setting.clock.advance(1_000_000)
    // The hold is due, so the turn has something to commit although its one request is a repeat.
    let before = try Self.segments(setting.store)
    var failures = 0
    for fuse in 0..<100 {
      setting.store.light(fuse)
      let result = status {
        _ = try setting.engine.call("charge.create", ["payer": "user:ana", "amount": "1", "idempotency_key": "k"])
      }
      setting.store.fuse = nil
      guard setting.store.hasFailed else { break }
      failures += 1
      #expect(result != .ok, "fuse \(fuse)")
      #expect(try Self.segments(setting.store) == before, "fuse \(fuse)")
    }
    #expect(failures >= 5)
    #expect(try Self.segments(setting.store) > before)
    #expect(try setting.engine.call("transfer.get", ["id": charge.object?["id"] ?? .null]).object?["amount"] == "1.00")
    try setting.engine.expectSound()
  }

  @Test func `what a relaxed turn could not begin to write is not written later`() throws {
    let folder = try TemporaryFolder()
    let sqlite = try SQLiteStore(
      path: folder.file(), exclusive: true, mustExist: false, busyTimeoutMilliseconds: 100)
    let store = FaultyStore(sqlite)
    let clock = ManualClock()
    var options = EngineOptions()
    options.isExclusive = true
    options.durability = .relaxed
    options.relaxedRecords = 2
    options.clock = { clock.now }
    let engine = try Engine(store: store, options: options)
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "10"])
    _ = try engine.tick()
    for fuse in 0..<4 {
      _ = try engine.call("charge.create", ["payer": "user:ana", "amount": "1"])
      store.light(fuse)
      #expect(status { _ = try engine.call("charge.create", ["payer": "user:ana", "amount": "2"]) } != .ok)
      store.fuse = nil
      #expect(store.hasFailed)
      // As documented, what was waiting is lost with it.
      #expect(try engine.call("balance.get", ["account": "user:ana"]).object?["balance"] == "10.00", "fuse \(fuse)")
    }
    try engine.expectSound()
    try engine.close()
  }

  @Test func `an expiry whose commit fails happens at the next call`() throws {
    let setting = try setting(isExclusive: true)
    let hold = try setting.engine.call(
      "hold.reserve", ["payer": "user:ana", "amount": "1", "expires_in_ms": 1_000])
    let number = try #require(hold.object?["hold"])
    setting.clock.advance(1_000_000)
    for fuse in 0..<3 {
      setting.store.light(fuse)
      _ = status { _ = try setting.engine.tick() }
      setting.store.fuse = nil
    }
    #expect(status { _ = try setting.engine.call("hold.capture", ["hold": number]) } == .holdExpired)
    #expect(try setting.engine.call("balance.get", ["account": "user:ana"]).object?["available"] == "100.00")
    try setting.engine.expectSound()
  }

  @Test func `an engine does not open on a store that fails, at any point`() throws {
    for fuse in 0..<100 {
      let store = try FaultyStore(in: TestHome(inFile: false))
      store.light(fuse)
      let result = status { _ = try Engine(store: store, options: EngineOptions()) }
      guard store.hasFailed else {
        #expect(result == .ok)
        return
      }
      #expect(result != .ok, "fuse \(fuse)")
    }
    Issue.record("Opening never ended.")
  }

  @Test func `a store that was closed says so, though its log is gone`() throws {
    let home = try TestHome(inFile: true)
    let engine = try Engine(store: home.openStore(), options: EngineOptions())
    try engine.close()
    let store = try home.openStore()
    store.close()
    #expect(status { try store.begin(from: 0) } == .closed)
    #expect(status { try store.beginRead(from: 0) } == .closed)
  }

  @Test(.enabled(if: TestStore.chosen != .postgresql))
  func `an engine that cannot trust its store does not tell what it has in memory either`() throws {
    let folder = try TemporaryFolder()
    var options = EngineOptions()
    options.isExclusive = true
    let engine = try Engine(url: folder.url(), options: options)
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    try #require(unsafe rename(folder.file(), folder.file("elsewhere")) == 0)
    #expect(status { _ = try engine.call("account.open", ["account": "user:bob"]) } == .storeUntrusted)
    let arena = TextArena()
    #expect(status { _ = try engine.balance(of: arena.add("user:ana")) } == .storeUntrusted)
    #expect(status { _ = try engine.call("balance.get", ["account": "user:ana"]) } == .storeUntrusted)
    #expect(status { try engine.close() } == .storeUntrusted)
  }

  @Test func `a store that somebody else holds is busy`() throws {
    let home = try TestHome(inFile: true)
    var options = EngineOptions()
    options.busyTimeoutMilliseconds = 1
    let engine = try Engine(url: home.url, options: options)
    let other = try home.openStore()
    try other.begin(from: 0)
    #expect(status { _ = try engine.call("account.open", ["account": "user:ana"]) } == .storeBusy)
    #expect(status { _ = try Engine(url: home.url, options: options) } == .storeBusy)
    other.rollback()
    _ = try engine.call("account.open", ["account": "user:ana"])
    try engine.expectSound()
    other.close()
    try engine.close()
  }
}
