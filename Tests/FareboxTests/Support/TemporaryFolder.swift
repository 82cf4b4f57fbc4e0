import Glibc
import Testing

/// A folder of its own for one test, removed with everything in it at the end.
@safe
final class TemporaryFolder {
  let path: String

  init() throws {
    let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/farebox-XXXXXX".utf8CString)
    path = try #require(
      unsafe template.withUnsafeMutableBufferPointer { buffer in
        unsafe buffer.baseAddress.flatMap { unsafe mkdtemp($0) }.map { unsafe String(cString: $0) }
      })
  }

  /// The address of a ledger file in the folder.
  func url(_ name: String = "ledger") -> String { "sqlite:\(file(name))" }

  func file(_ name: String = "ledger") -> String { "\(path)/\(name)" }

  deinit {
    if let folder = unsafe opendir(path) {
      while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
          String(decoding: unsafe Array(bytes.prefix { $0 != 0 }), as: UTF8.self)
        }
        unsafe unlink("\(path)/\(name)")
      }
      unsafe closedir(folder)
    }
    unsafe rmdir(path)
  }
}
