internal import CWorker
package import Farebox
package import FareboxCore
internal import Synchronization

/// Loading: verify, start, look whether it is well, register its skill, publish. What fails leaves everything as it was.
extension PluginHost {
  /// Loads the plugin of a manifest; loading again what is active changes nothing.
  ///
  /// - Parameter configuration: an object; secrets in it may be given as `{"env": "NAME"}`.
  func load(_ engine: Engine, path: String, configuration: JSON?) throws(Failure) -> (plugin: Plugin, isNew: Bool) {
    try change { () throws(Failure) in
      let plugin = try verified(engine, path: path)
      if let active = self.plugin(plugin.id) {
        if active.manifestDigest == plugin.manifestDigest { return (active, false) }
        throw Failure(
          .invalidArgument, field: "path",
          "Version \(active.version) of '\(plugin.id)' is active; plugin.replace puts another in its place.")
      }
      try begin(engine, plugin, configuration ?? .object(JSONObject()))
      try activate(engine, plugin, event: "plugin.loaded")
      return (plugin, true)
    }
  }

  /// Puts another version in the place of an active plugin: starts it beside the old one, looks whether it is well,
  /// switches, and lets the calls of the old one end. What fails leaves the old version in its place.
  func replace(
    _ engine: Engine, path: String, configuration: JSON?
  ) throws(Failure) -> (plugin: Plugin, before: String) {
    try change { () throws(Failure) in
      let plugin = try verified(engine, path: path)
      guard let active = self.plugin(plugin.id) else {
        throw Failure(.pluginInactive, field: "path", "No version of '\(plugin.id)' is active; plugin.load loads one.")
      }
      if active.manifestDigest == plugin.manifestDigest { return (active, active.version) }
      try begin(engine, plugin, configuration ?? active.configuration)
      try activate(engine, plugin, event: "plugin.replaced", before: active.version)
      stop(active, within: PluginHost.drainTime)
      return (plugin, active.version)
    }
  }

  /// Registers a plugin that is compiled into this process.
  package func register(
    _ engine: Engine, manifest bytes: [UInt8], entry: @escaping PluginEntry
  ) throws(Failure) {
    try engine.checkUsable()
    try change { () throws(Failure) in
      let manifest = try PluginManifest.parse(bytes)
      guard manifest.kind == .native else {
        throw Failure(.pluginManifest, field: "kind", "A built-in plugin is native.")
      }
      if self.plugin(manifest.id) != nil {
        throw Failure(.skillExists, field: "manifest.id", "A plugin '\(manifest.id)' is active.")
      }
      let plugin = unsafe Plugin(builtIn: manifest, digest: SHA256Hasher.hash(bytes.span), entry: entry)
      try begin(engine, plugin, .object(JSONObject()))
      try activate(engine, plugin, event: "plugin.loaded")
    }
  }

  /// Stops a plugin; its skill stays registered, and its tools answer PLUGIN_INACTIVE.
  func unload(_ engine: Engine, _ id: String) throws(Failure) -> Plugin {
    try change { () throws(Failure) in
      guard let plugin = self.plugin(id) else { throw PluginHost.unknown(id) }
      withdraw(plugin)
      stop(plugin, within: PluginHost.drainTime)
      note(plugin, .stopped, "it was unloaded")
      try engine.raiseEvent("plugin.unloaded", plugin.facts)
      return plugin
    }
  }

  /// Stops a plugin that the policy no longer allows.
  func stopForGood(_ engine: Engine, _ plugin: Plugin, why: String) {
    withdraw(plugin)
    stop(plugin, within: PluginHost.drainTime, why: why)
    note(plugin, .stopped, why)
    var facts = plugin.facts
    facts.append("reason", .string(why))
    raise(engine, "plugin.unloaded", facts)
  }

  /// Gives an active plugin another configuration, or leaves it with the one that it has.
  func configure(_ engine: Engine, _ id: String, _ configuration: JSON) throws(Failure) -> Plugin {
    try change { () throws(Failure) in
      guard let plugin = self.plugin(id) else { throw PluginHost.unknown(id) }
      let supervisor = try plugin.checkActive()
      let resolved = try Secrets.resolve(configuration, plugin.manifest.configSchema)
      try plugin.manifest.checkConfig(resolved, path: "config")
      let before = plugin.configuration
      do throws(Failure) {
        plugin.configuration = configuration
        do throws(Failure) {
          try supervisor.configure(resolved.serialized())
        } catch {
          guard error.status == .unsupported else { throw error }
          // It takes none while it is active: a new instance shows whether it takes this one at all.
          supervisor.renew()
          try supervisor.prove()
        }
      } catch {
        plugin.configuration = before
        if error.status != .pluginInput { supervisor.renew() }
        throw error
      }
      try engine.raiseEvent("plugin.configured", plugin.facts)
      return plugin
    }
  }

