internal import FareboxCore

/// What is known of the manifests that were found, by path: a look that nothing has changed is not taken twice.
///
/// It decides nothing about trust: whatever stands here, a plugin that is loaded is verified anew. It saves the time of a
/// scan, and remembers which plugins crashed while they were looked at.
struct Registry: Sendable {
  /// One manifest.
  struct Entry: Sendable {
    let path: String
    var id = ""
    var version = ""
    var state: PluginState
    var reason = ""
    /// Whether another look would find the same, as long as no file changes.
    var isSettled = true
    /// The manifest's, and that of the file that it names for this platform.
    var stamp: FileStamp?
    var file = ""
    var fileStamp: FileStamp?

    var json: JSON {
      [
        "path": .string(path), "plugin": .string(id), "version": .string(version), "state": .string(state.rawValue),
        "reason": .string(reason),
      ]
    }
  }

  private(set) var entries: [String: Entry] = [:]
  /// Whether something has changed since the cache was written.
  private(set) var isDirty = false

  /// Manifests that are remembered at most.
  static let capacity = 10_000

  /// Remembers what became of a manifest.
  ///
  /// - Parameters:
  ///   - manifest: nil where it could not be read; then it goes by the id that it had.
  ///   - isSettled: false where the next look may find something else though no file has changed.
  mutating func note(
    _ path: String, manifest: PluginManifest?, state: PluginState, reason: String, isSettled: Bool = true
  ) {
    let before = entries[path]
    guard before != nil || entries.count < Registry.capacity else { return }
    let file = manifest.map { Registry.file(of: $0, at: path) } ?? before?.file ?? ""
    entries[path] = Entry(
      path: path, id: manifest?.id ?? before?.id ?? "", version: manifest?.version ?? before?.version ?? "",
      state: state, reason: reason, isSettled: isSettled, stamp: FileStamp(path), file: file,
      fileStamp: FileStamp(file))
    isDirty = true
  }

  /// What is known of a manifest, if neither it nor its file has changed since.
  func known(_ path: String) -> Entry? {
    guard let entry = entries[path], let stamp = entry.stamp, stamp == FileStamp(path),
      entry.fileStamp == FileStamp(entry.file)
    else { return nil }
    return entry
  }

  /// Whether nothing new would be found by another look at a manifest.
  func isSettled(_ path: String) -> Bool {
    known(path)?.isSettled ?? false
  }

  /// The path of the file that a manifest names for this platform; empty for a library of the system.
  private static func file(of manifest: PluginManifest, at path: String) -> String {
    guard case .path(let file)? = manifest.file(for: .current)?.source else { return "" }
    return path[..<(path.lastIndex(of: "/") ?? path.startIndex)] + "/" + file
  }

  /// Why a manifest is in quarantine, or nil.
  func quarantine(_ path: String) -> String? {
    guard let entry = known(path), entry.state == .quarantined else { return nil }
    return entry.reason
  }

  /// Forgets manifests that are no longer there.
  mutating func keep(_ paths: Set<String>) {
    let gone = entries.keys.filter { !paths.contains($0) }
    for path in gone where entries[path]?.state != .active { entries[path] = nil }
    isDirty = isDirty || !gone.isEmpty
  }
}

extension Registry {
  /// What the cache's file says.
  var json: JSON {
    [
      "registry": 1,
      "entries": .array(
        entries.values.sorted { $0.path < $1.path }.map { entry in
          var object = entry.json.object ?? JSONObject()
          object.append("settled", .bool(entry.isSettled))
          object.append("stamp", entry.stamp?.json ?? .null)
          object.append("file", .string(entry.file))
          object.append("file_stamp", entry.fileStamp?.json ?? .null)
          return .object(object)
        }),
    ]
  }

  /// Takes what the cache's file says; what cannot be read is as good as absent.
  mutating func load(_ json: JSON) {
    guard json.object?["registry"]?.int64 == 1 else { return }
    for element in (json.object?["entries"]?.array ?? []).prefix(Registry.capacity) {
      guard let object = element.object, let path = object["path"]?.string, entries[path] == nil,
        let state = object["state"]?.string.flatMap({ PluginState(rawValue: $0) })
      else { continue }
      entries[path] = Entry(
        path: path, id: object["plugin"]?.string ?? "", version: object["version"]?.string ?? "",
        // Nothing is active in a process that has just begun.
        state: state == .active ? .verified : state, reason: object["reason"]?.string ?? "",
        isSettled: object["settled"]?.bool ?? false, stamp: FileStamp(object["stamp"]),
        file: object["file"]?.string ?? "", fileStamp: FileStamp(object["file_stamp"]))
    }
  }

  mutating func noteSaved() {
    isDirty = false
  }
}
