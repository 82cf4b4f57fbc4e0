internal import FareboxCore

/// Records decided but not yet written: the tail of the journal that a turn adds.
///
/// Records and their fields go into two growing buffers; at the end of a turn they are cut into segments, each hashed
/// onto the one before.
struct Log: ~Copyable {
  private(set) var records = ContiguousArray<Record>()
  private var heap = ContiguousArray<UInt8>()
  /// Where the record being written has its first field.
  private var fieldsStart = 0
  /// The segment being written; kept, because giving its memory back and asking for it again costs page faults.
  private var row = ContiguousArray<UInt8>()
  /// Where each segment begins: (record, heap).
  private var segments: ContiguousArray<(record: Int, heap: Int)> = []

  /// Records in one segment at the most, so that reading one record reads little.
  static let segmentRecords = 1_024

  var isEmpty: Bool { records.isEmpty }
  var count: Int { records.count }

  mutating func reserveCapacity(_ count: Int) {
    records.reserveCapacity(count)
    heap.reserveCapacity(count * 32)
  }

  /// Begins a record; its fields follow, then `append`.
  mutating func beginRecord() {
    if records.count % Log.segmentRecords == 0 { segments.append((records.count, heap.count)) }
    fieldsStart = heap.count
  }

  mutating func addField(_ field: HeapField, _ text: BorrowedText) {
    if text.isEmpty { return }
    addHead(field, text.count)
    unsafe heap.append(contentsOf: text.bytes)
  }

  mutating func addField(_ field: HeapField, _ text: String) {
    addHead(field, text.utf8.count)
    heap.append(contentsOf: text.utf8)
  }

  mutating func addField(_ field: HeapField, words: some Collection<Int64>) {
    addHead(field, words.count * 8)
    for word in words { addWord(UInt64(bitPattern: word)) }
  }

  mutating func addPostings(_ postings: [Posting]) {
    addHead(.postings, postings.count * 16)
    for posting in postings {
      addWord(UInt64(posting.account) | UInt64(posting.asset) << 32)
      addWord(UInt64(bitPattern: posting.amount))
    }
  }

  /// Completes a record with where its fields stand, and returns it.
  mutating func append(_ record: Record) -> Record {
    var record = record
    let segmentHeap = segments[segments.count - 1].heap
    record.heapOffset = UInt32(fieldsStart - segmentHeap)
    record.heapLength = UInt32(heap.count - fieldsStart)
    records.append(record)
    return record
  }

  /// Writes what a wallet has after the record appended last.
  mutating func setLastBalance(_ units: Int64, available: Int64) {
    records[records.count - 1].balance = units
    records[records.count - 1].available = available
  }

  /// Lends the fields of the record appended last.
  func withLastFields<Result>(_ body: (Heap) -> Result) -> Result {
    unsafe heap.withUnsafeBytes { bytes in
      unsafe body(Heap(UnsafeRawBufferPointer(rebasing: bytes[fieldsStart...])))
    }
  }

  /// Lends a record that is still in the log.
  func withRecord<Result>(at index: Int, _ body: (Record, Heap) -> Result) -> Result {
    let record = records[index]
    let start = segments[index / Log.segmentRecords].heap + Int(record.heapOffset)
    return unsafe heap.withUnsafeBytes { bytes in
      let fields = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(record.heapLength)])
      return unsafe body(record, Heap(fields))
    }
  }

  /// Cuts the log into segments and hands each to `write` as the bytes of its row.
  ///
  /// - Parameters:
  ///   - first: the number of the log's first record.
  ///   - previous: the hash of the journal's last segment; becomes that of the new last one.
  mutating func writeSegments(
    first: UInt64, writer: UInt64, previous: inout Digest,
    _ write: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    for index in segments.indices {
      let start = segments[index]
      let end = index + 1 < segments.count ? segments[index + 1] : (record: records.count, heap: heap.count)
      let name = first + UInt64(start.record)
      let header = SegmentHeader(
        count: end.record - start.record, heapBytes: end.heap - start.heap, first: name, writer: writer,
        previous: previous)
      row.removeAll(keepingCapacity: true)
      row.append(contentsOf: repeatElement(0, count: SegmentHeader.size))
      unsafe records.withUnsafeBytes { bytes in
        unsafe row.append(
          contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start.record * Record.size..<end.record * Record.size]))
      }
      unsafe heap.withUnsafeBytes { bytes in
        unsafe row.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start.heap..<end.heap]))
      }
      let outcome: Result<Digest, Failure> = unsafe row.withUnsafeMutableBytes { bytes in
        let hash = unsafe header.seal(bytes)
        do throws(Failure) {
          try unsafe write(name, UnsafeRawBufferPointer(bytes))
          return .success(hash)
        } catch {
          return .failure(error)
        }
      }
      previous = try outcome.get()
    }
  }

  mutating func removeAll() {
    records.removeAll(keepingCapacity: true)
    heap.removeAll(keepingCapacity: true)
    segments.removeAll(keepingCapacity: true)
  }

  private mutating func addHead(_ field: HeapField, _ length: Int) {
    // Limits keep every field far below 16 MiB.
    let head = UInt32(truncatingIfNeeded: length) << 8 | UInt32(field.rawValue)
    unsafe withUnsafeBytes(of: head) { unsafe heap.append(contentsOf: $0) }
  }

  private mutating func addWord(_ word: UInt64) {
    unsafe withUnsafeBytes(of: word) { unsafe heap.append(contentsOf: $0) }
  }
}
