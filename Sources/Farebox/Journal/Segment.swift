internal import FareboxCore

/// The head of a segment: 96 bytes, then records, then the heap of their fields.
///
///     0  "FBX1"                 16  first record (8)
///     4  version (2)            24  writer (8)
///     6  bytes a record (2)     32  hash of the segment before (32)
///     8  records (4)            64  hash of everything but itself (32)
///    12  heap bytes (4)
struct SegmentHeader {
  let count: Int
  let heapBytes: Int
  let first: UInt64
  let writer: UInt64
  let previous: Digest

  static let size = 96
  static let magic: UInt32 = 0x3158_4246
  static let version: UInt16 = 1
  private static let hashOffset = 64

  var bodyBytes: Int { count * Record.size + heapBytes }

  /// Writes the head in front of a body that is in place, and returns the segment's hash.
  func seal(_ row: UnsafeMutableRawBufferPointer) -> Digest {
    unsafe row.storeBytes(of: SegmentHeader.magic, toByteOffset: 0, as: UInt32.self)
    unsafe row.storeBytes(of: SegmentHeader.version, toByteOffset: 4, as: UInt16.self)
    unsafe row.storeBytes(of: UInt16(Record.size), toByteOffset: 6, as: UInt16.self)
    unsafe row.storeBytes(of: UInt32(truncatingIfNeeded: count), toByteOffset: 8, as: UInt32.self)
    unsafe row.storeBytes(of: UInt32(truncatingIfNeeded: heapBytes), toByteOffset: 12, as: UInt32.self)
    unsafe row.storeBytes(of: first, toByteOffset: 16, as: UInt64.self)
    unsafe row.storeBytes(of: writer, toByteOffset: 24, as: UInt64.self)
    unsafe previous.store(in: row, at: 32)
    let hash = unsafe SegmentHeader.hash(UnsafeRawBufferPointer(row))
    unsafe hash.store(in: row, at: SegmentHeader.hashOffset)
    return hash
  }

  /// SHA-256 of the head without its hash, and of the body.
  static func hash(_ row: UnsafeRawBufferPointer) -> Digest {
    var hasher = SHA256Hasher()
    unsafe hasher.update(UnsafeRawBufferPointer(rebasing: row[0..<hashOffset]))
    unsafe hasher.update(UnsafeRawBufferPointer(rebasing: row[size...]))
    return hasher.finish()
  }
}

/// A segment read back from the store.
@safe
struct Segment {
  private let row: UnsafeRawBufferPointer
  let count: Int
  let first: UInt64
  let previous: Digest
  /// The hash that the segment claims.
  let hash: Digest

  /// Checks that the row can be a segment; its hash is not checked here.
  @unsafe
  init(_ row: UnsafeRawBufferPointer) throws(Failure) {
    guard row.count >= SegmentHeader.size,
      unsafe row.loadUnaligned(fromByteOffset: 0, as: UInt32.self) == SegmentHeader.magic
    else { throw Segment.corrupt("A segment has no head.") }
    let version = unsafe row.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
    guard version == SegmentHeader.version else {
      throw Failure(.storeNewer, "A segment has layout \(version).")
    }
    let count = Int(unsafe row.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    let heapBytes = Int(unsafe row.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
    guard unsafe row.loadUnaligned(fromByteOffset: 6, as: UInt16.self) == UInt16(Record.size),
      row.count == SegmentHeader.size + count * Record.size + heapBytes
    else { throw Segment.corrupt("A segment has the wrong length.") }
    unsafe self.row = row
    self.count = count
    first = unsafe row.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    previous = unsafe Digest(in: row, at: 32)
    hash = unsafe Digest(in: row, at: 64)
  }

  /// Whether the content is what was hashed.
  var isIntact: Bool {
    unsafe SegmentHeader.hash(row) == hash
  }

  func record(at index: Int) throws(Failure) -> (Record, Heap) {
    guard index >= 0, index < count else { throw Segment.corrupt("A segment lacks a record.") }
    let record = unsafe row.loadUnaligned(
      fromByteOffset: SegmentHeader.size + index * Record.size, as: Record.self)
    let start = SegmentHeader.size + count * Record.size + Int(record.heapOffset)
    let end = start + Int(record.heapLength)
    guard unsafe end <= row.count else { throw Segment.corrupt("A record's fields end outside its segment.") }
    return (record, unsafe Heap(UnsafeRawBufferPointer(rebasing: row[start..<end])))
  }

  static func corrupt(_ message: String) -> Failure {
    Failure(.storeCorrupt, message)
  }
}

extension Digest {
  /// Writes the digest in the order of its bytes.
  @unsafe
  func store(in row: UnsafeMutableRawBufferPointer, at offset: Int) {
    unsafe row.storeBytes(of: word0.bigEndian, toByteOffset: offset, as: UInt64.self)
    unsafe row.storeBytes(of: word1.bigEndian, toByteOffset: offset + 8, as: UInt64.self)
    unsafe row.storeBytes(of: word2.bigEndian, toByteOffset: offset + 16, as: UInt64.self)
    unsafe row.storeBytes(of: word3.bigEndian, toByteOffset: offset + 24, as: UInt64.self)
  }

  /// Reads what `store` wrote.
  @unsafe
  init(in row: UnsafeRawBufferPointer, at offset: Int) {
    func word(_ index: Int) -> UInt64 {
      UInt64(bigEndian: unsafe row.loadUnaligned(fromByteOffset: offset + index * 8, as: UInt64.self))
    }
    self.init(word(0), word(1), word(2), word(3))
  }
}
