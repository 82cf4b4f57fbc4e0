internal import FareboxCore

/// Records decided but not yet written: the tail of the journal that a turn adds.
///
/// Each record is encoded as soon as it is applied; at the end of a turn the bytes are cut into segments, each hashed
/// onto the one before.
struct Log: ~Copyable {
  private var bytes = ContiguousArray<UInt8>()
  /// Where each record begins.
  private var starts = ContiguousArray<Int>()
  /// The fields of the record that is being made.
  private var fields = ContiguousArray<UInt8>()
  /// The segment being written; kept, because giving its memory back and asking for it again costs page faults.
  private var row = ContiguousArray<UInt8>()

  /// Records in one segment at the most, so that reading one record reads little.
  static let segmentRecords = 1_024
  /// And bytes of records at which a segment ends: one record may be larger, but not many of them together.
  static let segmentBytes = 1 << 20

  var isEmpty: Bool { starts.isEmpty }
  var count: Int { starts.count }

  mutating func reserveCapacity(_ count: Int) {
    starts.reserveCapacity(count)
    bytes.reserveCapacity(count * 80)
  }

  /// Begins a record; its fields follow, then `append`.
  mutating func beginRecord() {
    fields.removeAll(keepingCapacity: true)
  }

  mutating func addField(_ field: HeapField, _ text: BorrowedText) {
    if text.isEmpty { return }
    addHead(field, text.count)
    unsafe fields.append(contentsOf: text.bytes)
  }

  mutating func addField(_ field: HeapField, _ text: String) {
    addHead(field, text.utf8.count)
    fields.append(contentsOf: text.utf8)
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

  /// Lends the fields of the record that is being made.
  func withFields<Result>(_ body: (Heap) -> Result) -> Result {
    unsafe fields.withUnsafeBytes { unsafe body(Heap($0)) }
  }

  /// Completes the record that was begun.
  mutating func append(_ record: Record) {
    starts.append(bytes.count)
    record.encode(fields: fields, to: &bytes)
  }

  /// Lends a record that is still in the log.
  func withRecord<Result>(
    at index: Int, _ body: (Record, Heap) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outcome: Swift.Result<Result, Failure> = unsafe bytes.withUnsafeBytes { bytes in
      do throws(Failure) {
        let (record, heap) = try unsafe Record.decode(bytes, at: starts[index])
        return .success(try body(record, heap))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
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
    var start = 0
    while start < starts.count {
      let end = end(of: start)
      let body = starts[start]..<(end < starts.count ? starts[end] : bytes.count)
      let name = first + UInt64(start)
      let header = SegmentHeader(
        count: end - start, bodyBytes: body.count, first: name, writer: writer, previous: previous)
      row.removeAll(keepingCapacity: true)
      row.append(contentsOf: repeatElement(0, count: SegmentHeader.size))
      unsafe bytes.withUnsafeBytes { bytes in
        unsafe row.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[body]))
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
      start = end
    }
  }

  /// Where the segment ends that begins with a record.
  private func end(of start: Int) -> Int {
    var end = start + 1
    while end < starts.count, end - start < Log.segmentRecords, starts[end] - starts[start] < Log.segmentBytes {
      end += 1
    }
    return end
  }

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    starts.removeAll(keepingCapacity: true)
  }

  private mutating func addHead(_ field: HeapField, _ length: Int) {
    // Limits keep every field far below 16 MiB.
    let head = UInt32(truncatingIfNeeded: length) << 8 | UInt32(field.rawValue)
    unsafe withUnsafeBytes(of: head) { unsafe fields.append(contentsOf: $0) }
  }

  private mutating func addWord(_ word: UInt64) {
    unsafe withUnsafeBytes(of: word) { unsafe fields.append(contentsOf: $0) }
  }
}
