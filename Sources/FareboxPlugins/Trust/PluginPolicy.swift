package import Farebox

/// What plugins a process may load, and what they may do.
package struct PluginPolicy: Sendable, Equatable {
  /// Absolute paths; plugins are loaded from below these only.
  package let directories: [String]
  /// The least trust that is loaded.
  package let trust: TrustLevel
  /// Whose signatures count, by the names that the operator gave them.
  package let keys: [String: PublicKey]
  /// Digests of manifests that are known to be good.
  package let pins: Set<Digest>
  /// What is not loaded whatever else is said of it.
  package let revoked: Set<Revocation>
  /// The ids of plugins that may run in this process.
  package let inProcess: Set<String>
  /// Whether foreign plugins may be libraries of the system.
  package let systemLibraries: Bool
  /// The most that a plugin is granted.
  package let permissions: PluginPermissions
  /// The path of the lock file.
  package let lock: String?
  /// Whether what is not in the lock file is refused.
  package let isLocked: Bool
  /// The path of the registry cache.
  package let cache: String?
  /// The path of the worker program, where it is not at its usual place.
  package let worker: String?
  /// Worker processes of one plugin at most.
  package let processes: Int

  /// What must not be loaded any more.
  package enum Revocation: Hashable, Sendable {
    case key(PublicKey)
    /// The digest of a manifest or of a shared object.
    case digest(Digest)
    case plugin(String)
    case version(id: String, version: String)
  }

  /// Bytes of a policy.
  package static let longest = 1 << 20
}