  static func unknown(_ id: String) -> Failure {
    Failure(.pluginNotFound, field: "plugin", "No plugin '\(id.prefix(100))' is loaded here.")
  }

  // MARK: Steps

  /// Verifies a manifest and its file under the policy of the process.
  private func verified(_ engine: Engine, path: String) throws(Failure) -> Plugin {
    let generation = PluginPolicy.generation.load(ordering: .acquiring)
    guard let policy = PluginPolicy.current else { throw PluginHost.off }
    loadRegistry(policy)
    do throws(Failure) {
      if let reason = registry.withLock({ $0.quarantine(path) }) {
        throw Failure(.pluginQuarantined, field: "path", "The plugin was put into quarantine: \(reason)")
      }
      let found = try Verification.verify(manifestAt: path, under: policy)
      try checkRequirements(found.manifest)
      return Plugin(found, policy: policy, generation: generation)
    } catch {
      switch error.status {
      // Quarantine lasts until the file changes, however often somebody tries; and what a plugin requires, or the machine
      // cannot do now, may be there the next time.
      case .pluginQuarantined, .pluginInactive, .pluginUnavailable: break
      default: registry.withLock { $0.note(path, manifest: nil, state: .refused, reason: error.message) }
      }
      raise(
        engine, "plugin.refused",
        ["path": .string(path), "status": .string(error.status.name), "reason": .string(error.message)])
      throw error
    }
  }

  /// Starts a plugin that was verified, with a configuration that it allows.
  private func begin(
    _ engine: Engine, _ plugin: Plugin, _ configuration: JSON
  ) throws(Failure) {
    do throws(Failure) {
      let resolved = try Secrets.resolve(configuration, plugin.manifest.configSchema)
      try plugin.manifest.checkConfig(resolved, path: "config")
    } catch {
      plugin.become(.refused, error.message)
      note(plugin, .refused, error.message)
      throw error
    }
    plugin.configuration = configuration
    plugin.become(.starting)
    do throws(Failure) {
      guard let supervisor = plugin.supervisor else { throw Failure(.internal, "The plugin has no supervisor.") }
      try supervisor.prove()
    } catch {
      fail(engine, plugin, error)
      throw error
    }
  }

  /// A plugin could not be started: stops what is left of it, and says so.
  private func fail(_ engine: Engine, _ plugin: Plugin, _ failure: Failure) {
    let isDangerous = failure.status == .pluginCrashed || failure.status == .pluginDeadline
    let state: PluginState = isDangerous ? .quarantined : .failed
    plugin.become(state, failure.message)
    note(plugin, state, failure.message)
    if isDangerous, let policy = PluginPolicy.current { saveRegistry(policy) }
    plugin.supervisor?.drain(until: farebox_worker_steady_clock())
    raise(
      engine, "plugin.refused",
      [
        "plugin": .string(plugin.id), "version": .string(plugin.version), "path": .string(plugin.path),
        "status": .string(failure.status.name), "reason": .string(failure.message),
      ])
  }

  /// Registers the skill of a plugin that has shown itself to be well, says so in the journal, and opens it to calls.
  private func activate(
    _ engine: Engine, _ plugin: Plugin, event: String, before: String? = nil
  ) throws(Failure) {
    do throws(Failure) {
      _ = try engine.call("skill.register", ["manifest": plugin.manifest.skill])
      var facts = plugin.facts
      if let before { facts.append("before", .string(before)) }
      try engine.raiseEvent(event, facts)
      let permissions = plugin.grants.granted
      if !permissions.isEmpty {
        var facts = plugin.facts
        facts.append("permissions", .object(permissions))
        try engine.raiseEvent("plugin.granted", facts)
      }
    } catch {
      fail(engine, plugin, error)
      throw error
    }
    plugin.become(.active)
    _ = publish(plugin)
    note(plugin, .active, "")
  }

  private func note(_ plugin: Plugin, _ state: PluginState, _ reason: String) {
    guard !plugin.path.isEmpty else { return }
    registry.withLock { $0.note(plugin.path, manifest: plugin.manifest, state: state, reason: reason) }
  }

  private func checkRequirements(_ manifest: PluginManifest) throws(Failure) {
    for requirement in manifest.requires {
      guard let active = plugin(requirement.id), let version = SemanticVersion(active.version),
        version >= requirement.minimum
      else {
        throw Failure(
          .pluginInactive, field: "requires",
          "It requires '\(requirement.id)' \(requirement.minimum.text) or later to be active.")
      }
    }
  }

  static let off = Failure(
    .pluginsOff, "This process loads no plugins; the host switches that on with farebox_set_plugin_policy.")

  /// Writes an event where the ledger takes it; what is reported must not undo what has happened.
  private func raise(_ engine: Engine, _ type: String, _ facts: JSONObject) {
    try? engine.raiseEvent(type, facts)
  }
}
