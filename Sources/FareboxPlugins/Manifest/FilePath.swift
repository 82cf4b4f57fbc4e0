/// What a path must look like before it is used: nothing in it is resolved, so that two texts can be compared.
enum FilePath {
  /// Bytes of a path; what Linux allows.
  static let longest = 4_095

  /// Whether a path is absolute and says its place in the only way: no empty, `.` or `..` steps, no slash at the end.
  static func isAbsolute(_ path: String) -> Bool {
    path == "/" || (path.utf8.first == UInt8(ascii: "/") && isRelative(String(path.dropFirst())))
  }

  /// Whether a path leads from a folder down to something in it, in the only way.
  static func isRelative(_ path: String) -> Bool {
    guard path.utf8.count < longest, path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return false }
    return steps(path).allSatisfy { step in !step.isEmpty && step != "." && step != ".." && step.utf8.count <= 255 }
  }

  /// The names along a path.
  static func steps(_ path: String) -> [Substring] {
    path.split(separator: "/", omittingEmptySubsequences: false)
  }

  /// The path from a folder to what lies below it; nil for what does not, and for the folder itself.
  static func relative(_ path: String, to folder: String) -> String? {
    let prefix = folder == "/" ? "/" : folder + "/"
    guard path.utf8.starts(with: prefix.utf8), path.utf8.count > prefix.utf8.count else { return nil }
    return String(decoding: path.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  /// Whether a path is one of these folders or below one of them.
  static func isCovered(_ path: String, by folders: [String]) -> Bool {
    folders.contains { $0.utf8.elementsEqual(path.utf8) || relative(path, to: $0) != nil }
  }
}

extension FilePath {
  /// The folder of an absolute path, and the name in it.
  static func split(_ path: String) -> (folder: String, name: String) {
    let steps = steps(path)
    let folder = steps.dropLast().joined(separator: "/")
    return (folder.isEmpty ? "/" : folder, String(steps.last ?? ""))
  }
}
