internal import Farebox
internal import FareboxCore

extension VerifiedPlugin {
  /// Refuses a plugin that a policy, which was tightened since it was verified, no longer allows.
  ///
  /// Its files are not read again: what runs is what was verified.
  func check(_ policy: PluginPolicy) throws(Failure) {
    guard policy.directories.contains(where: { FilePath.relative(manifestPath, to: $0) != nil }) else {
      throw refusal("directories", "its folder is no longer allowed")
    }
    var level = policy.pins.contains(manifestDigest) ? TrustLevel.pinned : .unsigned
    if let signer, policy.keys.values.contains(signer) { level = .signed }
    guard level >= policy.trust else { throw refusal("trust", "only what is \(policy.trust.rawValue) is loaded now") }
    var names: [PluginPolicy.Revocation] = [
      .plugin(manifest.id), .version(id: manifest.id, version: manifest.version), .digest(manifestDigest),
      .digest(image.digest),
    ]
    if let signer { names.append(.key(signer)) }
    guard policy.revoked.isDisjoint(with: names) else { throw refusal("revoked", "it was revoked") }
    if let excess = grants.excess(over: policy.permissions) {
      throw refusal("permissions.\(excess)", "it was granted more than is granted now")
    }
    guard !runsInProcess || (policy.inProcess.contains(manifest.id) && level >= .pinned) else {
      throw refusal("in_process", "it may no longer run in this process")
    }
    if case .system? = manifest.file(for: .current)?.source, !policy.systemLibraries {
      throw refusal("system_libraries", "libraries of the system are no longer allowed")
    }
  }

  private func refusal(_ member: String, _ why: String) -> Failure {
    Failure(
      .pluginPolicy, field: member,
      "The policy of this process has changed, and '\(manifest.id)' was stopped: \(why).")
  }
}
