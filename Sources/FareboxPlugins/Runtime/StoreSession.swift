internal import CFareboxPlugin
internal import FareboxCore

/// What a call sees of its plugin's store: the host's values, and over them what the call has set itself.
final class StoreSession {
  private(set) var writes: [(key: String, value: [UInt8]?)] = []
  private var fetch: (String) -> [UInt8]? = { _ in nil }

  /// Reads a key; nil where it is none.
  static func key(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard (1...Limits.skillValueKey).contains(bytes.count), unsafe !bytes.contains(0) else { return nil }
    return unsafe String(validating: bytes, as: UTF8.self)
  }

  /// Begins a call whose host answers by `fetch`.
  func begin(_ fetch: @escaping (String) -> [UInt8]?) {
    self.fetch = fetch
    writes.removeAll(keepingCapacity: true)
  }

  /// Ends the call.
  func end() {
    fetch = { _ in nil }
  }

  /// The value of a key, or nil.
  func value(_ key: String) -> [UInt8]? {
    if let written = writes.first(where: { $0.key == key }) { return written.value }
    return fetch(key)
  }

  /// Sets a key, or removes it where the value is nil.
  func set(_ key: String, _ value: [UInt8]?) -> farebox_plugin_status {
    guard (value?.count ?? 0) <= Limits.skillValue else { return PluginStatus.invalidInput }
    if let index = writes.firstIndex(where: { $0.key == key }) {
      writes[index].value = value
      return PluginStatus.ok
    }
    guard writes.count < Limits.pluginWrites else { return PluginStatus.full }
    writes.append((key, value))
    return PluginStatus.ok
  }
}
