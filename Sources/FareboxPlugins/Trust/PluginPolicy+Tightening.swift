internal import Farebox
package import FareboxCore
internal import Synchronization

/// The policy of this process, nil until one is set.
private let processPolicy = Lock<PluginPolicy?>(nil)

extension PluginPolicy {
  /// The policy of this process; nil where loading is off.
  package static var current: PluginPolicy? {
    processPolicy.withLock { $0 }
  }

  /// Sets the policy of this process. The first call switches loading on; any later one may only allow less.
  ///
  /// - Throws: `pluginPolicy`, as `tightened`; the policy then stays as it was.
  package static func set(_ next: PluginPolicy) throws(Failure) {
    try processPolicy.withLock { current throws(Failure) in
      current = try current?.tightened(to: next) ?? next
      generation.add(1, ordering: .releasing)
    }
  }

  /// How often the policy was set: while it is the same, nothing need be asked of the policy again.
  static let generation = Atomic<Int>(0)

  /// A policy that follows this one: it must not allow anything that this one does not.
  ///
  /// - Throws: `pluginPolicy`, naming the member that would.
  package func tightened(to next: PluginPolicy) throws(Failure) -> PluginPolicy {
    guard let member = loosened(by: next) else { return next }
    throw Failure(.pluginPolicy, field: member, "would allow more than the policy that is set")
  }

  /// The first member by which another policy allows more.
  private func loosened(by next: PluginPolicy) -> String? {
    if let index = next.directories.firstIndex(where: { !FilePath.isCovered($0, by: directories) }) {
      return "directories[\(index)]"
    }
    if next.trust < trust { return "trust" }
    if let name = next.keys.keys.sorted().first(where: { next.keys[$0] != keys[$0] }) { return "keys.\(name)" }
    if !next.pins.isSubset(of: pins) { return "pins" }
    if !next.revoked.isSuperset(of: revoked) { return "revoked" }
    if !next.inProcess.isSubset(of: inProcess) { return "in_process" }
    if next.systemLibraries && !systemLibraries { return "system_libraries" }
    if let member = next.permissions.excess(over: permissions) ?? next.permissions.excessNumber(over: permissions) {
      return "permissions.\(member)"
    }
    if let lock, next.lock != lock { return "lock" }
    if isLocked && !next.isLocked { return "locked" }
    if let cache, next.cache != cache { return "cache" }
    if let worker, next.worker != worker { return "worker" }
    if next.processes > processes { return "processes" }
    return nil
  }
}
