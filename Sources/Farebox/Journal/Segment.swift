internal import FareboxCore
internal import FareboxStore

/// The head of a segment: 96 bytes, then its records one after the other.
///
///     0  "FBX1"                 16  first record (8)
///     4  version (2)            24  writer (8)
///     6  zero (2)               32  hash of the segment before (32)
///     8  records (4)            64  hash of everything but itself (32)
///    12  bytes of records (4)
struct SegmentHeader {
  let count: Int
  let bodyBytes: Int
  let first: UInt64
  let writer: UInt64
  let previous: Digest

  static let size = 96
  static let magic: UInt32 = 0x3158_4246
  static let version: UInt16 = 1
  private static let hashOffset = SegmentName.hashPlace.lowerBound

  /// Writes the head in front of a body that is in place, and returns the segment's hash.
  func seal(_ row: UnsafeMutableRawBufferPointer) -> Digest {
    unsafe row.storeBytes(of: SegmentHeader.magic, toByteOffset: 0, as: UInt32.self)
    unsafe row.storeBytes(of: SegmentHeader.version, toByteOffset: 4, as: UInt16.self)
    unsafe row.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
    unsafe row.storeBytes(of: UInt32(truncatingIfNeeded: count), toByteOffset: 8, as: UInt32.self)
    unsafe row.storeBytes(of: UInt32(truncatingIfNeeded: bodyBytes), toByteOffset: 12, as: UInt32.self)
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
    let bodyBytes = Int(unsafe row.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
    guard row.count == SegmentHeader.size + bodyBytes, count > 0, count <= Log.segmentRecords else {
      throw Segment.corrupt("A segment has the wrong length.")
    }
    unsafe self.row = row
    self.count = count
    first = unsafe row.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    previous = unsafe Digest(in: row, at: 32)
    hash = unsafe Digest(in: row, at: SegmentName.hashPlace.lowerBound)
  }

  /// Whether the content is what was hashed.
  var isIntact: Bool {
    unsafe SegmentHeader.hash(row) == hash
  }

  /// Lends the records in order with their numbers, until `visit` returns false.
  ///
  /// - Parameter index: of the first one to lend.
  func visitRecords(
    from index: Int = 0, _ visit: (UInt64, Record, Heap) throws(Failure) -> Bool
  ) throws(Failure) {
    var offset = SegmentHeader.size
    for position in 0..<count {
      guard let size = unsafe Record.size(in: row, at: offset) else {
        throw Segment.corrupt("A segment lacks a record.")
      }
      if position >= index {
        let (record, heap) = try unsafe Record.decode(row, at: offset)
        guard try visit(first + UInt64(position), record, heap) else { return }
      }
      offset += size
    }
  }

  /// Lends one record; nothing happens where the segment does not have it.
  func withRecord(
    _ number: UInt64, _ body: (Record, Heap) throws(Failure) -> Void
  ) throws(Failure) {
    guard number >= first, number - first < UInt64(count) else { return }
    try visitRecords(from: Int(number - first)) { _, record, heap throws(Failure) in
      try body(record, heap)
      return false
    }
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
