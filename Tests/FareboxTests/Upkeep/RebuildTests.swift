import Farebox
import FareboxCore
import FareboxReference
import FareboxStore
import Testing

@testable import Farebox

/// Ledgers whose projections are damaged and whose journal is whole.
@Suite struct RebuildTests {
  private let seed = SeededGenerator.seed()
  private let home: TestHome
  private let copies: TemporaryFolder
  private let clock = ManualClock()

  init() throws {
    home = try TestHome(inFile: true)
    copies = try TemporaryFolder()
  }

  private var options: EngineOptions {
    var options = EngineOptions()
    options.durability = .normal
    let clock = clock
    options.clock = { clock.now }
    return options
  }

  private func withStore(_ body: (any Store) throws -> Void) throws {
    let store = try home.openStore()
    defer { store.close() }
    try store.begin(from: 0)
    try body(store)
    try store.commit()
  }

  private func keys(_ store: any Store, _ table: ProjectionTable) throws -> [RowKey] {
    var keys: [RowKey] = []
    try unsafe store.visitRows(table, major: 0 ... .max, descending: false) { key, _ throws(Failure) in
      keys.append(key)
      return true
    }
    return keys
  }

  private func rows() throws -> [String: [UInt8]] {
    let store = try home.openStore()
    defer { store.close() }
    return try Projections.rows(of: store)
  }

  @Test(arguments: ProjectionTable.allCases)
  func `what is damaged beside the journal is made anew`(_ table: ProjectionTable) throws {
    let engine = try Engine(url: home.url, options: options)
    let busy = try BusyLedger(engine, clock, seed: seed)
    try busy.work(260, sealEvery: 4)
    let times = [ManualClock.start + 1, (ManualClock.start + clock.now) / 2, clock.now]
    let facts = try LedgerFacts.of(engine, times: times)
    try engine.close()
    try withStore { store in
      // Half of the rows are lost, the others hold nonsense.
      let keys = try keys(store, table)
      try store.deleteAllRows(table)
      for key in keys where (key.major ^ key.minor) & 1 == 1 {
        _ = try putRow(store, table, key, ContiguousArray<UInt8>(repeating: 0xff, count: 24)[...])
      }
    }
    let helper = try Engine(url: "memory:", options: options)
    let report = try helper.call("ledger.rebuild", ["url": .string(home.url)])
    for field in ["hash", "records", "segments"] {
      #expect(report.object?[field] == facts.object?[field], "\(field), seed \(seed)")
    }
    let again = try Engine(url: home.url, options: options)
    expectEqual(try LedgerFacts.of(again, times: times), facts, "seed \(seed)")
    try busy.expectReplays(on: again)
    try again.expectSound("seed \(seed)")
    try again.close()
    // A copy does not read what is damaged, either.
    try withStore { store in try store.deleteAllRows(table) }
    _ = try helper.call("ledger.copy", ["from": .string(home.url), "to": .string(copies.url())])
    let copy = try Engine(url: copies.url(), options: options)
    expectEqual(try LedgerFacts.of(copy, times: times), facts, "seed \(seed)")
    try copy.close()
    try helper.close()
  }

  @Test func `a ledger that cannot be opened can be rebuilt`() throws {
    let engine = try Engine(url: home.url, options: options)
    try BusyLedger(engine, clock, seed: seed).work(60, sealEvery: 20)
    try engine.close()
    try withStore { store in try store.deleteAllRows(.definitions) }
    let refused = status { _ = try Engine(url: home.url, options: options) }
    #expect(refused == .storeCorrupt)
    let helper = try Engine(url: "memory:", options: options)
    _ = try helper.call("ledger.rebuild", ["url": .string(home.url)])
    let again = try Engine(url: home.url, options: options)
    try again.expectSound()
    try again.close()
    try helper.close()
  }

  @Test func `an engine that has the ledger open goes on after a rebuild`() throws {
    let engine = try Engine(url: home.url, options: options)
    let busy = try BusyLedger(engine, clock, seed: seed)
    try busy.work(200, sealEvery: 4)
    _ = try engine.call("ledger.rebuild", ["url": .string(home.url)])
    try busy.expectReplays(on: engine)
    // More seals and merges on top of the rows that were made anew.
    try busy.work(100, sealEvery: 4)
    try busy.expectReplays(on: engine)
    try engine.expectSound("seed \(seed)")
    try engine.close()
    let again = try Engine(url: home.url, options: options)
    try busy.expectReplays(on: again)
    try again.close()
  }

  @Test func `a rebuild of a damaged journal changes nothing`() throws {
    let engine = try Engine(url: home.url, options: options)
    try BusyLedger(engine, clock, seed: seed).work(60, sealEvery: 20)
    try engine.close()
    try withStore { store in
      let last = try #require(try store.lastSegment())
      try unsafe [UInt8](repeating: 7, count: 200).withUnsafeBytes { bytes in
        try unsafe store.appendSegment(first: last.first + 1_000, bytes)
      }
    }
    let before = try rows()
    let helper = try Engine(url: "memory:", options: options)
    let answer = status { _ = try helper.call("ledger.rebuild", ["url": .string(home.url)]) }
    #expect(answer == .storeCorrupt)
    #expect(try rows() == before)
    for url in ["memory:", copies.url("none")] {
      let answer = status { _ = try helper.call("ledger.rebuild", ["url": .string(url)]) }
      #expect(answer == (url == "memory:" ? .invalidArgument : .storeNotFound))
    }
    try helper.close()
  }

  @Test func `a seal that does not stand where a seal belongs is not rebuilt`() throws {
    let store = try SQLiteStore(path: nil, exclusive: true, mustExist: false, busyTimeoutMilliseconds: 0)
    var log = Log()
    var hash = Digest.zero
    for reference in [0, 7] as [UInt64] {
      log.removeAll()
      var record = Record(.seal, time: 1)
      record.reference = reference
      for _ in 0..<(reference == 0 ? 2 : 1) {
        log.beginRecord()
        log.append(record)
      }
      hash = .zero
      let outcome = status {
        unsafe try log.writeSegments(first: 1, writer: 1, previous: &hash) { first, row throws(Failure) in
          var ledger = Ledger(keyMemoryBytes: 0)
          try unsafe ledger.rebuild(first, row, in: store)
        }
      }
      #expect(outcome == .storeCorrupt)
    }
    store.close()
  }
}
