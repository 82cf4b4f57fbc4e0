import Farebox
import FareboxCore
import FareboxStore
import Testing

@testable import Farebox

/// The bytes of the journal, which are in ledgers everywhere and never change.
@Suite struct FormatTests {
  /// A record of a kind with another value in every place.
  private func record(_ kind: RecordKind) -> Record {
    var record = Record(kind, time: 0x0102_0304_0506_0708)
    record.flags = 0x11
    record.asset = 0x2122
    record.account = 0x3132_3334
    record.amount = -2
    record.tool = 0x4142_4344
    record.beneficiary = 0x8152_5354
    record.price = 0x6162_6364
    return record
  }

  private func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  private func encoded(_ record: Record) -> String {
    var bytes = ContiguousArray<UInt8>()
    record.encode(fields: [], to: &bytes)
    return hex(bytes)
  }

  @Test func `kinds and fields have the numbers that are on disk`() {
    let kinds: [(RecordKind, UInt8)] = [
      (.transfer, 1), (.charge, 2), (.reserve, 3), (.capture, 4), (.release, 5), (.expire, 6), (.extend, 7),
      (.refund, 8), (.increase, 9), (.asset, 20), (.account, 21), (.accountState, 22), (.skill, 23), (.toolState, 24),
      (.rateCard, 25), (.budget, 26), (.limits, 27), (.webhook, 28), (.event, 29), (.seal, 30), (.customerPrice, 31),
      (.access, 32), (.value, 33),
    ]
    #expect(kinds.count == RecordKind.allCases.count)
    for (kind, number) in kinds {
      #expect(kind.rawValue == number)
      let head = "22213433323108070605040302 01feffffffffffffff4443424154535281646362610000 0000"
      #expect(encoded(record(kind)) == hex([number, 0x11]) + head.filter { $0 != " " })
    }
    let fields: [(HeapField, UInt8)] = [
      (.key, 1), (.run, 2), (.call, 3), (.description, 4), (.metadata, 5), (.usage, 6), (.postings, 7), (.name, 8),
      (.definition, 9), (.requested, 10), (.maxCost, 11), (.lines, 12), (.arguments, 16), (.attempt, 17),
      (.shortfall, 18), (.terms, 19), (.payee, 20), (.toolName, 21), (.named, 22),
    ]
    for (field, number) in fields { #expect(field.rawValue == number) }
    #expect(HeapField(rawValue: 13) == nil && HeapField(rawValue: 0) == nil)
    #expect(RecordFlags.final == 1 && RecordFlags.capped == 2 && RecordFlags.explicit == 4 && RecordFlags.lines == 8)
    #expect(RecordFlags.unreported == 16 && RecordFlags.unnamedAsset == 32)
    #expect(Record.splitBit == 0x8000_0000 && Log.segmentRecords == 1_024)
  }

  @Test func `words follow the head in their order`() {
    let changes: [(String, String, (inout Record) -> Void)] = [
      ("01000000", "d4c3b2a100000000", { $0.detail = 0xa1b2_c3d4 }),
      ("01000000", "00000000d4c3b2a1", { $0.origin = 0xa1b2_c3d4 }),
      ("02000000", "0807060504030201", { $0.reference = 0x0102_0304_0506_0708 }),
      ("04000000", "ffffffffffffffff", { $0.extra = -1 }),
      ("08000000", "0900000000000000", { $0.remaining = 9 }),
      (
        "10000000", "0a00000000000000",
        {
          $0.balance = 10
          $0.available = 10
        }
      ),
      ("20000000", "0b00000000000000", { $0.available = 11 }),
      (
        "3f000000",
        "010000000000000002000000000000000300000000000000" + "040000000000000005000000000000000600000000000000",
        {
          $0.detail = 1
          $0.reference = 2
          $0.extra = 3
          $0.remaining = 4
          $0.balance = 5
          $0.available = 6
        }
      ),
    ]
    let plain = String(encoded(record(.charge)).prefix(72))
    for (mask, words, change) in changes {
      var changed = record(.charge)
      change(&changed)
      #expect(encoded(changed) == plain + mask + words)
    }
  }

  @Test func `the tags of runs and calls are those that are on disk`() {
    func tag(_ run: String, _ call: String) -> UInt32 {
      run.withBorrowedText { run in call.withBorrowedText { OriginTag(run: run, call: $0).value } }
    }
    #expect(tag("", "") == 0x0001_0001)
    // Computed by another program.
    #expect(tag("run-1", "") == 0xe3f7_0001)
    #expect(tag("", "call_0123456789abcdef") == 0x0001_0893)
    #expect(tag("12345678", "123456781") == 0x3245_6b2f)
    var tags: Set<UInt32> = []
    for number in 0..<4_000 { tags.insert(tag("run-\(number)", "call-\(number * 7)")) }
    #expect(tags.count > 3_990)
  }

  @Test func `a segment is what it was in the first version`() throws {
    var log = Log()
    log.beginRecord()
    log.addField(.key, "k-1")
    log.addField(.usage, words: [1, -1])
    log.addPostings([Posting(account: 0x0102_0304, asset: 0x0506, amount: -7)])
    log.append(record(.transfer))
    log.beginRecord()
    log.append(Record(.seal, time: 5))
    var hash = Digest(1, 2, 3, 4)
    var found = ""
    try unsafe log.writeSegments(first: 0x0a0b, writer: 0x0c0d, previous: &hash) { first, bytes throws(Failure) in
      #expect(first == 0x0a0b)
      found = hex(unsafe Array(bytes))
    }
    let head = "46425831" + "0100" + "0000" + "02000000" + "7f000000" + "0b0a000000000000" + "0d0c000000000000"
    let previous =
      "0000000000000001" + "0000000000000002" + "0000000000000003" + "0000000000000004"
    let first =
      "01112221343332310807060504030201feffffffffffffff44434241545352816463626100" + "2f0000"
      + "01030000" + "6b2d31" + "06100000" + "0100000000000000ffffffffffffffff"
      + "07100000" + "0403020106050000f9ffffffffffffff"
    let second = "1e00000000000000" + "0500000000000000" + String(repeating: "0", count: 48)
    let body = head + previous + first + second
    #expect(found.prefix(128) == (head + previous))
    #expect(found.dropFirst(192) == first + second)
    // Computed by another program over the bytes above.
    let digest = "275331eb078f26853e93d42bd4dc713d1011bde31c71c195bd75a50a931ff1a1"
    #expect(found.dropFirst(128).prefix(64) == digest, "of \(body)")
    #expect(hash.hex == digest)
  }
}
