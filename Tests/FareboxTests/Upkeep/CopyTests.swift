import Farebox
import FareboxCore
import FareboxReference
import FareboxStore
import Synchronization
import Testing

@testable import Farebox

/// Copies of ledgers: backups, restores and moves, and what a copy is made of when something fails.
@Suite struct CopyTests {
  private let seed = SeededGenerator.seed()
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
  }

  private func options(_ clock: ManualClock, exclusive: Bool = false) -> EngineOptions {
    var options = EngineOptions()
    options.durability = .normal
    options.isExclusive = exclusive
    options.clock = { clock.now }
    return options
  }

  private func open(_ name: String, _ clock: ManualClock) throws -> Engine {
    var options = options(clock)
    options.mustExist = true
    return try Engine(url: folder.url(name), options: options)
  }

  /// Files of the folder but for those of the ledgers named.
  private func strays(_ names: String...) throws -> [String] {
    try FileBytes.names(in: folder.path).filter { name in
      !names.contains { name == $0 || name == "\($0)-wal" || name == "\($0)-shm" }
    }
  }

  private func rows(ofFile name: String) throws -> [String: [UInt8]] {
    let store = try SQLiteStore(
      path: folder.file(name), exclusive: false, mustExist: true, busyTimeoutMilliseconds: 0)
    defer { store.close() }
    return try Projections.rows(of: store, but: .budgets)
  }

  @Test(arguments: ["file", "exclusive file", "memory"], [nil, 5])
  func `a backup is the same ledger`(_ kind: String, _ sealEvery: Int?) throws {
    let clock = ManualClock()
    let engine = try Engine(
      url: kind == "memory" ? "memory:" : folder.url("a"), options: options(clock, exclusive: kind != "file"))
    let busy = try BusyLedger(engine, clock, seed: seed)
    // With a seal after every five, runs of keys are merged into the third level.
    try busy.work(400, sealEvery: sealEvery)
    let times = (0...8).map { ManualClock.start + (clock.now - ManualClock.start) * Int64($0) / 8 }
    let facts = try LedgerFacts.of(engine, times: times)
    let report = try engine.call("ledger.backup", ["to": .string(folder.url("b"))])
    #expect(report.object?["verified"] == true)
    for field in ["hash", "records", "segments"] {
      #expect(report.object?[field] == facts.object?[field], "\(field), seed \(seed)")
    }
    expectEqual(try LedgerFacts.of(engine, times: times), facts, "seed \(seed)")
    try engine.close()
    #expect(try strays("a", "b") == [])
    if kind != "memory" {
      // A question may have moved a budget to its next window, which the journal need not know; the facts compare them.
      let mine = try rows(ofFile: "a")
      let copied = try rows(ofFile: "b")
      #expect(Set(mine.keys) == Set(copied.keys), "seed \(seed)")
      for (key, row) in mine { #expect(copied[key] == row, "\(key), seed \(seed)") }
    }

    let copy = try open("b", clock)
    expectEqual(try LedgerFacts.of(copy, times: times), facts, "seed \(seed)")
    try busy.expectReplays(on: copy)
    try copy.expectSound("seed \(seed)")
    // It goes on as the first one would have.
    for number in 0..<20 {
      _ = try copy.call(
        "charge.create", ["payer": "user:ben", "amount": "0.01", "idempotency_key": .string("later-\(number)")])
    }
    try copy.sealNow()
    try copy.expectSound("seed \(seed)")
    try copy.close()
  }

  @Test func `a restored ledger is the backup, byte by byte of its journal`() throws {
    let clock = ManualClock()
    let engine = try Engine(url: folder.url("a"), options: options(clock))
    let busy = try BusyLedger(engine, clock, seed: seed)
    try busy.work(100, sealEvery: 9)
    _ = try engine.call("ledger.backup", ["to": .string(folder.url("b"))])
    try busy.work(50)
    try engine.close()
    let other = try Engine(url: "memory:", options: options(clock))
    let backup = try FileBytes.read(folder.file("b"))
    _ = try other.call("ledger.copy", ["from": .string(folder.url("b")), "to": .string(folder.url("c"))])
    #expect(try FileBytes.read(folder.file("b")) == backup, "Reading a backup must not change it.")
    #expect(try journal("c") == journal("b"))
    #expect(try journal("a").starts(with: journal("b")))
    #expect(try strays("a", "b", "c") == [])
    try other.close()
  }

  private func journal(_ name: String) throws -> [[UInt8]] {
    let store = try SQLiteStore(
      path: folder.file(name), exclusive: false, mustExist: true, busyTimeoutMilliseconds: 0)
    defer { store.close() }
    var rows: [[UInt8]] = []
    try unsafe store.visitSegments(from: 0) { _, row throws(Failure) in
      rows.append(unsafe [UInt8](row))
      return true
    }
    return rows
  }

  @Test func `callers go on while a backup is made`() throws {
    let clock = ManualClock()
    let engine = try Engine(url: folder.url("a"), options: options(clock))
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "1000000"])
    let inputs: [JSON] = (0..<4_000).map { number in
      ["payer": "user:ana", "amount": "0.01", "idempotency_key": .string("old-\(number)")]
    }
    _ = try engine.call("charge.create_many", ["charges": .array(inputs)])
    let isOver = Atomic(false)
    let charges = Atomic(0)
    let failures = Atomic(0)
    let threads = (0..<3).map { thread in
      Worker {
        while !isOver.load(ordering: .relaxed) {
          let number = charges.add(1, ordering: .relaxed).newValue
          let answer = status {
            _ = try engine.call(
              "charge.create",
              ["payer": "user:ana", "amount": "0.01", "idempotency_key": .string("new-\(thread)-\(number)")])
          }
          if answer != .ok { failures.add(1, ordering: .relaxed) }
        }
      }
    }
    for number in 0..<5 {
      let before = try engine.call("ledger.info").object?["records"]?.int64 ?? 0
      let name = "b\(number)"
      let report = try engine.call("ledger.backup", ["to": .string(folder.url(name))])
      #expect(report.object?["records"]?.int64 ?? 0 >= before)
      let verdict = try engine.call("ledger.verify")
      #expect(verdict.object?["valid"] == true)
    }
    isOver.store(true, ordering: .relaxed)
    for thread in threads { thread.join() }
    #expect(failures.load(ordering: .relaxed) == 0 && charges.load(ordering: .relaxed) > 0)
    try engine.expectSound()
    let mine = try journal("a")
    for number in 0..<5 { #expect(try mine.starts(with: journal("b\(number)"))) }
    try engine.close()
  }

  @Test func `a copy is made only where nothing is`() throws {
    let clock = ManualClock()
    let engine = try Engine(url: folder.url("a"), options: options(clock))
    try FileBytes.write([], folder.file("empty"))
    try FileBytes.write([1], folder.file("logged-wal"))
    func backup(_ url: String) -> Status { status { _ = try engine.call("ledger.backup", ["to": .string(url)]) } }
    #expect(backup(folder.url("a")) == .storeExists)
    #expect(backup(folder.url("empty")) == .storeExists)
    #expect(backup(folder.url("logged")) == .storeExists)
    #expect(backup("sqlite:\(folder.path)") == .storeExists)
    #expect(backup("sqlite:\(folder.path)/none/b") == .invalidArgument)
    #expect(backup("sqlite:") == .invalidArgument)
    #expect(backup("memory:") == .invalidArgument)
    #expect(backup("host=b") == .invalidArgument)
    let missing = status {
      _ = try engine.call("ledger.copy", ["from": .string(folder.url("none")), "to": .string(folder.url("b"))])
    }
    #expect(missing == .storeNotFound)
    #expect(try strays("a", "empty", "logged") == [])
    try engine.close()
  }

  @Test func `a damaged journal is not copied`() throws {
    let clock = ManualClock()
    let store = FaultyStore(
      try SQLiteStore(path: nil, exclusive: true, mustExist: false, busyTimeoutMilliseconds: 0))
    let engine = try Engine(store: store, options: options(clock, exclusive: true))
    let busy = try BusyLedger(engine, clock, seed: seed)
    try busy.work(60, sealEvery: 20)
    var names: [UInt64] = []
    try unsafe store.visitSegments(from: 1) { name, _ throws(Failure) in
      names.append(name)
      return true
    }
    let target = names[names.count / 2]
    for place in [0, 20, 40, 70, 96, 130] {
      store.damage = { name, bytes in
        if name == target && place < bytes.count { bytes[place] ^= 1 }
      }
      let answer = status { _ = try engine.call("ledger.backup", ["to": .string(folder.url("b"))]) }
      #expect([.storeCorrupt, .storeNewer].contains(answer), "byte \(place)")
      #expect(try strays() == [])
    }
    store.damage = nil
    _ = try engine.call("ledger.backup", ["to": .string(folder.url("b"))])
    try engine.close()
  }

  @Test func `wherever a copy fails, nothing can be opened there, and the next try completes it`() throws {
    let clock = ManualClock()
    let engine = try Engine(url: "memory:", options: options(clock))
    let busy = try BusyLedger(engine, clock, seed: seed)
    try busy.work(40, sealEvery: 10)
    let facts = try LedgerFacts.of(engine, times: [clock.now])
    // The number of calls that a whole copy makes is not known, so the last try is the one that does not fail.
    let step = SeededGenerator.factor > 1 ? 1 : 17
    var fuse = 0
    var isWhole = false
    while !isWhole {
      let home = try TestHome(inFile: false)
      let bare = try home.openStore()
      let store = FaultyStore(bare)
      store.light(fuse)
      let answer = status { _ = try LedgerCopy.write(engine.journalSource(), into: store, keyMemoryBytes: 0) }
      isWhole = !store.hasFailed
      store.fuse = nil
      #expect((answer == .ok) == isWhole)
      if !isWhole, try bare.meta(LedgerCopy.tokenName) != nil {
        var ledger = Ledger(keyMemoryBytes: 0)
        let opened = status { _ = try ledger.identify(in: store) { 1 } }
        #expect(opened == .storeUnfinished, "after \(fuse) calls")
      }
      if !isWhole { _ = try LedgerCopy.write(engine.journalSource(), into: store, keyMemoryBytes: 0) }
      let copy = try Engine(store: store, options: options(clock, exclusive: store.isExclusive))
      expectEqual(try LedgerFacts.of(copy, times: [clock.now]), facts, "after \(fuse) calls")
      try copy.close()
      fuse += step
    }
    try engine.close()
  }

  /// Moves a ledger through stores of both kinds, and expects the same ledger in each.
  @Test(.enabled(if: TestStore.chosen == .postgresql), arguments: [nil, 5])
  func `a ledger moves to a server and back`(_ sealEvery: Int?) throws {
    let clock = ManualClock()
    let engine = try Engine(url: folder.url("a"), options: options(clock))
    let busy = try BusyLedger(engine, clock, seed: seed)
    try busy.work(300, sealEvery: sealEvery)
    let times = [ManualClock.start + 1, (ManualClock.start + clock.now) / 2, clock.now]
    let facts = try LedgerFacts.of(engine, times: times)
    let (server, second) = (try TestHome(inFile: true), try TestHome(inFile: true))
    _ = try engine.call("ledger.backup", ["to": .string(server.url)])
    #expect(status { _ = try engine.call("ledger.backup", ["to": .string(server.url)]) } == .storeExists)
    _ = try engine.call("ledger.copy", ["from": .string(server.url), "to": .string(second.url)])
    _ = try engine.call("ledger.copy", ["from": .string(second.url), "to": .string(folder.url("b"))])
    try engine.close()
    for url in [server.url, second.url, folder.url("b")] {
      let copy = try Engine(url: url, options: options(clock))
      expectEqual(try LedgerFacts.of(copy, times: times), facts, "\(url), seed \(seed)")
      try busy.expectReplays(on: copy)
      try copy.expectSound("\(url), seed \(seed)")
      try copy.close()
    }
    #expect(try journal("b") == journal("a"))
    let copied = try rows(ofFile: "b")
    for (key, row) in try rows(ofFile: "a") { #expect(copied[key] == row, "\(key), seed \(seed)") }
    let store = try server.openStore()
    let there = try Projections.rows(of: store, but: .budgets)
    for (key, row) in copied { #expect(there[key] == row, "\(key), seed \(seed)") }
    store.close()
    #expect(try strays("a", "b") == [])
  }
}
