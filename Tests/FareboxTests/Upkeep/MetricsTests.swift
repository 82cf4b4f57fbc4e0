import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// What an engine tells of itself.
@Suite struct MetricsTests {
  private func metrics(_ engine: Engine) throws -> JSONObject {
    try #require(try engine.call("engine.metrics").object)
  }

  private func number(_ metrics: JSONObject, _ path: String) throws -> Int64 {
    var value: JSON? = .object(metrics)
    for step in path.split(separator: ".") { value = value?.object?[String(step)] }
    return try #require(value?.int64, "\(path)")
  }

  @Test func `calls are counted by the family of their status, those of a batch each`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 10
      """)
    let before = try metrics(ledger.engine)
    try script.play(
      """
      charge user:ana 1 idempotency_key=a                -> OK
      charge user:ana 1 idempotency_key=a                -> OK replayed=true
      charge user:ana 2 idempotency_key=a                -> KEY_CONFLICT
      charge user:ana 100                                -> INSUFFICIENT_FUNDS
      charge user:nobody 1                               -> ACCOUNT_NOT_FOUND
      reserve user:ana 1 as hold
      release @hold
      release @hold                                      -> HOLD_RELEASED
      """)
    let charges: JSON = [
      ["payer": "user:ana", "amount": "1"], ["payer": "user:ana", "amount": "1000"],
      ["payer": "user:ana", "amount": "1", "idempotency_key": "a"], ["payer": "user:none", "amount": "1"],
    ]
    _ = try ledger.engine.call("charge.create_many", ["charges": charges])
    let after = try metrics(ledger.engine)
    let expected: [(String, Int64)] = [
      ("calls.ok", 6), ("calls.conflict", 1), ("calls.refused", 2), ("calls.state", 2), ("calls.hold", 1),
      ("calls.store", 0), ("calls.internal", 0), ("calls.request", 0), ("replays", 2), ("records", 4), ("retries", 0),
      ("reconnects", 0), ("ledger_records", 4), ("flushes", 0),
    ]
    for (path, count) in expected { #expect(try number(after, path) - number(before, path) == count, "\(path)") }
    #expect(try number(after, "commits") - number(before, "commits") == 4)
    #expect(try number(after, "commit.count") == number(after, "commits"))
    #expect(try number(after, "uptime_us") > number(before, "uptime_us"))
    #expect(try number(after, "queue_depth") == 0)
  }

  @Test func `a flush is counted where the disk was waited for`() throws {
    let ledger = try TestLedger(inFile: true)
    let before = try metrics(ledger.engine)
    for durability in ["normal", "full", "full"] {
      _ = try ledger.engine.call(
        "charge.create", ["payer": "external", "amount": "1", "durability": .string(durability)])
    }
    let after = try metrics(ledger.engine)
    #expect(try number(after, "flushes") - number(before, "flushes") == 2)
    #expect(try number(after, "commits") - number(before, "commits") == 3)
  }

  @Test func `seals, merges, holds and what is in memory are told`() throws {
    let ledger = try TestLedger { $0.keyMemoryBytes = 1 << 20 }
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 1000000
      reserve user:ana 1 expires_in_ms=1000
      reserve user:ana 1 expires_in_ms=900000
      """)
    #expect(try number(metrics(ledger.engine), "open_holds") == 2)
    ledger.clock.advance(2_000_000)
    // Ten seals, so that the first eight runs are merged.
    for round in 0..<10 {
      let charges: [JSON] = (0..<9_000).map { number in
        ["payer": "user:ana", "amount": "0.01", "idempotency_key": .string("\(round) \(number)")]
      }
      _ = try ledger.engine.call("charge.create_many", ["charges": .array(charges)])
    }
    _ = try ledger.engine.tick()
    let found = try metrics(ledger.engine)
    #expect(try number(found, "expired_holds") == 1 && number(found, "open_holds") == 1)
    #expect(try number(found, "seals") == 10 && number(found, "merges") == 1)
    #expect(try number(found, "seal_us") >= number(found, "merge_us"))
    #expect(try number(found, "merge_us") > 0)
    #expect(try number(found, "sealed_records") > 90_000)
    #expect(try number(found, "key_memory_bytes") > 0)
    #expect(try number(found, "calls.ok") >= 90_000)
  }

  @Test func `what a failed commit would have written is not counted`() throws {
    let store = try FaultyStore(in: TestHome(inFile: false))
    var options = EngineOptions()
    options.durability = .normal
    let engine = try Engine(store: store, options: options)
    let before = try metrics(engine)
    let input: JSON = ["account": "user:ana", "amount": "1"]
    var failures: Int64 = 0
    for fuse in 0..<8 {
      store.light(fuse)
      if status({ _ = try engine.call("account.deposit", input) }) != .ok { failures += 1 }
      store.fuse = nil
    }
    let after = try metrics(engine)
    #expect(failures > 2)
    #expect(try number(after, "calls.store") - number(before, "calls.store") == failures)
    let records = try number(after, "ledger_records") - number(before, "ledger_records")
    #expect(try number(after, "records") - number(before, "records") == records)
    try engine.close()
  }

  @Test func `turns of many threads are shared, and their queue is told`() throws {
    let ledger = try TestLedger(inFile: true) { $0.durability = .full }
    let engine = ledger.engine
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "1000"])
    let before = try metrics(engine)
    let workers = (0..<8).map { _ in
      Worker {
        for _ in 0..<50 { _ = try? engine.call("charge.create", ["payer": "user:ana", "amount": "0.01"]) }
      }
    }
    for worker in workers { worker.join() }
    let after = try metrics(engine)
    let turns = try number(after, "group_size.count") - number(before, "group_size.count")
    #expect(try number(after, "group_size.sum") - number(before, "group_size.sum") == 400)
    #expect(turns <= 400 && turns > 0)
    #expect(try number(after, "turn_wait.count") == number(after, "group_size.count"))
    #expect(try number(after, "turn_work.count") == number(after, "group_size.count"))
    // Opening the ledger committed outside of a turn.
    let worked = try number(after, "turn_work.sum_us") - number(before, "turn_work.sum_us")
    #expect(try worked >= number(after, "commit.sum_us") - number(before, "commit.sum_us"))
    #expect(try number(after, "queue_depth") == 0)
    #expect((1...8).contains(try number(after, "queue_depth_max")))
  }

  @Test func `a histogram tells what its buckets know`() throws {
    let histogram = Histogram()
    func told(_ name: String) throws -> Int64 { try number(histogram.json(unit: ""), name) }
    func number(_ json: JSON, _ name: String) throws -> Int64 { try #require(json.object?[name]?.int64) }
    #expect(try told("count") == 0 && told("p50") == 0 && told("p99") == 0 && told("max") == 0)
    #expect(histogram.json(unit: "").object?["buckets"]?.array?.isEmpty == true)
    for value in [0, 1, 2, 3, 4, 7, 8] { histogram.add(value) }
    #expect(try told("count") == 7 && told("sum") == 25 && told("max") == 8)
    // 0 | 1 | 2, 3 | 4 to 7 | 8 to 15
    #expect(histogram.json(unit: "").object?["buckets"] == [1, 1, 2, 2, 1])
    #expect(try told("p50") == 3 && told("p99") == 8)
    for _ in 0..<1_000 { histogram.add(100) }
    #expect(try told("p50") == 100 && told("p99") == 100)
    histogram.add(.max)
    histogram.add(-5)
    #expect(try told("max") == .max && told("count") == 1_009)
    for _ in 0..<100_000 { histogram.add(0) }
    #expect(try told("p50") == 0 && told("p99") == 0)
  }
}
