import Farebox
import FareboxCore
import FareboxStore
import Glibc
import Testing

@testable import Farebox

/// Ledgers that earlier versions have written, in `Tests/Corpus/ledgers`: each a file, its log where it has one, and
/// what was true of it, in JSON.
///
/// Every one of them is opened by every later version. `Scripts/add-to-corpus` adds those that this version writes;
/// what is there once is never written again.
struct Corpus {
  /// `Tests/Corpus/ledgers`.
  static let folder: String = {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/") + "/Corpus/ledgers"
  }()

  static var names: [String] {
    let files = (try? FileBytes.names(in: folder)) ?? []
    return files.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
  }

  /// Where new ledgers are to be written, or nil in a usual run of the tests.
  static let target: String? = unsafe getenv("FAREBOX_CORPUS").map { unsafe String(cString: $0) }

  /// What is kept of a ledger beside it.
  static func facts(_ busy: BusyLedger, _ engine: Engine, _ clock: ManualClock) throws -> JSON {
    let times = (0...4).map { ManualClock.start + (clock.now - ManualClock.start) * Int64($0) / 4 }
    return [
      "now": .int(clock.now), "times": .array(times.map { .int($0) }),
      "facts": try LedgerFacts.of(engine, times: times),
      "keyed": .array(
        busy.keyed.map { ["operation": .string($0.operation), "input": $0.input, "id": .int($0.id)] }),
      "webhooks": .array(busy.webhooks.map { .string($0) }),
    ]
  }
}

/// Writes the ledgers of the corpus.
@Suite(.enabled(if: Corpus.target != nil), .serialized) struct CorpusWriter {
  private func write(
    _ name: String, seed: UInt64, _ change: (inout EngineOptions) -> Void = { _ in },
    _ work: (BusyLedger, Engine) throws -> Void
  ) throws {
    let target = try #require(Corpus.target)
    let path = "\(target)/\(name).db"
    try #require(!FileBytes.exists(path), "What is in the corpus is never written again.")
    let clock = ManualClock()
    var options = EngineOptions()
    options.clock = { clock.now }
    change(&options)
    let engine = try Engine(url: "sqlite:\(path)", options: options)
    let busy = try BusyLedger(engine, clock, seed: seed)
    try work(busy, engine)
    let facts = try Corpus.facts(busy, engine, clock)
    try FileBytes.write(Array(facts.serialized().utf8) + [10], "\(target)/\(name).json")
    if name.hasSuffix("killed") {
      // What a process that is killed now leaves behind: the file and the log as they are.
      let (file, log) = (try FileBytes.read(path), try FileBytes.read(path + "-wal"))
      try engine.close()
      try FileBytes.write(file, path)
      try FileBytes.write(log, path + "-wal")
    } else {
      try engine.close()
    }
  }

  @Test func `a young ledger, closed`() throws {
    try write("schema-2-young", seed: 1) { busy, _ in try busy.work(30) }
  }

  @Test func `seals and merges of keys, open holds, budgets, limits, prices and assets`() throws {
    try write("schema-2-sealed", seed: 2) { busy, _ in
      try busy.work(220, sealEvery: 3)
      try busy.work(9)
    }
  }

  @Test func `killed, with a log`() throws {
    try write("schema-2-killed", seed: 3) { busy, _ in try busy.work(60, sealEvery: 25) }
  }

  @Test func `killed before the first copy of the log into the file`() throws {
    try write("schema-2-new-killed", seed: 4) { _, _ in }
  }

  @Test func `many records in a batch, so that a segment is full`() throws {
    try write("schema-2-batch", seed: 5) { busy, engine in
      let charges: [JSON] = (0..<1_100).map { number in
        ["payer": "user:ana", "amount": "0.001", "idempotency_key": .string("batch-\(number)")]
      }
      _ = try engine.call("charge.create_many", ["charges": .array(charges)])
      try busy.work(20, sealEvery: 10)
    }
  }
}

/// Opens a copy of every ledger of the corpus, and goes on with it.
@Suite struct CorpusTests {
  @Test func `the corpus is there`() {
    #expect(Corpus.names.count >= 10)
  }

  @Test(arguments: Corpus.names) func `a ledger of an earlier version is whole, and goes on`(_ name: String) throws {
    let folder = try TemporaryFolder()
    for suffix in ["", "-wal"] where FileBytes.exists("\(Corpus.folder)/\(name).db\(suffix)") {
      try FileBytes.write(FileBytes.read("\(Corpus.folder)/\(name).db\(suffix)"), folder.file() + suffix)
    }
    let text = String(decoding: try FileBytes.read("\(Corpus.folder)/\(name).json"), as: UTF8.self)
    let known = try #require(try JSON.parse(text).object)
    let clock = ManualClock(try #require(known["now"]?.int64))
    var options = EngineOptions()
    options.clock = { clock.now }
    options.mustExist = true
    let times = try #require(known["times"]?.array).compactMap(\.int64)
    let facts = try #require(known["facts"])

    let engine = try Engine(url: folder.url(), options: options)
    expectEqual(try LedgerFacts.of(engine, times: times), facts, "\(name)")
    try expectReplays(known, on: engine)
    try engine.expectSound("\(name)")

    // A backup of it is the same ledger, made by this version.
    _ = try engine.call("ledger.backup", ["to": .string(folder.url("copy"))])
    let copy = try Engine(url: folder.url("copy"), options: options)
    expectEqual(try LedgerFacts.of(copy, times: times), facts, "\(name)")
    try expectReplays(known, on: copy)
    try copy.close()

    // It goes on: new charges, a seal, holds that come due, and it is the same again when it is opened again.
    for number in 0..<30 {
      clock.advance(1_000_000)
      _ = try engine.call(
        "charge.create", ["payer": "user:ben", "amount": "0.01", "idempotency_key": .string("later-\(number)")])
    }
    try engine.sealNow()
    clock.advance(100 * 3_600_000_000)
    _ = try engine.tick()
    #expect(try engine.call("ledger.info").object?["open_holds"]?.int64 == 0)
    try engine.expectSound("\(name)")
    let later = try LedgerFacts.of(engine, times: times)
    try engine.close()
    let again = try Engine(url: folder.url(), options: options)
    expectEqual(try LedgerFacts.of(again, times: times), later, "\(name)")
    try expectReplays(known, on: again)
    try again.close()
  }

  private func expectReplays(_ known: JSONObject, on engine: Engine) throws {
    for request in try #require(known["keyed"]?.array) {
      let row = try #require(request.object)
      let again = try engine.call(try #require(row["operation"]?.string), try #require(row["input"]))
      #expect(again.object?["replayed"] == true && again.object?["id"] == row["id"], "\(request)")
    }
    for webhook in try #require(known["webhooks"]?.array) {
      let id = try #require(webhook.string)
      let answer = status {
        try id.withBorrowedText { id throws(Failure) in try engine.guardAgainstReplay(.stripe, id: id) }
      }
      #expect(answer == .webhookReplayed, "\(id)")
    }
  }
}
