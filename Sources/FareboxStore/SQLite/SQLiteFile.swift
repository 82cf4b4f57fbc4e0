internal import FareboxCore
internal import Glibc

/// What stands at a path before SQLite opens it, so that each reason not to open it has its own sentence.
///
/// The file is never opened here: closing it would drop the locks that another engine of this process has on it.
enum SQLiteFile {
  enum Access {
    case readWrite
    /// Nothing can be written, and another process may have the ledger open: its log and locks are used.
    case readOnly
    /// Nothing can be written and there is no log, so the file is read as it stands.
    case immutable
  }

  /// - Parameter mustExist: whether a ledger must be there already; then one that can only be read will do.
  static func examine(_ path: String, mustExist: Bool) throws(Failure) -> Access {
    var found = stat()
    guard unsafe stat(path, &found) == 0 else {
      try checkMissing(path, errno, mustExist: mustExist)
      return .readWrite
    }
    try checkKind(path, found.st_mode & S_IFMT)
    if mustExist, found.st_size == 0 {
      throw Failure(.storeNotFound, field: "url", "The file '\(path)' is empty: there is no ledger in it.")
    }
    // SQLite would take a file of one byte for an empty one. What a killed process has begun has a journal beside it.
    if (1..<leastBytes).contains(Int(found.st_size)), size(path + "-journal") == nil {
      throw Failure(.storeCorrupt, field: "url", "The file '\(path)' is not a ledger: it is too short for one.")
    }
    guard isAllowed(path, R_OK) else {
      throw Failure(.storeDenied, field: "url", "This process has no permission to read the file '\(path)'.")
    }
    let log = size(path + "-wal")
    let hasIndex = size(path + "-shm") != nil
    if isAllowed(path, W_OK), isAllowed(folder(of: path), W_OK) || log != nil && hasIndex { return .readWrite }
    guard mustExist else {
      throw Failure(
        .storeReadOnly, field: "url",
        "The ledger '\(path)' can only be read. Open it as an existing ledger to read it, or make it writable.")
    }
    guard let log, log > 0 else { return .immutable }
    guard hasIndex else {
      throw Failure(
        .storeReadOnly, field: "url",
        "The ledger '\(path)' can only be read, and its log '\(path)-wal' was not closed. "
          + "Copy both files to a folder that can be written, and open the copy.")
    }
    return .readOnly
  }

  /// The smallest page of an SQLite database.
  private static let leastBytes = 512

  /// The size of a file, or nil where there is none.
  static func size(_ path: String) -> Int? {
    var found = stat()
    return unsafe stat(path, &found) == 0 ? Int(found.st_size) : nil
  }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func isAllowed(_ path: String, _ mode: Int32) -> Bool {
    unsafe faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0
  }

  private static func checkMissing(_ path: String, _ code: Int32, mustExist: Bool) throws(Failure) {
    switch code {
    case ENOENT: break
    case ENOTDIR:
      throw Failure(.storeNotFound, field: "url", "A part of the path '\(path)' is a file and not a folder.")
    case EACCES, EPERM:
      throw Failure(.storeDenied, field: "url", "This process has no permission to look at '\(path)'.")
    case ENAMETOOLONG:
      throw Failure(.invalidArgument, field: "url", "The path, or a name in it, is longer than the file system allows.")
    case ELOOP: throw Failure(.invalidArgument, field: "url", "The symbolic links of the path '\(path)' form a loop.")
    default: throw Failure(.storeIO, field: "url", "Error \(code) while looking at '\(path)'.")
    }
    let folder = folder(of: path)
    var found = stat()
    guard unsafe stat(folder, &found) == 0, found.st_mode & S_IFMT == S_IFDIR else {
      let hint =
        path.hasPrefix("/")
        ? "" : " The path is relative to the working directory; an absolute one begins with '/', or with 'sqlite:////'."
      throw Failure(
        .storeNotFound, field: "url", "There is no folder '\(folder)' for the ledger '\(path)'; make it first.\(hint)")
    }
    if mustExist { throw Failure(.storeNotFound, field: "url", "There is no ledger at '\(path)'.") }
    guard isAllowed(folder, W_OK | X_OK) else {
      throw errno == EROFS
        ? Failure(
          .storeReadOnly, field: "url",
          "The folder '\(folder)' can only be read, so the ledger '\(path)' cannot be made.")
        : Failure(
          .storeDenied, field: "url",
          "This process has no permission to make a file in the folder '\(folder)', so '\(path)' cannot be made.")
    }
  }

  private static func checkKind(_ path: String, _ kind: UInt32) throws(Failure) {
    let name: String
    switch kind {
    case S_IFREG: return
    case S_IFDIR: name = "folder; give the path of a file in it"
    case S_IFIFO: name = "pipe, not a file"
    case S_IFSOCK: name = "socket, not a file"
    default: name = "device, not a file"
    }
    throw Failure(.invalidArgument, field: "url", "The path '\(path)' is a \(name).")
  }
}
