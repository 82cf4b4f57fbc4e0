import Farebox
import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// Random operations against the slow and obvious ledger: after every step both say the same.
@Suite struct LedgerPropertyTests {
  /// One engine on a file and its reference, driven by one seed.
  private struct Run {
    let ledger: TestLedger
    var generator: SeededGenerator
    var requests: RequestGenerator
    var world = ReferenceLedger()
    /// The engine's numbers of what serials name.
    var ids: [Int: Int64] = [:]

    init(seed: UInt64) throws {
      generator = SeededGenerator(seed: seed)
      requests = RequestGenerator(seed: generator.next())
      ledger = try TestLedger(inFile: true)
      world.pass(to: ledger.clock.now)
    }

    mutating func ask(_ asked: [Request]) throws {
      let answer: Result<JSON, Failure>
      do throws(Failure) {
        answer = .success(try ledger.engine.ask(asked, ids))
      } catch {
        answer = .failure(error)
      }
      let outcomes = world.decide(asked, at: ledger.clock.now)
      for (index, result) in Request.answers(answer, to: asked.count).enumerated() {
        try outcomes[index].check(result)
        if case .success(let json) = result, let receipt = json.object {
          ids[outcomes[index].serial] = asked[index].number(in: receipt)
        }
      }
    }

    mutating func step() throws {
      if generator.chance(30) { ledger.clock.advance(Int64(generator.below(20 * 60_000_000))) }
      if generator.chance(5) { ledger.clock.advance(Int64(generator.below(12)) * 3_600_000_000) }
      if generator.chance(3) { ledger.clock.advance(-Int64(generator.below(3_600_000_000))) }
      switch generator.below(100) {
      case 0:
        try ledger.engine.sealNow()
        _ = world.decide([], at: ledger.clock.now)
        world.forgetRuns()
        world.pass(to: ledger.clock.now)
      case 1:
        try ledger.reopen()
        _ = world.decide([], at: ledger.clock.now)
      default: try ask(requests.next(in: world, ids))
      }
    }

    /// Compares balances, and where it is to be thorough everything else.
    mutating func compare(isThorough: Bool) throws {
      _ = try ledger.engine.tick()
      _ = world.decide([], at: ledger.clock.now)
      if let found = try world.checkBalances(ledger.engine) { throw found }
      guard isThorough else { return }
      if let found = try world.checkBudgets(ledger.engine) { throw found }
      if let found = try world.checkHolds(ledger.engine) { throw found }
      if let found = try world.checkEvents(ledger.engine) { throw found }
      if let found = try ledger.engine.checkSoundness() { throw found }
    }

    mutating func play() throws {
      for request in requests.opening() { try ask([request]) }
      for _ in 0..<60 {
        try step()
        try compare(isThorough: false)
      }
      try compare(isThorough: true)
      try ledger.reopen()
      try compare(isThorough: true)
    }
  }

  @Test func `random operations agree with the reference ledger`() throws {
    let seed = SeededGenerator.seed()
    print("LedgerPropertyTests: FAREBOX_SEED=\(seed)")
    var seeds = SeededGenerator(seed: seed)
    for _ in 0..<40 * SeededGenerator.factor {
      var run = try Run(seed: seeds.next())
      do {
        try run.play()
      } catch {
        Issue.record("FAREBOX_SEED=\(seed): \(error)")
        return
      }
    }
  }

  @Test func `a long sequence with keys is the same after many seals and merges`() throws {
    let seed = SeededGenerator.seed()
    print("LedgerPropertyTests: FAREBOX_SEED=\(seed)")
    var generator = SeededGenerator(seed: seed)
    let ledger = try TestLedger(inFile: true) { $0.keyMemoryBytes = 1 << 20 }
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "1000"])
    var known: [String: Int64] = [:]
    var order = ["first"]
    var balance: Int64 = 1_000_000_000_000
    // Every batch passes the threshold of 8,192 records, so each but the first begins with a seal, and the eighth of
    // these merges all runs.
    for batch in 0..<9 * SeededGenerator.factor {
      let arena = TextArena()
      let payer = arena.add("user:ana")
      let keys = (0..<8_800).map { _ in
        generator.chance(5) ? generator.pick(order) : "key-\(generator.next())"
      }
      var wrong = 0
      _ = try ledger.engine.chargeMany(count: keys.count) { _ in
        (.empty, .empty)
      } request: { index throws(Failure) in
        var request = ChargeRequest()
        request.payer = payer
        request.amount = 1
        request.key = arena.add(keys[index])
        return request
      } result: { index, result in
        guard case .success(let receipt) = result else {
          wrong += 1
          return
        }
        let before = known[keys[index]]
        if receipt.isReplayed != (before != nil) { wrong += 1 }
        if before == nil {
          balance -= 1
          order.append(keys[index])
        }
        if receipt.balance != before ?? balance { wrong += 1 }
        known[keys[index]] = receipt.balance
      }
      #expect(wrong == 0, "seed \(seed), batch \(batch)")
      if batch % 3 == 2 { try ledger.reopen() }
    }
    _ = try ledger.engine.tick()
    let levels = ledger.engine.withLedger { $0.keys.runs.map(\.level) }
    #expect(levels.contains(1), "\(levels)")
    #expect(ledger.engine.withLedger { $0.keys.bytes } <= 1 << 20)
    try ledger.engine.expectSound("seed \(seed)")
  }
}
