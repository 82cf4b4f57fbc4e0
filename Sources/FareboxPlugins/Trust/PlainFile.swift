internal import CWorker
internal import Farebox
internal import FareboxCore

/// Files as whoever runs the process names them, links and all: nothing here is trusted because of where it lies.
enum PlainFile {
  /// The folder of a path, and the name in it.
  static func split(_ path: String) -> (folder: String, name: String) {
    guard path.contains("/") else { return (".", path) }
    let (folder, name) = FilePath.split(path)
    return (folder.isEmpty ? "/" : folder, name)
  }

  /// Opens a folder.
  static func folder(_ path: String) throws(Failure) -> OpenedFile {
    let opened = unsafe path.utf8.contains(0) ? -1 : farebox_open_folder(AT_FDCWD, path + "/.")
    guard opened >= 0 else {
      throw Failure(.pluginNotFound, field: "path", "'\(path)' is not a folder that can be opened")
    }
    return OpenedFile(opened)
  }

  /// The bytes of a file, at most `limit`; nil where it is longer.
  static func read(
    _ name: String, in folder: borrowing OpenedFile, _ path: String, limit: Int
  ) throws(Failure) -> [UInt8]? {
    let opened = unsafe name.utf8.contains(0) ? -1 : farebox_open_file(folder.descriptor, name)
    guard opened >= 0 else {
      throw Failure(.pluginNotFound, field: "path", "'\(path)' cannot be opened: \(SystemError.last.text)")
    }
    return try OpenedFile(opened).bytes(limit: limit, path: path)
  }

  /// The bytes of a manifest.
  static func manifest(
    _ name: String, in folder: borrowing OpenedFile, _ path: String
  ) throws(Failure) -> [UInt8] {
    guard let bytes = try read(name, in: folder, path, limit: PluginManifest.longest) else {
      throw Failure(.pluginManifest, "line 1 column 1: is longer than \(PluginManifest.longest) bytes")
    }
    return bytes
  }
}
