import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// Relaxed records, which are in memory first and in the file later.
@Suite struct DurabilityTests {
  private func relaxed(_ change: (inout EngineOptions) -> Void = { _ in }) throws -> TestLedger {
    try TestLedger(inFile: true) { options in
      options.isExclusive = true
      options.durability = .relaxed
      options.relaxedMilliseconds = 1_000_000
      change(&options)
    }
  }

  @Test(.enabled(if: TestStore.canBeExclusive))
  func `relaxed charges are in the file after closing`() throws {
    let ledger = try relaxed()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 10                     -> OK uncommitted=true
      charge user:ana 4                       -> OK uncommitted=true
      reopen
      balance user:ana                        -> OK balance=6.00
      """)
    try ledger.engine.expectSound()
  }

  @Test(.enabled(if: TestStore.canBeExclusive))
  func `a tick commits what is relaxed`() throws {
    let ledger = try relaxed()
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "10"])
    let report = try ledger.engine.tick()
    #expect(report.committed == 2)
    #expect(try ledger.engine.tick().committed == 0)
    _ = try ledger.engine.call("charge.create", ["payer": "user:ana", "amount": "1"])
    try ledger.reopen()
    #expect(try ledger.engine.call("balance.get", ["account": "user:ana"]).object?["balance"] == "9.00")
    try ledger.engine.expectSound()
  }

  @Test(.enabled(if: TestStore.canBeExclusive))
  func `a full charge commits the relaxed ones before it`() throws {
    let ledger = try relaxed()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 10
      charge user:ana 1                                -> OK uncommitted=true
      charge user:ana 1 durability=full                -> OK uncommitted=false balance=8.00
      charge user:ana 9 durability=full                -> INSUFFICIENT_FUNDS
      charge user:ana 1                                -> OK
      charge user:ana 90 durability=full               -> INSUFFICIENT_FUNDS
      reopen
      balance user:ana                                 -> OK balance=7.00
      """)
    try ledger.engine.expectSound()
  }

  @Test(.enabled(if: TestStore.canBeExclusive))
  func `relaxed records wait for a number of them, or for a time`() throws {
    let ledger = try relaxed {
      $0.relaxedRecords = 5
      $0.relaxedMilliseconds = 50
    }
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 10                              -> OK uncommitted=true
      charge user:ana 1                                -> OK uncommitted=true
      charge user:ana 1                                -> OK uncommitted=true
      charge user:ana 1                                -> OK uncommitted=false
      charge user:ana 1                                -> OK uncommitted=true
      wait 49ms
      charge user:ana 1                                -> OK uncommitted=true
      wait 1ms
      charge user:ana 1                                -> OK uncommitted=false
      reopen
      balance user:ana                                 -> OK balance=4.00
      """)
    try ledger.engine.expectSound()
  }

  @Test func `only a process that is alone may be relaxed`() throws {
    #expect(status { _ = try TestLedger(inFile: true) { $0.durability = .relaxed } } == .invalidArgument)
    #expect(status { _ = try TestLedger(inFile: true) { $0.holdDurability = .relaxed } } == .invalidArgument)
    try play(
      inFile: true,
      """
      deposit user:ana 10
      charge user:ana 1 durability=relaxed             -> INVALID_ARGUMENT field=durability
      charge user:ana 1 durability=sometimes           -> INVALID_ARGUMENT field=durability
      charge user:ana 1 durability=full                -> OK
      """)
  }

  @Test func `a closed engine says so, twice`() throws {
    let ledger = try TestLedger()
    try ledger.engine.close()
    #expect(status { try ledger.engine.close() } == .closed)
    #expect(status { _ = try ledger.engine.call("ledger.info") } == .closed)
    #expect(status { _ = try ledger.engine.tick() } == .closed)
  }

  @Test func `the clock may not call the engine, and must be in its years`() throws {
    let ledger = try TestLedger()
    ledger.clock.now = Calendar.latest
    #expect(status { _ = try ledger.engine.tick() } == .invalidArgument)
    ledger.clock.now = Calendar.earliest
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "10"])
    // The journal's time does not go back with the clock.
    let info = try ledger.engine.call("ledger.info")
    #expect(info.object?["time"]?.int64 == ManualClock.start)
  }

  @Test func `addresses of ledgers`() throws {
    let schemas = ["", "9", "pg_x", "a b", "A", "a\";"].map { "postgresql://127.0.0.1:1/x?schema=\($0)" }
    for url in ["", "file", "sqlite:", "sqlite:a\u{0}b", "http://x", "postgresql://[", "postgresql://x?y=z"] + schemas {
      #expect(status { _ = try Engine(url: url) } == .invalidArgument, "\(url)")
    }
    #expect(status { _ = try Engine(url: "postgresql://127.0.0.1:1/x") } == .storeUnreachable)
    var alone = EngineOptions()
    alone.isExclusive = true
    #expect(status { _ = try Engine(url: "postgresql://127.0.0.1:1/x", options: alone) } == .unsupported)
    let folder = try TemporaryFolder()
    var options = EngineOptions()
    options.mustExist = true
    #expect(status { _ = try Engine(url: folder.url(), options: options) } == .storeNotFound)
  }
}
