internal import CWorker
internal import FareboxCore
internal import Glibc

/// Writing a file so that there is all of it, or what was there before.
enum NewFile {
  /// Puts a file of these bytes in the place of what has the name, and flushes it and the folder.
  ///
  /// Two that write the same name at once must be kept apart by a lock.
  static func write(
    _ bytes: [UInt8], to name: String, in folder: borrowing OpenedFile, path: String, mode: mode_t = 0o644
  ) throws(Failure) {
    let draft = name + ".new"
    unsafe unlinkat(folder.descriptor, draft, 0)
    let created = unsafe farebox_create_file(folder.descriptor, draft, mode)
    guard created >= 0 else { throw SystemError.last.failure(path, "cannot be written") }
    let file = OpenedFile(created)
    do throws(Failure) {
      try write(bytes, to: file, path: path)
      guard fsync(file.descriptor) == 0, unsafe renameat(folder.descriptor, draft, folder.descriptor, name) == 0 else {
        throw SystemError.last.failure(path, "cannot be written")
      }
    } catch {
      unsafe unlinkat(folder.descriptor, draft, 0)
      throw error
    }
    let flushed = OpenedFile(farebox_reopen_folder(folder.descriptor))
    guard fsync(flushed.descriptor) == 0 else { throw SystemError.last.failure(path, "cannot be flushed") }
  }

  private static func write(_ bytes: [UInt8], to file: borrowing OpenedFile, path: String) throws(Failure) {
    var written = 0
    while written < bytes.count {
      let step = unsafe bytes.withUnsafeBytes { bytes in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[written...])
        return unsafe CWorker.write(file.descriptor, rest.baseAddress, rest.count)
      }
      if step < 0, farebox_last_error() == EINTR { continue }
      guard step > 0 else { throw SystemError.last.failure(path, "cannot be written") }
      written += step
    }
  }
}
