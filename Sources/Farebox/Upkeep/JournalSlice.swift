internal import FareboxCore
internal import FareboxStore

/// A part of the journal, copied out of the store, so that it can be worked on while others use the store.
struct JournalSlice {
  private var bytes = ContiguousArray<UInt8>()
  /// The first record of each segment, and where its row ends.
  private var segments: [(first: UInt64, end: Int)] = []
  /// Whether the journal went on behind it.
  private(set) var hasMore = false
  /// From where on the next slice is read.
  private(set) var next: UInt64

  /// Bytes at which a slice ends. To read it takes less than a millisecond, for which other callers wait.
  private static let size = 1 << 20

  /// Reads from the segment of a record on, up to the segment that begins with `last`, or before it.
  init(of store: any Store, from record: UInt64, through last: UInt64) throws(Failure) {
    next = record
    try unsafe store.visitSegments(from: record) { first, row throws(Failure) in
      guard first <= last else { return false }
      guard bytes.count < JournalSlice.size else {
        hasMore = true
        return false
      }
      unsafe bytes.append(contentsOf: row)
      segments.append((first, bytes.count))
      next = first + 1
      return true
    }
  }

  /// Visits the segments in order: the number of the first record, and the row.
  func visit(_ body: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
    let outcome: Result<Void, Failure> = unsafe bytes.withUnsafeBytes { bytes in
      do throws(Failure) {
        var start = 0
        for segment in segments {
          try unsafe body(segment.first, UnsafeRawBufferPointer(rebasing: bytes[start..<segment.end]))
          start = segment.end
        }
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try outcome.get()
  }
}
