import FareboxCore
import FareboxReference
import FareboxStore
import Testing

@testable import Farebox

/// Idempotency keys in memory and in sealed runs, against a dictionary.
@Suite struct KeyTests {
  private func store() throws -> any Store {
    try FaultyStore(in: TestHome(inFile: false))
  }

  private func hash(_ high: UInt64, _ low: UInt64) -> KeyHash {
    KeyHash(high: high, low: low | 1 << 63)
  }

  @Test func `an entry keeps 88 bits of the hash and 40 of the record`() {
    let entry = KeyEntry(hash(7, .max), record: KeyEntry.recordMask)
    #expect(entry.record == KeyEntry.recordMask && entry.high == 7)
    #expect(entry.matches(hash(7, .max)) && entry.matches(hash(7, .max ^ 1)))
    #expect(!entry.matches(hash(7, .max ^ 1 << 40)) && !entry.matches(hash(6, .max)))
  }

  @Test func `a table finds what a dictionary finds, and drains it sorted`() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    // Random keys, keys that crowd one place, and keys at both ends.
    for shift: UInt64 in [0, 40, 52, 63] {
      var table = KeyTable()
      var known: [UInt64: UInt64] = [:]
      for record in 1...1_500 as ClosedRange<UInt64> {
        let base: UInt64 = generator.chance(50) ? .max << (64 - min(shift, 63)) : 0
        let high = shift == 0 ? generator.next() : base | generator.next() >> shift
        guard known[high] == nil else { continue }
        known[high] = record
        table.insert(hash(high, high << 40), record: record)
        if generator.chance(1) {
          for (high, record) in known { #expect(table.find(hash(high, high << 40)) == record, "seed \(seed)") }
        }
      }
      #expect(table.count == known.count)
      let sorted = table.drainSorted()
      #expect(sorted.map(\.high) == known.keys.sorted(), "seed \(seed)")
      #expect(sorted.allSatisfy { known[$0.high] == $0.record }, "seed \(seed)")
      #expect(table.count == 0)
    }
  }

