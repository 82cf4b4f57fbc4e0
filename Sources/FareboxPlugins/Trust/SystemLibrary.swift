internal import CWorker
internal import FareboxCore
internal import Glibc

/// Libraries of the system, found by name in the folders where the dynamic linker looks first.
enum SystemLibrary {
  #if arch(arm64)
    private static let triple = "aarch64-linux-gnu"
  #else
    private static let triple = "x86_64-linux-gnu"
  #endif

  /// The folders, the linker's own first. /etc/ld.so.conf and LD_LIBRARY_PATH are not asked.
  private static let folders = [
    "/lib/\(triple)", "/usr/lib/\(triple)", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
  ]

  /// Copies a library by its name, such as `libz.so.1`, which is usually a link to the file.
  ///
  /// - Throws: `pluginNotFound` where no folder has it, `pluginUntrusted` where the file, or a folder on the way to it, is
  ///   not root's alone.
  static func image(_ name: String) throws(Failure) -> SealedImage {
    let real = folders.compactMap(resolved)
    for folder in folders {
      guard let path = resolved("\(folder)/\(name)") else { continue }
      guard real.contains(where: { FilePath.relative(path, to: $0) != nil }) else {
        throw Failure(.pluginUntrusted, "'\(folder)/\(name)' leads to '\(path)', which is not a folder of the system")
      }
      let (parent, file) = FilePath.split(path)
      let opened = try TrustedFolder(parent, owner: .root).open(file)
      guard let opened else { throw Failure(.pluginNotFound, "'\(path)' is not there") }
      return try SealedImage(copying: opened, path: path)
    }
    throw Failure(.pluginNotFound, "the system has no library \(name) in \(folders.joined(separator: ", "))")
  }

  /// The path without links; nil where there is nothing.
  private static func resolved(_ path: String) -> String? {
    guard let found = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(found) }
    return unsafe String(validatingCString: found)
  }
}
