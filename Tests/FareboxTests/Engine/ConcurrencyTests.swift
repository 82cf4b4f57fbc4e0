import Farebox
import FareboxCore
import Synchronization
import Testing

@testable import Farebox

/// Many threads, and several engines, on one ledger.
@Suite(.serialized) struct ConcurrencyTests {
  /// Runs `body` on threads of its own and waits for all.
  private func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let workers = (0..<count).map { index in Worker { body(index) } }
    for worker in workers { worker.join() }
  }

  @Test func `a budget for exactly N lets exactly N of sixteen threads' charges through`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(
      """
      deposit org:acme 1000
      open org:acme/agent:writer
      budget org:acme day 100
      """)
    let engine = ledger.engine
    let passed = Atomic(0)
    let refused = Atomic(0)
    let other = Atomic(0)
    onThreads(16) { thread in
      for number in 0..<20 {
        let charge: JSON = [
          "payer": .string(number % 2 == 0 ? "org:acme" : "org:acme/agent:writer"), "amount": "1",
          "idempotency_key": .string("\(thread)-\(number)"),
        ]
        switch status({ _ = try engine.call(thread % 2 == 0 ? "charge.create" : "hold.reserve", charge) }) {
        case .ok: passed.add(1, ordering: .relaxed)
        case .overBudget: refused.add(1, ordering: .relaxed)
        default: other.add(1, ordering: .relaxed)
        }
      }
    }
    #expect(passed.load(ordering: .relaxed) == 100)
    #expect(refused.load(ordering: .relaxed) == 220)
    #expect(other.load(ordering: .relaxed) == 0)
    try script.play("balance org:acme                 -> OK available=900.00")
    try engine.expectSound()
    try ledger.reopen()
    try script.play("balance org:acme                 -> OK available=900.00")
  }

  @Test func `every caller of a shared commit gets its own receipt`() throws {
    let ledger = try TestLedger(inFile: true)
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "1000"])
    let engine = ledger.engine
    let receipts = Mutex<[Int64: (amount: Int, thread: Int)]>([:])
    let wrong = Atomic(0)
    onThreads(16) { thread in
      for number in 0..<20 {
        // Every amount is another, so a receipt that was handed to the wrong caller shows.
        let units = thread * 100 + number + 1
        let amount = Amount.text(Int64(units), scale: 9, minorDigits: 2)
        let answer = try? engine.call(
          "charge.create",
          ["payer": "user:ana", "amount": .string(amount), "call": .string("\(thread)"), "durability": "full"])
        guard let receipt = answer?.object, let id = receipt["id"]?.int64, receipt["amount"]?.string == amount else {
          wrong.add(1, ordering: .relaxed)
          continue
        }
        let isNew = receipts.withLock { $0.updateValue((units, thread), forKey: id) == nil }
        if !isNew { wrong.add(1, ordering: .relaxed) }
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    let all = receipts.withLock { $0 }
    #expect(all.count == 320)
    for (id, charge) in all {
      let entry = try engine.call("transfer.get", ["id": .int(id)]).object
      #expect(entry?["call"] == .string("\(charge.thread)"))
      #expect(entry?["amount"]?.string == Amount.text(Int64(charge.amount), scale: 9, minorDigits: 2))
    }
    let metrics = try engine.call("engine.metrics").object
    let commits = try #require(metrics?["commits"]?.int64)
    #expect(commits < 322)
    try engine.expectSound()
  }

  @Test func `two engines on one file see each other's money, keys, budgets and holds`() throws {
    let ledger = try TestLedger(inFile: true)
    let first = ledger.engine
    let second = try ledger.another()
    func balance(_ engine: Engine) throws -> JSON? {
      try engine.call("balance.get", ["account": "user:ana"]).object?["available"]
    }
    _ = try first.call("account.deposit", ["account": "user:ana", "amount": "10"])
    #expect(try balance(second) == "10.00")
    let charge: JSON = ["payer": "user:ana", "amount": "1", "idempotency_key": "k"]
    let receipt = try second.call("charge.create", charge).object
    let again = try first.call("charge.create", charge).object
    #expect(again?["replayed"] == true && again?["id"] == receipt?["id"] && again?["balance"] == "9.00")
    #expect(try balance(first) == "9.00")
    _ = try first.call("budget.set", ["account": "user:ana", "window": "day", "amount": "5"])
    let hold = try #require(
      try second.call("hold.reserve", ["payer": "user:ana", "amount": "5"]).object?["hold"])
    #expect(status { _ = try first.call("charge.create", ["payer": "user:ana", "amount": "1"]) } == .overBudget)
    _ = try first.call("hold.capture", ["hold": hold, "amount": "2"])
    #expect(status { _ = try second.call("hold.release", ["hold": hold]) } == .holdCaptured)
    #expect(try balance(second) == "7.00")
    // What one seals, the other takes over; keys included.
    try first.sealNow()
    #expect(try second.call("charge.create", charge).object?["replayed"] == true)
    _ = try second.call("charge.create", ["payer": "user:ana", "amount": "1", "idempotency_key": "later"])
    try second.sealNow()
    #expect(
      try first.call("charge.create", ["payer": "user:ana", "amount": "1", "idempotency_key": "later"])
        .object?["replayed"] == true)
    try first.expectSound()
    try second.expectSound()
    try second.close()
  }

  @Test func `two engines and eight threads let exactly N through`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 1000
      count user:ana day 50
      """)
    let engines = [ledger.engine, try ledger.another()]
    let passed = Atomic(0)
    let other = Atomic(0)
    onThreads(8) { thread in
      for number in 0..<12 {
        // Each key is used by two threads of different engines, and must be charged once.
        let charge: JSON = [
          "payer": "user:ana", "amount": "1", "idempotency_key": .string("\(thread / 2)-\(number)"),
        ]
        let receipt = try? engines[thread % 2].call("charge.create", charge).object
        guard let receipt else {
          other.add(1, ordering: .relaxed)
          continue
        }
        if receipt["replayed"] == false { passed.add(1, ordering: .relaxed) }
      }
    }
    #expect(passed.load(ordering: .relaxed) == 48)
    #expect(other.load(ordering: .relaxed) == 0)
    try script.play("balance user:ana                 -> OK balance=952.00")
    for engine in engines { try engine.expectSound() }
    try engines[1].close()
  }
}
