internal import CWorker
internal import Farebox
internal import FareboxCore
internal import Glibc

/// Finding plugins: manifests below the policy's folders, each looked at in a process of its own.
extension PluginHost {
  /// Looks for manifests and at those that have changed since the last look.
  ///
  /// A plugin that is sound by its files is started in a worker, whatever the policy lets it do later, so that one that
  /// crashes takes nobody with it; it goes into quarantine until its file changes.
  ///
  /// - Parameter probes: whether to start what is new; otherwise files are verified and nothing is run.
  /// - Returns: folders that were passed over, with reasons.
  func scan(_ engine: Engine, probes: Bool) throws(Failure) -> [JSON] {
    guard let policy = PluginPolicy.current else { throw PluginHost.off }
    return try change { () throws(Failure) in
      loadRegistry(policy)
      let (folders, passedOver) = policy.searchFolders()
      let paths = folders.flatMap { ManifestFinder.find(below: $0) }
      registry.withLock { $0.keep(Set(paths)) }
      for path in paths where !registry.withLock({ $0.isSettled(path) }) {
        look(engine, path, policy, probes: probes)
      }
      saveRegistry(policy)
      return passedOver.map { ["folder": .string($0.folder), "reason": .string($0.reason)] }
    }
  }

  private func look(_ engine: Engine, _ path: String, _ policy: PluginPolicy, probes: Bool) {
    var manifest: PluginManifest?
    do throws(Failure) {
      let found = try Verification.verify(manifestAt: path, under: policy)
      manifest = found.manifest
      if probes { try probe(found, policy) }
      registry.withLock {
        $0.note(path, manifest: manifest, state: .verified, reason: "", isSettled: probes)
      }
    } catch {
      let state: PluginState =
        switch error.status {
        case .pluginCrashed, .pluginDeadline: .quarantined
        case .pluginBroken, .pluginFailed: .failed
        default: .refused
        }
      // That the machine cannot do it now says nothing of the plugin.
      let isSettled = error.status != .pluginUnavailable
      registry.withLock {
        $0.note(path, manifest: manifest, state: state, reason: error.message, isSettled: isSettled)
      }
      try? engine.raiseEvent(
        "plugin.refused",
        ["path": .string(path), "status": .string(error.status.name), "reason": .string(error.message)])
    }
  }

  /// Starts a plugin in a worker, asks whether it is well, and ends it.
  private func probe(_ found: VerifiedPlugin, _ policy: PluginPolicy) throws(Failure) {
    // One that needs a configuration cannot be started without.
    guard (try? found.manifest.checkConfig(.object(JSONObject()))) != nil else { return }
    let process = try WorkerProcess(found, worker: WorkerProgram.path(policy), logs: { _, _ in })
    defer { process.shutdown() }
    try process.initialise(config: "{}")
    try process.activate()
    try process.health()
    process.deactivate()
  }

  /// Takes what the cache says, as long as nothing else is known.
  func loadRegistry(_ policy: PluginPolicy) {
    guard let cache = policy.cache, registry.withLock({ $0.entries.isEmpty }), let json = RegistryCache.read(cache)
    else { return }
    registry.withLock { $0.load(json) }
  }

  /// Writes the cache, if the policy names one and something has changed.
  func saveRegistry(_ policy: PluginPolicy) {
    guard let cache = policy.cache else { return }
    // Spelt out, because of a nil beside a JSON the compiler would make JSON's null.
    let json = registry.withLock { registry -> JSON? in registry.isDirty ? .some(registry.json) : .none }
    guard let json else { return }
    // A cache that cannot be written costs time at the next start and nothing else.
    if RegistryCache.write(json, to: cache) { registry.withLock { $0.noteSaved() } }
  }

  /// The manifest of the newest version of a plugin that discovery has found to be in order.
  func discoveredPath(_ id: String) throws(Failure) -> String {
    let found = registry.withLock { registry in
      registry.entries.values.filter { $0.id == id }
    }
    let usable = found.filter { $0.state == .verified || $0.state == .active || $0.state == .stopped }
    let newest = usable.max { left, right in
      guard let a = SemanticVersion(left.version), let b = SemanticVersion(right.version) else { return false }
      return a < b
    }
    if let newest { return newest.path }
    guard let refused = found.first else {
      throw Failure(
        .pluginNotFound, field: "plugin", "No plugin '\(id.prefix(100))' was found; plugin.scan looks for plugins.")
    }
    throw Failure(
      refused.state == .quarantined ? .pluginQuarantined : .pluginInactive, field: "plugin",
      "Plugin '\(id.prefix(100))' is \(refused.state.rawValue): \(refused.reason)")
  }
}

/// Finds manifests in a folder and those below it, without following links.
enum ManifestFinder {
  private static let deepest = 4
  private static let mostEntries = 100_000

  /// The paths of all manifests, sorted.
  static func find(below folder: String) -> [String] {
    var found: [String] = []
    var seen = 0
    find(folder, depth: 0, &found, &seen)
    return found.sorted()
  }

  private static func find(_ folder: String, depth: Int, _ found: inout [String], _ seen: inout Int) {
    guard depth <= deepest, let directory = unsafe opendir(folder) else { return }
    defer { unsafe closedir(directory) }
    while let entry = unsafe readdir(directory), seen < mostEntries {
      seen += 1
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe String(validatingCString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
      }
      guard let name, name != ".", name != ".." else { continue }
      let path = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
      var status = stat()
      guard unsafe lstat(path, &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: find(path, depth: depth + 1, &found, &seen)
      case S_IFREG where name.hasSuffix(PluginManifest.suffix): found.append(path)
      default: break
      }
    }
  }
}
