internal import FareboxCore
internal import Glibc

/// What an earlier process may have left of a write-ahead log.
enum SQLiteLog {
  private static let bufferBytes = 1 << 20

  /// Writes the log's bytes again as they stand, and flushes them.
  ///
  /// After a failed fsync Linux takes the pages for written: they can be read, are not on the disk, and the next fsync
  /// succeeds without them. Were such a log copied into the file, and the power lost half-way, nothing could repair the
  /// file. Which process met the failure cannot be known, so whoever opens the ledger does this first.
  ///
  /// The caller has the writer's turn, so nobody else writes to the log.
  static func renew(_ path: String) throws(Failure) {
    let file = unsafe open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return }
      throw Failure.ofFile("opening the log", path)
    }
    defer { Glibc.close(file) }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: bufferBytes, alignment: 16)
    defer { unsafe buffer.deallocate() }
    var offset = 0
    while true {
      let count = try repeated("reading the log", path) { unsafe pread(file, buffer, bufferBytes, offset) }
      if count == 0 { break }
      var written = 0
      while written < count {
        written += try repeated("writing again the log", path) {
          unsafe pwrite(file, buffer + written, count - written, offset + written)
        }
      }
      offset += count
    }
    guard offset == 0 || fdatasync(file) == 0 else {
      throw Failure(.storeUntrusted, "The disk failed to flush (error \(errno)) while writing the log again.")
    }
  }

  private static func repeated(_ doing: String, _ path: String, _ call: () -> Int) throws(Failure) -> Int {
    while true {
      let count = call()
      if count >= 0 { return count }
      guard errno == EINTR else { throw Failure.ofFile(doing, path) }
    }
  }
}
