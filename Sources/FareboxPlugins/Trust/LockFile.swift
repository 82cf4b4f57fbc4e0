internal import CWorker
internal import Farebox
internal import FareboxCore
internal import Glibc

/// What was loaded before, so that the same version is the same bytes for ever: the file that a policy names as `lock`.
///
/// `{"lock": 1, "plugins": [{"id", "version", "manifest", "files", "first_seen"}]}`: digests in hexadecimal, those of files
/// by platform, and microseconds since 1970. It is read without a lock, for it is replaced in one step; who adds to it
/// holds a lock on its folder.
struct LockFile {
  /// What one version of a plugin was when it was first seen.
  struct Entry {
    let id: String
    let version: String
    let manifest: Digest
    var files: [PluginFile.Platform: Digest]
    let firstSeen: Int64
  }

  private var entries: [Entry] = []

  /// Bytes of a lock file.
  private static let longest = 16 << 20
  private static let mostEntries = 100_000
  /// How long another process may be writing.
  private static let patienceMilliseconds = 5_000

  /// Compares a plugin with what the lock file says of its version, and adds it where nothing is said.
  ///
  /// - Parameter isLocked: refuses it instead of adding it.
  /// - Returns: whether it was added.
  /// - Throws: `pluginUntrusted` where it is not what it was, where it may not be added, and where somebody else could
  ///   change the lock file; `pluginUnavailable` where the file cannot be written.
  static func admit(_ entry: Entry, at path: String, isLocked: Bool) throws(Failure) -> Bool {
    let (parent, name) = FilePath.split(path)
    let folder = try TrustedFolder(parent)
    if try read(name, in: folder, path).knows(entry, path) { return false }
    guard !isLocked else {
      throw Failure(.pluginUntrusted, field: "lock", "\(entry.name) is not in the lock file, and the policy is locked")
    }
    let held = try hold(folder)
    defer { flock(held.descriptor, LOCK_UN) }
    // Another process may have added it, or something else of its version, while this one waited.
    var file = try read(name, in: folder, path)
    if try file.knows(entry, path) { return false }
    file.add(entry)
    try NewFile.write(Array(file.text.utf8), to: name, in: folder.file, path: path)
    return true
  }

  private static func read(
    _ name: String, in folder: borrowing TrustedFolder, _ path: String
  ) throws(Failure) -> LockFile {
    guard let file = try folder.open(name) else { return LockFile() }
    guard let bytes = try file.bytes(limit: longest, path: path) else {
      throw Failure(.pluginUntrusted, field: "lock", "'\(path)' is larger than \(longest) bytes")
    }
    do throws(Failure) {
      return try LockFile(bytes)
    } catch {
      throw Failure(
        .pluginUntrusted, field: "lock", "'\(path)' cannot be read: \(error.field) \(error.message)")
    }
  }

  /// Locks the folder, which no rename takes away from under the lock as it would the file.
  private static func hold(_ folder: borrowing TrustedFolder) throws(Failure) -> OpenedFile {
    let held = OpenedFile(farebox_reopen_folder(folder.file.descriptor))
    guard held.descriptor >= 0 else { throw SystemError.last.failure(folder.path, "cannot be opened") }
    for _ in 0..<patienceMilliseconds / 5 {
      if flock(held.descriptor, LOCK_EX | LOCK_NB) == 0 { return held }
      let error = SystemError.last
      guard error.code == EWOULDBLOCK || error.code == EINTR else {
        throw error.failure(folder.path, "cannot be locked")
      }
      usleep(5_000)
    }
    throw Failure(.pluginUnavailable, field: "lock", "another process holds a lock on '\(folder.path)'")
  }

  /// Whether the file has all of an entry.
  ///
  /// - Throws: `pluginUntrusted` where it has something else of the same version.
  private func knows(_ entry: Entry, _ path: String) throws(Failure) -> Bool {
    guard let known = entries.first(where: { $0.id == entry.id && $0.version == entry.version }) else { return false }
    let changed = Failure(
      .pluginUntrusted, field: "lock",
      "\(entry.name) is not what it was when it was first seen; if that is right, take it out of '\(path)'")
    guard known.manifest == entry.manifest else { throw changed }
    var isComplete = true
    for (platform, digest) in entry.files {
      guard let before = known.files[platform] else {
        isComplete = false
        continue
      }
      guard before == digest else { throw changed }
    }
    return isComplete
  }

  private mutating func add(_ entry: Entry) {
    if let index = entries.firstIndex(where: { $0.id == entry.id && $0.version == entry.version }) {
      entries[index].files.merge(entry.files) { before, _ in before }
    } else {
      entries.append(entry)
    }
    entries.sort { ($0.id, $0.version) < ($1.id, $1.version) }
  }
}

extension LockFile.Entry {
  var name: String { "\(id) \(version)" }

  /// An entry that is first seen now.
  init(id: String, version: String, manifest: Digest, files: [PluginFile.Platform: Digest]) {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
    self.init(id: id, version: version, manifest: manifest, files: files, firstSeen: microseconds)
  }
}

extension LockFile {
  private init(_ bytes: [UInt8]) throws(Failure) {
    var fields = try ManifestFields.read(JSON.parse(bytes))
    guard try fields.required("lock") == 1 else { throw fields.wrong("lock", "must be 1") }
    guard let list = try fields.list("plugins", limit: LockFile.mostEntries) else {
      throw Failure(.missingField, field: "plugins", "is missing")
    }
    try fields.finish()
    for (index, json) in list.enumerated() {
      var reader = try ManifestFields.read(json, path: "plugins[\(index)]")
      let id = try ManifestFields.text("id", &reader, limit: Limits.toolName)
      let version = try ManifestFields.text("version", &reader, limit: 64)
      let manifest = try LockFile.digest("manifest", &reader)
      var files: [PluginFile.Platform: Digest] = [:]
      var platforms = try ManifestFields.read(reader.required("files"), path: reader.path("files"))
      for platform in PluginFile.Platform.allCases where platforms.optional(platform.rawValue) != nil {
        files[platform] = try LockFile.digest(platform.rawValue, &platforms)
      }
      try platforms.finish()
      guard let firstSeen = try reader.integer("first_seen") else { throw reader.wrong("first_seen", "is missing") }
      try reader.finish()
      entries.append(Entry(id: id, version: version, manifest: manifest, files: files, firstSeen: firstSeen))
    }
  }

  private static func digest(_ key: String, _ fields: inout JSONFields) throws(Failure) -> Digest {
    guard let digest = Digest(hex: try ManifestFields.text(key, &fields, limit: 64)) else {
      throw fields.wrong(key, "is not a SHA-256")
    }
    return digest
  }

  /// One plugin on each line, so that a change can be read.
  private var text: String {
    let lines = entries.map { entry in
      var files = JSONObject()
      for platform in PluginFile.Platform.allCases {
        if let digest = entry.files[platform] { files.append(platform.rawValue, .string(digest.hex)) }
      }
      let line: JSON = [
        "id": .string(entry.id), "version": .string(entry.version), "manifest": .string(entry.manifest.hex),
        "files": .object(files), "first_seen": .int(entry.firstSeen),
      ]
      return "  " + line.serialized()
    }
    return "{\"lock\": 1, \"plugins\": [\n\(lines.joined(separator: ",\n"))\n]}\n"
  }
}
