import Farebox
import FareboxCore
import FareboxReference
import FareboxStore
import Testing

@testable import Farebox

/// What is written to the journal, read back, and damaged.
@Suite struct SegmentTests {
  /// A log of some records with fields.
  private func records(_ count: Int, _ generator: inout SeededGenerator) -> [(Record, [UInt8])] {
    (0..<count).map { _ in
      var record = Record(generator.pick(RecordKind.allCases), time: Int64(bitPattern: generator.next()))
      func word() -> UInt64 { generator.chance(40) ? 0 : generator.next() }
      record.flags = UInt8(truncatingIfNeeded: word())
      record.asset = UInt16(truncatingIfNeeded: word())
      record.account = UInt32(truncatingIfNeeded: word())
      record.amount = Int64(bitPattern: word())
      record.tool = UInt32(truncatingIfNeeded: word())
      record.beneficiary = UInt32(truncatingIfNeeded: word())
      record.price = UInt32(truncatingIfNeeded: word())
      record.detail = UInt32(truncatingIfNeeded: word())
      record.origin = UInt32(truncatingIfNeeded: word())
      record.reference = word()
      record.extra = Int64(bitPattern: word())
      record.remaining = Int64(bitPattern: word())
      record.balance = Int64(bitPattern: word())
      record.available = generator.chance(50) ? record.balance : Int64(bitPattern: word())
      return (record, (0..<generator.below(40)).map { _ in UInt8.random(in: 1...255, using: &generator) })
    }
  }

  private func same(_ left: Record, _ right: Record) -> Bool {
    left.kind == right.kind && left.flags == right.flags && left.asset == right.asset && left.account == right.account
      && left.time == right.time && left.amount == right.amount && left.tool == right.tool
      && left.beneficiary == right.beneficiary && left.price == right.price && left.detail == right.detail
      && left.origin == right.origin && left.reference == right.reference && left.extra == right.extra
      && left.remaining == right.remaining
      && left.balance == right.balance && left.available == right.available
  }

  /// The rows that a log of these records writes.
  private func rows(_ records: [(Record, [UInt8])]) throws -> [(first: UInt64, bytes: [UInt8])] {
    var log = Log()
    for (record, key) in records {
      log.beginRecord()
      unsafe key.withUnsafeBufferPointer { bytes in
        let text = unsafe BorrowedText(bytes.baseAddress, count: bytes.count)
        log.addField(.key, text)
        log.addField(.metadata, text)
      }
      log.append(record)
    }
    var rows: [(UInt64, [UInt8])] = []
    var hash = Digest.zero
    try unsafe log.writeSegments(first: 1, writer: 7, previous: &hash) { first, bytes throws(Failure) in
      rows.append((first, unsafe [UInt8](bytes)))
    }
    return rows
  }

  @Test(arguments: [1, 2, 1_023, 1_024, 1_025, 2_500]) func `what is written is read back`(_ count: Int) throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let written = records(count, &generator)
    var number: UInt64 = 1
    var previous = Digest.zero
    for row in try rows(written) {
      try unsafe row.bytes.withUnsafeBytes { bytes in
        let segment = try unsafe Segment(bytes)
        #expect(segment.first == row.first && segment.first == number)
        #expect(segment.isIntact && segment.previous == previous)
        previous = segment.hash
        let last = number + UInt64(segment.count) - 1
        try segment.visitRecords { found, record, heap throws(Failure) in
          let (expected, key) = written[Int(number) - 1]
          #expect(found == number && same(record, expected), "seed \(seed)")
          #expect(unsafe Array(heap[.key].bytes) == key && Array(heap[.metadata].bytes) == key, "seed \(seed)")
          #expect(heap[.run].isEmpty)
          number += 1
          return true
        }
        var wasFound = false
        try segment.withRecord(last) { record, _ throws(Failure) in
          wasFound = true
          #expect(same(record, written[Int(last) - 1].0))
        }
        #expect(wasFound)
        for outside in [row.first - 1, last + 1, 0, UInt64.max] {
          try segment.withRecord(outside) { _, _ throws(Failure) in Issue.record("no such record") }
        }
      }
    }
    #expect(number == UInt64(count) + 1)
  }

  @Test func `a segment cut off or changed anywhere is not what was hashed, and never traps`() throws {
    var generator = SeededGenerator(seed: 5)
    let row = try #require(try rows(records(3, &generator)).first).bytes
    func read(_ bytes: [UInt8]) -> Bool {
      unsafe bytes.withUnsafeBytes { bytes in
        guard let segment = try? unsafe Segment(bytes) else { return false }
        // Read it all the same: damage that nobody checks for must not trap.
        try? segment.visitRecords { _, _, heap throws(Failure) in
          _ = heap.postings.count
          _ = heap[.definition].string
          return true
        }
        try? segment.withRecord(3) { _, _ throws(Failure) in }
        return segment.isIntact
      }
    }
    #expect(read(row))
    for count in row.indices { #expect(!read(Array(row[..<count])), "cut to \(count)") }
    for index in row.indices {
      for bit in [0, 7] as [UInt8] {
        var changed = row
        changed[index] ^= 1 << bit
        if read(changed) { Issue.record("byte \(index)") }
      }
      for value in [0, 0xff] as [UInt8] where row[index] != value {
        var changed = row
        changed[index] = value
        if read(changed) { Issue.record("byte \(index)") }
      }
    }
    #expect(!read([]) && !read(row + [0]))
  }

  @Test func `an unknown kind is refused`() throws {
    var generator = SeededGenerator(seed: 6)
    var row = try #require(try rows(records(1, &generator)).first).bytes
    row[SegmentHeader.size] = 255
    #expect(
      status {
        try unsafe row.withUnsafeBytes { bytes in
          try unsafe Segment(bytes).visitRecords { _, _, _ throws(Failure) in true }
        }
      } == .storeCorrupt)
  }

  @Test func `names are found again, however many there are`() {
    var table = NameTable()
    let names = (0..<5_000).map { "user:\($0 * 7_919 % 10_007)" }
    for (index, name) in names.enumerated() {
      #expect(table.find(name) == nil)
      #expect(table.add(name) == UInt32(index))
    }
    for (index, name) in names.enumerated() {
      #expect(table.find(name) == UInt32(index) && table[UInt32(index)] == name)
      #expect(table.find(name + "x") == nil)
    }
  }
}
