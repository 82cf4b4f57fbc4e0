import Farebox
import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

/// A folder of its own for one test, with plugins in it; removed with everything in it at the end.
@safe
final class PluginFolder {
  let path: String

  init() throws {
    let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/farebox-XXXXXX".utf8CString)
    let made = try #require(
      unsafe template.withUnsafeMutableBufferPointer { buffer in
        unsafe buffer.baseAddress.flatMap { unsafe mkdtemp($0) }.map { unsafe String(cString: $0) }
      })
    guard let real = unsafe realpath(made, nil) else { throw Failure(.internal, "no folder \(made)") }
    path = unsafe String(cString: real)
    unsafe free(real)
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func makeFolder(_ name: String) { unsafe mkdir(file(name), 0o755) }
  func makePipe(_ name: String) { unsafe mkfifo(file(name), 0o644) }
  func makeLink(_ name: String, to target: String) { unsafe symlink(target, file(name)) }
  func setMode(_ name: String, _ mode: mode_t) { unsafe chmod(file(name), mode) }
  func setOwner(_ name: String, _ owner: uid_t) { unsafe chown(file(name), owner, owner) }
  func rename(_ name: String, to other: String) { unsafe Glibc.rename(file(name), file(other)) }
  func remove(_ name: String) {
    if unsafe unlink(file(name)) != 0 { unsafe rmdir(file(name)) }
  }
  func has(_ name: String) -> Bool { unsafe access(file(name), F_OK) == 0 }

  /// Opens a file of the folder.
  func open(_ name: String, _ flags: Int32) -> Int32 { unsafe Glibc.open(file(name), flags, 0o644) }

  func write(_ bytes: [UInt8], to name: String, mode: mode_t = 0o644) throws {
    let descriptor = open(name, O_WRONLY | O_CREAT | O_TRUNC)
    try #require(descriptor >= 0, "\(name)")
    defer { close(descriptor) }
    fchmod(descriptor, mode)
    let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    try #require(written == bytes.count)
  }

  func write(_ text: String, to name: String) throws {
    try write(Array(text.utf8), to: name)
  }

  func bytes(_ name: String) throws -> [UInt8] {
    try PluginFolder.bytes(at: file(name))
  }

  static func bytes(at path: String) throws -> [UInt8] {
    let descriptor = unsafe Glibc.open(path, O_RDONLY)
    try #require(descriptor >= 0, "\(path)")
    defer { close(descriptor) }
    return try bytes(of: descriptor)
  }

  /// All bytes of a descriptor, from the beginning.
  static func bytes(of descriptor: Int32) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, 0) }
    try #require(count == bytes.count)
    return bytes
  }

  deinit {
    PluginFolder.removeFolder(path)
  }

  private static func removeFolder(_ path: String) {
    if let folder = unsafe opendir(path) {
      while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
          String(decoding: unsafe Array(bytes.prefix { $0 != 0 }), as: UTF8.self)
        }
        guard name != ".", name != ".." else { continue }
        if unsafe unlink("\(path)/\(name)") != 0 { removeFolder("\(path)/\(name)") }
      }
      unsafe closedir(folder)
    }
    unsafe rmdir(path)
  }
}

extension PluginFolder {
  static let good = Array("what the author built".utf8)
  static let id = "org.example.echo"

  /// A native manifest of one file, `libecho.so`.
  static func manifest(
    version: String = "1.0.0", digest: Digest = Digest(of: good), path: String = "libecho.so",
    permissions: String = "{}", abi: String = "1.0"
  ) -> String {
    """
    {
      "manifest": 1, "id": "\(id)", "version": "\(version)", "license": "MIT", "contact": "a@example.org",
      "kind": "native", "abi": {"minimum": "\(abi)"}, "permissions": \(permissions),
      "files": [{"platform": "\(PluginFile.Platform.current.rawValue)", "path": "\(path)", "sha256": "\(digest.hex)"}],
      "tools": [{"name": "echo", "pricing": {"cost": "0.01"}}]
    }

    """
  }

  /// Writes the plugin and gives the path of its manifest.
  @discardableResult
  func addPlugin(_ manifest: String = manifest(), bytes: [UInt8] = good) throws -> String {
    try write(bytes, to: "libecho.so")
    try write(manifest, to: "echo.farebox.json")
    return file("echo.farebox.json")
  }

  /// A policy of this folder that loads everything else.
  func policy(_ more: String = "", trust: String = "unsigned") throws -> PluginPolicy {
    let text = #"{"directories": ["\#(path)"], "trust": "\#(trust)"\#(more.isEmpty ? "" : ", " + more)}"#
    return try PluginPolicy.parse(Array(text.utf8))
  }
}

extension Digest {
  /// The SHA-256 of bytes.
  init(of bytes: [UInt8]) {
    self = SHA256Hasher.hash(bytes.span)
  }

  /// The SHA-256 of a text's UTF-8.
  init(of text: String) {
    self.init(of: Array(text.utf8))
  }
}