  @Test func `equal upper halves are told apart by the rest`() {
    var table = KeyTable()
    for record in 1...3_000 as ClosedRange<UInt64> { table.insert(hash(.max, record << 40), record: record) }
    for record in 1...3_000 as ClosedRange<UInt64> { #expect(table.find(hash(.max, record << 40)) == record) }
    #expect(table.find(hash(.max, 3_001 << 40)) == nil)
    #expect(table.find(hash(.max - 1, 1 << 40)) == nil)
    #expect(table.drainSorted().count == 3_000)
  }

  @Test(arguments: [1, 4, 10, 14]) func `a filter never denies a key, and seldom another`(_ bits: Int) {
    var generator = SeededGenerator(seed: 9)
    let filter = KeyFilter(keys: 5_000, bitsPerKey: bits)
    let keys = (0..<5_000).map { _ in generator.next() }
    for key in keys { filter.insert(key) }
    #expect(keys.allSatisfy { filter.mayContain($0) })
    let copy = KeyFilter(words: filter.words)
    #expect(keys.allSatisfy { copy.mayContain($0) })
    let wrong = (0..<10_000).count { _ in filter.mayContain(generator.next()) }
    if bits >= 10 { #expect(wrong < 400) }
    for edge in [0, UInt64.max] { _ = filter.mayContain(edge) }
  }

  @Test func `more keys than the table has places for are kept all the same`() {
    var table = KeyTable()
    // A crafted ledger could have any number of keys with equal leading bits.
    for record in 1...UInt64(6_000) { table.insert(hash(.max, record << 41), record: record) }
    for record in 1...UInt64(6_000) { #expect(table.find(hash(.max, record << 41)) == record) }
    #expect(table.find(hash(.max, 6_001 << 41)) == nil)
    #expect(table.drainSorted().count == 6_000)
    #expect(table.find(hash(.max, 1 << 41)) == nil)
  }

  @Test(arguments: [1, KeyRun.entriesInPage - 1, KeyRun.entriesInPage, KeyRun.entriesInPage + 1, 2_000])
  func `a run finds each of its keys after it is read back`(_ count: Int) throws {
    let store = try store()
    var generator = SeededGenerator(seed: UInt64(count))
    var table = KeyTable()
    var known: [(KeyHash, UInt64)] = []
    // The highest key of all, which a reader at its end also gives.
    table.insert(hash(.max, 1), record: 99_999)
    for record in 2...UInt64(max(count, 2)) where count > 1 {
      // Half of the keys share their upper half with others, so that equal ones straddle the pages' borders.
      let high = generator.chance(50) ? generator.next() : UInt64(generator.below(3)) << 62
      let key = hash(high, record << 40)
      known.append((key, record))
      table.insert(key, record: record)
    }
    let sorted = table.drainSorted()
    var writer = KeyRunWriter(id: 16, level: 1, filter: KeyFilter(keys: count, bitsPerKey: 10))
    for entry in sorted { try writer.append(entry, to: store) }
    let run = try writer.finish(in: store)
    let again = try KeyRun(id: 16, level: 1, count: count, from: store)
    #expect(run.count == count && again.fences == run.fences && again.filter?.words == run.filter?.words)
    for (key, record) in known { #expect(try again.find(key, in: store) == record) }
    for record in 1...UInt64(100) {
      #expect(try again.find(hash(record << 62, (record + 100_000) << 40), in: store) == nil)
    }
    var reader = try KeyRunReader(again, store)
    var read: [UInt64] = []
    while !reader.isAtEnd {
      read.append(reader.high)
      try reader.advance(store)
    }
    #expect(read == sorted.map(\.high))
    try store.deleteRows(.keyFilters, major: 16)
    #expect(status { _ = try KeyRun(id: 16, level: 1, count: count, from: store) } == .storeCorrupt)
    store.close()
  }

  @Test func `an index finds what a dictionary finds, through seals and merges of levels`() throws {
    let store = try store()
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    var index = KeyIndex(memoryBytes: 0)
    var known: [UInt64: UInt64] = [:]
    var summaries: [KeyRunSummary] = []
    var record: UInt64 = 0
    // 77 seals make runs of three levels: eight of one become one of the next.
    for seal in 1...77 {
      for _ in 0...generator.below(60) {
        record += 1
        let high = generator.chance(30) ? UInt64(generator.below(4)) << 62 | record : generator.next()
        known[high] = record
        index.insert(hash(high, high << 40), record: record)
      }
      summaries = try index.seal(in: store)
      #expect(index.recent.count == 0 && index.sealedCount == known.count, "seed \(seed)")
      if seal % 9 == 0 {
        index = KeyIndex(memoryBytes: 0)
        try index.load(summaries, from: store)
      }
      if seal % 10 == 0 {
        for (high, record) in known {
          #expect(try index.find(hash(high, high << 40), in: store) == record, "seed \(seed)")
        }
        for _ in 0..<50 { #expect(try index.find(hash(generator.next(), 0), in: store) == nil, "seed \(seed)") }
      }
    }
    #expect(Set(summaries.map(\.level)) == [0, 1, 2])
    #expect(summaries.count < 24)
    store.close()
  }

  @Test func `runs of many pages lose nothing where they are merged`() throws {
    let store = try store()
    var generator = SeededGenerator(seed: 11)
    var index = KeyIndex(memoryBytes: 0)
    var known: [UInt64: UInt64] = [:]
    // More than a page each, and one with more pages than a reader asks for at once.
    for count in [17_000, 600, 1_100, 505, 506, 1_010, 700, 1_500] {
      for _ in 0..<count {
        let high = generator.next()
        let record = UInt64(known.count) + 1
        known[high] = record
        index.insert(hash(high, 0), record: record)
      }
      _ = try index.seal(in: store)
    }
    let merged = try #require(index.runs.first)
    #expect(index.runs.count == 1 && merged.level == 1 && index.sealedCount == known.count)
    var reader = try KeyRunReader(merged, store)
    var found: [UInt64: UInt64] = [:]
    while !reader.isAtEnd {
      found[reader.high] = reader.current.record
      try reader.advance(store)
    }
    // Not within the macro, which would print both.
    let isSame = found == known
    #expect(isSame)
    for (high, record) in known where record % 16 == 0 {
      #expect(try index.find(hash(high, 0), in: store) == record)
    }
    store.close()
  }

  @Test func `the memory of an index stays within its bound`() {
    let index = KeyIndex(memoryBytes: 1 << 20)
    #expect(index.memoryBytes == 1 << 20 && index.sealThreshold == 8_192)
    #expect(KeyIndex(memoryBytes: 0).memoryBytes == 1 << 20)
    #expect(KeyIndex(memoryBytes: 64 << 20).sealThreshold == 524_288)
  }
}
