import Glibc
import Testing

/// Whole files.
enum FileBytes {
  static func read(_ path: String) throws -> [UInt8] {
    let file = unsafe try #require(fopen(path, "rb"), "There is no file '\(path)'.")
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe fread(&part, 1, part.count, file)
      if count == 0 { return bytes }
      bytes += part[..<count]
    }
  }

  static func write(_ bytes: [UInt8], _ path: String) throws {
    let file = unsafe try #require(fopen(path, "wb"), "The file '\(path)' cannot be written.")
    defer { unsafe fclose(file) }
    let count = unsafe fwrite(bytes, 1, bytes.count, file)
    try #require(count == bytes.count)
  }

  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// The names in a folder, sorted.
  static func names(in folder: String) throws -> [String] {
    let directory = unsafe try #require(opendir(folder), "There is no folder '\(folder)'.")
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: unsafe Array(bytes.prefix { $0 != 0 }), as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}
