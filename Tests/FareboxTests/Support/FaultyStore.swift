import FareboxCore
import FareboxStore

/// A store that fails when it is told to, and otherwise passes every call on.
final class FaultyStore: Store {
  private let store: any Store
  /// Calls that may fail before the one that does; nil is never.
  var fuse: Int?
  private(set) var hasFailed = false
  private(set) var flushes = 0
  /// Changes the bytes of every segment that is read.
  var damage: ((UInt64, inout [UInt8]) -> Void)?

  /// Keeps the folder of a file for as long as the store is used.
  private let home: TestHome?

  init(_ store: any Store) {
    self.store = store
    home = nil
  }

  init(in home: TestHome, exclusive: Bool = false) throws(Failure) {
    self.home = home
    store = try home.openStore(exclusive: exclusive)
  }

  private func burn(_ status: Status = .storeIO) throws(Failure) {
    guard let left = fuse else { return }
    if left > 0 {
      fuse = left - 1
    } else {
      fuse = nil
      hasFailed = true
      throw Failure(status, "The store was told to fail.")
    }
  }

  func light(_ calls: Int) {
    fuse = calls
    hasFailed = false
  }

  var isExclusive: Bool { store.isExclusive }
  var isRemote: Bool { store.isRemote }
  var isReadOnly: Bool { store.isReadOnly }
  /// How far the server's clock is behind what it is.
  var lag: Int64 = 0
  var serverClock: (time: Int64, tolerance: Int64)? { store.serverClock.map { ($0.time - lag, $0.tolerance) } }
  var shownAddress: String { store.shownAddress }
  var epoch: Int { store.epoch }
  func mayRetry(after failure: Failure, attempt: Int) -> Bool { false }

  func begin(from next: UInt64) throws(Failure) {
    try burn(.storeBusy)
    try store.begin(from: next)
  }

  func setDurable(_ durable: Bool) throws(Failure) {
    try burn()
    try store.setDurable(durable)
  }

  func flush() throws(Failure) {
    try burn()
    try store.flush()
    flushes += 1
  }

  func commit() throws(Failure) {
    try burn(.storeFull)
    try store.commit()
  }

  func rollback() { store.rollback() }

  func beginRead(from next: UInt64) throws(Failure) {
    try burn()
    try store.beginRead(from: next)
  }

  func endRead() { store.endRead() }
  func close() { store.close() }
  func abandon() { store.abandon() }
  func meta(_ name: String) throws(Failure) -> [UInt8]? { try store.meta(name) }

  func setMeta(_ name: String, _ value: [UInt8]) throws(Failure) {
    try burn()
    try store.setMeta(name, value)
  }

  func lastSegment() throws(Failure) -> SegmentName? { try store.lastSegment() }

  func appendSegment(first: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
    try burn()
    try unsafe store.appendSegment(first: first, bytes)
  }

  func visitSegments(
    from first: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    try burn()
    try unsafe store.visitSegments(from: first) { name, bytes throws(Failure) in
      guard let damage else { return try unsafe visit(name, bytes) }
      var copy = unsafe [UInt8](bytes)
      damage(name, &copy)
      return unsafe try withBytes(of: copy) { bytes throws(Failure) in try unsafe visit(name, bytes) }
    }
  }

  func visitSegment(
    containing record: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    try burn()
    try unsafe store.visitSegment(containing: record) { name, bytes throws(Failure) in
      guard let damage else { return try unsafe visit(name, bytes) }
      var copy = unsafe [UInt8](bytes)
      damage(name, &copy)
      unsafe try withBytes(of: copy) { bytes throws(Failure) in try unsafe visit(name, bytes) }
    }
  }

  func putRow(_ table: ProjectionTable, _ key: RowKey, _ value: UnsafeRawBufferPointer) throws(Failure) {
    try burn()
    try unsafe store.putRow(table, key, value)
  }

  func row(
    _ table: ProjectionTable, _ key: RowKey, _ read: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    try burn()
    return try unsafe store.row(table, key, read)
  }

  func visitRows(
    _ table: ProjectionTable, major: ClosedRange<Int64>, descending: Bool,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    try burn()
    try unsafe store.visitRows(table, major: major, descending: descending, visit)
  }

  func visitRows(
    _ table: ProjectionTable, major: Int64, minors: ClosedRange<Int64>,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    try burn()
    try unsafe store.visitRows(table, major: major, minors: minors, visit)
  }

  func deleteRows(_ table: ProjectionTable, major: Int64) throws(Failure) {
    try burn()
    try store.deleteRows(table, major: major)
  }

  func deleteAllRows(_ table: ProjectionTable) throws(Failure) {
    try burn()
    try store.deleteAllRows(table)
  }

  func sizeOnDisk() -> Int64 { store.sizeOnDisk() }
}
