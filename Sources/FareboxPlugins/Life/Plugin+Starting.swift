internal import CWorker
internal import Farebox
internal import FareboxCore
internal import Synchronization

/// The entry of a plugin that is compiled into this process: `farebox_plugin_entry`, whatever its name is there.
package typealias PluginEntry = @Sendable @convention(c) () -> UnsafeRawPointer?

extension Plugin {
  /// A plugin whose files were found to be in order, with what it takes to start it.
  convenience init(_ found: VerifiedPlugin, policy: PluginPolicy, generation: Int) {
    self.init(
      manifest: found.manifest, manifestDigest: found.manifestDigest, fileDigest: found.image.digest,
      trust: found.trust, grants: found.grants, runsInProcess: found.runsInProcess, path: found.manifestPath,
      log: PluginLog(), verified: found, policyGeneration: generation)
    let limit = found.runsInProcess ? 1 : policy.processes
    // The supervisor belongs to the plugin, so it must not own it.
    supervisor = Supervisor(limit: limit) { [weak self] () throws(Failure) in
      guard let self else { throw Failure(.pluginInactive, "The plugin was unloaded.") }
      self.metrics.starts.add(1, ordering: .relaxed)
      let instance: any PluginInstance
      if found.runsInProcess {
        instance = try NativePlugin(
          image: found.image.descriptor, manifest: found.manifest, grants: found.grants, logs: self.logs)
      } else {
        let process = try WorkerProcess(found, worker: WorkerProgram.path(policy), logs: self.logs)
        self.sandbox = process.sandbox.json
        instance = process
      }
      try Plugin.prepare(instance, self)
      return instance
    }
  }

  /// A plugin that is compiled into this process.
  convenience init(
    builtIn manifest: PluginManifest, digest: Digest, entry: @escaping PluginEntry
  ) {
    self.init(
      manifest: manifest, manifestDigest: digest, fileDigest: nil, trust: .builtIn, grants: manifest.permissions,
      runsInProcess: true, path: "", log: PluginLog())
    supervisor = Supervisor(limit: 1) { [weak self] () throws(Failure) in
      guard let self else { throw Failure(.pluginInactive, "The plugin was unloaded.") }
      self.metrics.starts.add(1, ordering: .relaxed)
      let instance = try unsafe NativePlugin(
        entry: entry, manifest: manifest, grants: manifest.permissions, logs: self.logs)
      try Plugin.prepare(instance, self)
      return instance
    }
  }

  /// Refuses a call once the policy of the process no longer allows the plugin.
  func checkPolicy() throws(Failure) {
    guard let verified else { return }
    let generation = PluginPolicy.generation.load(ordering: .acquiring)
    guard generation != policyGeneration.load(ordering: .relaxed), let policy = PluginPolicy.current else { return }
    try verified.check(policy)
    policyGeneration.store(generation, ordering: .relaxed)
  }

  /// Takes an instance from loaded to active with the plugin's configuration.
  static func prepare(_ instance: any PluginInstance, _ plugin: Plugin) throws(Failure) {
    let resolved = try Secrets.resolve(plugin.configuration, plugin.manifest.configSchema)
    do throws(Failure) {
      try instance.initialise(config: resolved.serialized())
      try instance.activate()
    } catch {
      instance.shutdown()
      throw error
    }
  }

  /// Takes the lines of the plugin's log.
  var logs: PluginLogs {
    let log = log
    return { level, text in log.write(level, text, at: farebox_worker_wall_clock()) }
  }

  /// What events say of the plugin.
  var facts: JSONObject {
    var facts: JSONObject = [
      "plugin": .string(id), "version": .string(version), "manifest_sha256": .string(manifestDigest.hex),
      "trust": .string(trust.rawValue), "mode": .string(mode),
    ]
    if let fileDigest { facts.append("sha256", .string(fileDigest.hex)) }
    return facts
  }

  /// Where its code runs.
  var mode: String { runsInProcess ? "in_process" : "worker" }
}

extension PluginPermissions {
  /// The permissions that were granted beyond the numbers that every plugin has.
  var granted: JSONObject {
    var granted = JSONObject()
    if network { granted.append("network", true) }
    if !read.isEmpty { granted.append("read", .array(read.map { .string($0) })) }
    if !write.isEmpty { granted.append("write", .array(write.map { .string($0) })) }
    if !environment.isEmpty { granted.append("environment", .array(environment.map { .string($0) })) }
    if subprocess { granted.append("subprocess", true) }
    if store { granted.append("store", true) }
    return granted
  }

  /// All of them.
  var all: JSONObject {
    var all = granted
    all.append("memory_bytes", .int(memoryBytes))
    all.append("output_bytes", .int(outputBytes))
    all.append("deadline_ms", .int(deadlineMilliseconds))
    all.append("descriptors", .int(descriptors))
    return all
  }
}
