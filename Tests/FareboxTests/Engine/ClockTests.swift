import FareboxCore
import FareboxReference
import FareboxStore
import Testing

@testable import Farebox

/// A clock that is far ahead is refused, and the ledger's time stays where it is.
@Suite struct ClockTests {
  private static let day: Int64 = 86_400_000_000
  private static let year = 366 * day
  /// Noon of a day in 2611.
  private static let far = NaiveCalendar.microseconds(2611, 4, 1, 12)

  private func charge(_ engine: Engine, _ amount: JSON) throws {
    _ = try engine.call("charge.create", ["payer": "user:ana", "amount": amount])
  }

  private func time(_ engine: Engine) throws -> Int64? {
    try engine.call("ledger.info").object?["time"]?.int64
  }

  @Test func `one call by a clock far ahead moves nothing`() throws {
    let ledger = try TestLedger()
    let engine = ledger.engine
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    _ = try engine.call("budget.set", ["account": "user:ana", "window": "day", "amount": "2"])
    try charge(engine, "2")
    ledger.clock.now = Self.far
    let failure = #expect(throws: Failure.self) { try charge(engine, "1") }
    #expect(failure?.status == .clockAhead && failure?.field == "clock" && failure?.status.entry?.retryable == true)
    #expect(status { _ = try engine.tick() } == .clockAhead)
    #expect(status { _ = try engine.call("balance.get", ["account": "user:ana"]) } == .clockAhead)
    ledger.clock.now = ManualClock.start + Self.day
    try charge(engine, "2")
    #expect(try time(engine) == ManualClock.start + Self.day)
    try engine.expectSound()
  }

  @Test func `a ledger is not opened by a clock far ahead`() throws {
    let ledger = try TestLedger(inFile: true)
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    ledger.clock.now = Self.far
    // Closing is a turn too, and the ledger is closed all the same.
    #expect(status { try ledger.reopen() } == .clockAhead)
    #expect(status { _ = try ledger.another() } == .clockAhead)
    ledger.clock.now = ManualClock.start
    let engine = try ledger.another()
    #expect(try time(engine) == ManualClock.start)
    try engine.close()
  }

  @Test(arguments: [31, 92, 366, 731]) func `a test's clock may step by days, months and years`(_ days: Int64) throws {
    // Beyond the system's clock all the way.
    let ledger = try TestLedger(startingAt: NaiveCalendar.microseconds(2050, 1, 31, 12))
    for _ in 0..<12 {
      _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "1"])
      ledger.clock.advance(days * Self.day)
    }
    ledger.clock.advance(-days * Self.day)
    #expect(try time(ledger.engine) == ledger.clock.now)
    // Ticks write nothing, and yet have been at that time.
    for _ in 0..<4 {
      ledger.clock.advance(days * Self.day)
      _ = try ledger.engine.tick()
    }
    ledger.clock.advance(3 * Self.year)
    #expect(status { _ = try ledger.engine.tick() } == .clockAhead)
  }

  @Test func `a ledger of long ago goes on at the system's time`() throws {
    let folder = try TemporaryFolder()
    for given in [true, false] {
      let clock = ManualClock(NaiveCalendar.microseconds(2009, 1, 3, 18))
      var options = EngineOptions()
      options.clock = { clock.now }
      let first = try Engine(url: folder.url("\(given)"), options: options)
      _ = try first.call("account.deposit", ["account": "user:ana", "amount": "100"])
      try first.close()
      if given { clock.now = Engine.coarseSystemTime() } else { options.clock = nil }
      let engine = try Engine(url: folder.url("\(given)"), options: options)
      try charge(engine, "1")
      #expect(try time(engine).map { $0 > NaiveCalendar.microseconds(2026, 1, 1) } == true)
      try engine.close()
    }
  }

  @Test func `a clock that goes back is the ledger's`() throws {
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    ledger.clock.now = NaiveCalendar.microseconds(1970, 1, 1)
    try charge(ledger.engine, "1")
    #expect(try time(ledger.engine) == ManualClock.start)
  }

  @Test func `the rule of each clock`() {
    let made = ClockRule.made
    func answer(
      _ time: Int64, given: Bool = false, latest: Int64 = 0, server: Int64? = nil
    ) -> Status {
      status {
        try ClockRule(isGiven: given, latest: latest, server: server.map { ($0, 300_000_000) }).check(time)
      }
    }
    // The system's: from the ledger or the library twenty years, whatever the machine says.
    #expect(answer(made + 20 * Self.year) == .ok && answer(made + 20 * Self.year + 1) == .clockAhead)
    #expect(answer(made + 30 * Self.year, latest: made + 15 * Self.year) == .ok)
    #expect(answer(Self.far) == .clockAhead && answer(0) == .ok && answer(.min) == .ok)
    // Beside a server minutes.
    #expect(answer(made + 300_000_000, server: made) == .ok)
    #expect(answer(made + 300_000_001, server: made) == .clockAhead)
    #expect(answer(made - Self.year, server: made) == .ok)
    #expect(answer(made + Self.day, given: true, latest: made, server: made) == .ok)
    // A given one: what a new ledger begins with, then two years beyond both.
    let latest = NaiveCalendar.microseconds(2100, 1, 1)
    #expect(answer(Self.far, given: true) == .ok)
    #expect(answer(latest + 2 * Self.year, given: true, latest: latest) == .ok)
    #expect(answer(latest + 2 * Self.year + 1, given: true, latest: latest) == .clockAhead)
    // Nothing overflows.
    #expect(answer(.max, given: true, latest: .max, server: .max) == .ok)
    #expect(answer(.max, latest: 1, server: .min) == .clockAhead)
  }

  /// The others of a turn go on at their own time.
  @Test func `who shares a turn with a clock far ahead is not held up`() throws {
    let ledger = try TestLedger()
    let engine = ledger.engine
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    let group = TurnGroup(ticket(at: Self.far))
    let right = ticket(at: ManualClock.start + 1)
    _ = group.join(right)
    engine.run(group)
    #expect(group.tickets[0].failure?.status == .clockAhead)
    #expect(right.failure == nil)
    try charge(engine, "1")
    #expect(try time(engine) == ManualClock.start)
  }

  private func ticket(at time: Int64) -> TurnTicket {
    TurnTicket(isDurable: false, isRelaxed: false, isReading: false, isLast: false, now: time) { _, context in
      #expect(context.time < Self.far)
      return nil
    }
  }
}

/// An engine by the system's clock beside a server's.
@Suite(.enabled(if: TestStore.chosen == .postgresql)) struct ServerClockTests {
  @Test func `an engine minutes ahead of its server is refused`() throws {
    let behind = try FaultyStore(in: TestHome(inFile: false))
    let engine = try Engine(store: behind, options: EngineOptions())
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    behind.lag = 301_000_000
    let failure = #expect(throws: Failure.self) {
      try engine.call("account.deposit", ["account": "user:ana", "amount": "1"])
    }
    #expect(failure?.status == .clockAhead && failure?.message.contains("server's") == true)
    behind.lag = 280_000_000
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "1"])
    behind.lag = -3_600_000_000
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "1"])
    try engine.expectSound()
    try engine.close()
  }
}
