public import FareboxCore
internal import Glibc

/// A ledger file in the making: it stands under a name of its own, and gets the name that it is meant for when it is
/// complete and on disk. So whoever opens that name finds all of it or nothing.
public final class SQLiteDraft {
  public let store: SQLiteStore
  private let path: String
  private let draftPath: String

  /// Begins a file.
  ///
  /// - Parameters:
  ///   - path: the name that it is meant for; nothing may stand there.
  ///   - tag: tells this draft from another of the same name.
  public init(path: String, tag: String) throws(Failure) {
    let folder = SQLiteFile.folder(of: path)
    guard unsafe access(folder, F_OK) == 0 else {
      throw Failure(.invalidArgument, field: "to", "There is no folder '\(folder)' for the file '\(path)'.")
    }
    // A log that was left behind would be taken for that of the new file.
    for suffix in [""] + SQLiteDraft.companions where unsafe access(path + suffix, F_OK) == 0 {
      throw Failure(.storeExists, field: "to", "There is a file '\(path)\(suffix)' already.")
    }
    self.path = path
    draftPath = "\(path).\(tag).partial"
    do throws(Failure) {
      store = try SQLiteStore(path: draftPath, exclusive: true, mustExist: false, busyTimeoutMilliseconds: 0)
    } catch {
      SQLiteDraft.remove(draftPath)
      throw error
    }
  }

  /// Closes the file and gives it its name; what fails leaves nothing under that name.
  public func publish() throws(Failure) {
    do throws(Failure) {
      try store.emptyLog()
      store.close()
      try SQLiteDraft.flush(draftPath)
      // Of two that publish at once under one name, one fails; a rename would let it take the other's place.
      guard unsafe link(draftPath, path) == 0 else {
        throw errno == EEXIST
          ? Failure(.storeExists, field: "to", "There is a file '\(path)' already.")
          : Failure.ofFile("naming the file", path)
      }
    } catch {
      discard()
      throw error
    }
    SQLiteDraft.remove(draftPath)
    try SQLiteDraft.flush(SQLiteFile.folder(of: path))
  }

  /// Gives up, and leaves nothing behind.
  public func discard() {
    store.close()
    SQLiteDraft.remove(draftPath)
  }

  /// What SQLite keeps beside a file.
  private static let companions = ["-wal", "-shm", "-journal"]

  private static func remove(_ path: String) {
    for suffix in [""] + companions { unsafe unlink(path + suffix) }
  }

  private static func flush(_ path: String) throws(Failure) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw Failure.ofFile("opening", path) }
    defer { Glibc.close(file) }
    guard fsync(file) == 0 else { throw Failure.ofFile("flushing", path) }
  }
}
