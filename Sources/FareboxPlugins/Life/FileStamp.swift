internal import CWorker
internal import FareboxCore
internal import Glibc

/// What tells one content of a file from another without reading it.
struct FileStamp: Hashable, Sendable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  /// Nanoseconds since 1970 at which the content, and anything about the file, changed last.
  let modified: Int64
  let changed: Int64

  /// The stamp of the file at a path, or nil where there is none.
  init?(_ path: String) {
    var status = stat()
    guard !path.utf8.contains(0), unsafe stat(path, &status) == 0 else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    modified = FileStamp.nanoseconds(status.st_mtim)
    changed = FileStamp.nanoseconds(status.st_ctim)
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// Five numbers, as they stand in the registry's cache.
  var json: JSON {
    .array([.string(String(device)), .string(String(inode)), .int(size), .int(modified), .int(changed)])
  }

  init?(_ json: JSON?) {
    guard let words = json?.array, words.count == 5, let device = words[0].string.flatMap({ UInt64($0) }),
      let inode = words[1].string.flatMap({ UInt64($0) }), let size = words[2].int64,
      let modified = words[3].int64, let changed = words[4].int64
    else { return nil }
    self.device = device
    self.inode = inode
    self.size = size
    self.modified = modified
    self.changed = changed
  }
}
