internal import Farebox
internal import FareboxCore

/// Plugins through the JSON door. None of these switches loading on: only the C interface does.
enum PluginOperations {
  static let all: [Operation] = [
    scan, list, inspect, quote, load, replace, unload, configure, health, logs, metrics, policy,
  ]

  static let plugin = OperationField("plugin", .text, "The plugin's id.")
  static let loadedPlugin = OperationField("plugin", .text, "The plugin's id.", required: true)
  static let path = OperationField("path", .text, "The path of its manifest.")
  private static let config = OperationField(
    "config", .object, "Its configuration; a secret may be `{\"env\": \"NAME\"}`, a variable of the host's environment."
  )

  private static let row = [
    OperationField("plugin", .text, "The id."), OperationField("version", .text, "The version."),
    OperationField(
      "state", .text,
      "discovered, verified, starting, active, draining, stopped, refused, failed or quarantined."),
    OperationField("reason", .text, "Why it is not active; empty where it is."),
    OperationField("path", .text, "Where its manifest is; empty for one that is built in."),
    OperationField("trust", .text, "built-in, signed, pinned or unsigned; null where it was not verified."),
    OperationField("mode", .text, "in_process or worker; null where it was not verified."),
    OperationField("tools", .list, "The names of its tools; null where its manifest could not be read."),
  ]

  static let scan = Operation(
    "plugin.scan",
    "Looks for plugins below the policy's folders, and starts each new one in a process of its own to see that it works.",
    input: [OperationField("probe", .flag, "False to verify files only and run nothing; true where absent.")],
    output: [
      OperationField("plugins", .list, "As plugin.list."),
      OperationField("passed_over", .list, "Folders that were not searched, each with folder and reason."),
    ], errors: [.pluginsOff, .busy]
  ) { engine, input throws(Failure) in
    let host = try PluginHost.of(engine)
    let passedOver = try host.scan(engine, probes: input.value("probe")?.bool ?? true)
    return ["plugins": .array(host.rows()), "passed_over": .array(passedOver)]
  }

  static let list = Operation(
    "plugin.list", "Lists the plugins that are loaded or were found, and why one is not active.",
    input: [OperationField("state", .text, "Only plugins in this state.")],
    output: [OperationField("plugins", .list, "Each with plugin, version, state, reason, path, trust, mode and tools.")]
  ) { engine, input throws(Failure) in
    let rows = try PluginHost.of(engine).rows()
    let state = input.text("state")
    return ["plugins": .array(rows.filter { state == nil || $0.object?["state"]?.string == state })]
  }

  static let inspect = Operation(
    "plugin.inspect",
    "Tells everything about a plugin: of one that is loaded its state, of a manifest what it says; nothing is run.",
    input: [plugin, path, OperationField("manifest", .text, "A manifest's text.")],
    output: row + [
      OperationField("manifest", .object, "The manifest."),
      OperationField("manifest_sha256", .text, "Its digest."),
      OperationField("sha256", .text, "Of the file that is loaded, or null."),
      OperationField("permissions", .object, "What it is granted; of a manifest that is not loaded, what it asks for."),
      OperationField("config", .object, "Its configuration, with secrets hidden; null where it is not loaded."),
      OperationField("sandbox", .object, "What the kernel gave of its worker's sandbox, or null."),
      OperationField("supervision", .object, "Instances, processes and circuit breaker, or null."),
      OperationField("metrics", .object, "As plugin.metrics, or null."),
    ], errors: [.pluginNotFound, .pluginManifest]
  ) { engine, input throws(Failure) in
    let host = try PluginHost.of(engine)
    if let id = input.text("plugin") {
      guard let loaded = host.plugin(id) else {
        return try PluginHost.json(manifestAt: host.discoveredPath(id), host)
      }
      return loaded.json
    }
    if let path = input.text("path") { return try PluginHost.json(manifestAt: path, host) }
    guard let text = input.text("manifest") else {
      throw Failure(.missingField, field: "plugin", "Give a plugin, a path or a manifest.")
    }
    return PluginHost.json(try PluginManifest.parse(Array(text.utf8)), digest: SHA256Hasher.hash(Array(text.utf8).span))
  }

  static let quote = Operation(
    "plugin.quote", "Quotes a tool of a manifest for a usage, without running, loading or registering anything.",
    input: [
      plugin, path, OperationField("manifest", .text, "A manifest's text."),
      OperationField("tool", .text, "The tool's name.", required: true),
      OperationField("usage", .object, "What the call would use, by meter; one request where absent."),
    ],
    output: [
      OperationField("total", .amount, "What the call would cost."), OperationField("asset", .text, "Its asset."),
      OperationField("lines", .list, "How the total comes about, as in quote.create."),
    ], errors: [.pluginNotFound, .pluginManifest, .toolNotFound, .unpriceable]
  ) { engine, input throws(Failure) in
    let host = try PluginHost.of(engine)
    let manifest: PluginManifest
    if let text = input.text("manifest") {
      manifest = try PluginManifest.parse(Array(text.utf8))
    } else if let id = input.text("plugin"), let loaded = host.plugin(id) {
      manifest = loaded.manifest
    } else {
      manifest = try PluginManifest.read(manifestPath(input, host)).manifest
    }
    return try manifest.quote(input.text("tool") ?? "", usage: input.value("usage"))
  }

  static let load = Operation(
    "plugin.load", "Verifies and starts a plugin, registers its skill, and opens its tools to calls.",
    input: [path, plugin, config],
    output: row + [OperationField("changed", .flag, "False where it was active before.")],
    errors: [
      .pluginsOff, .pluginPolicy, .pluginNotFound, .pluginManifest, .pluginUntrusted, .pluginABI, .pluginBroken,
      .pluginQuarantined, .pluginCrashed, .pluginDeadline, .skillExists, .busy,
    ]
  ) { engine, input throws(Failure) in
    let host = try PluginHost.of(engine)
    let (plugin, isNew) = try host.load(engine, path: manifestPath(input, host), configuration: input.value("config"))
    return plugin.row(adding: [("changed", .bool(isNew))])
  }

  /// The path that an input names, or that of the newest version that was found of the plugin that it names.
  private static func manifestPath(_ input: OperationInput, _ host: PluginHost) throws(Failure) -> String {
    if let path = input.text("path") { return path }
    guard let id = input.text("plugin") else {
      throw Failure(
        .missingField, field: "path", "Give the path of a manifest, or a plugin that plugin.scan has found.")
    }
    return try host.discoveredPath(id)
  }

  static let replace = Operation(
    "plugin.replace",
    "Puts another version in the place of an active plugin; if it is not well, the old one stays.",
    input: [OperationField("path", .text, "The path of the new version's manifest.", required: true), config],
    output: row + [OperationField("replaced", .text, "The version that was active before.")],
    errors: load.errors + [.pluginInactive]
  ) { engine, input throws(Failure) in
    let host = try PluginHost.of(engine)
    let (plugin, before) = try host.replace(
      engine, path: input.text("path") ?? "", configuration: input.value("config"))
    return plugin.row(adding: [("replaced", .string(before))])
  }

  static let unload = Operation(
    "plugin.unload", "Lets the calls of a plugin end and stops it; its tools then answer PLUGIN_INACTIVE.",
    input: [loadedPlugin], output: row, errors: [.pluginNotFound, .busy]
  ) { engine, input throws(Failure) in
    try PluginHost.of(engine).unload(engine, input.text("plugin") ?? "").row()
  }

  static let configure = Operation(
    "plugin.configure", "Gives an active plugin another configuration; one that it refuses changes nothing.",
    input: [loadedPlugin, OperationField("config", .object, config.doc, required: true)], output: row,
    errors: [.pluginNotFound, .pluginInactive, .pluginBroken, .pluginFailed, .pluginInput, .busy]
  ) { engine, input throws(Failure) in
    let host = try PluginHost.of(engine)
    return try host.configure(engine, input.text("plugin") ?? "", input.value("config") ?? .null).row()
  }

  static let health = Operation(
    "plugin.health", "Asks a plugin whether calls are likely to work.", input: [loadedPlugin],
    output: [
      OperationField("healthy", .flag, "What it answers."),
      OperationField("status", .text, "The status, where it is not."),
      OperationField("reason", .text, "Why not."),
      OperationField("supervision", .object, "Instances, processes and circuit breaker."),
    ], errors: [.pluginNotFound]
  ) { engine, input throws(Failure) in
    guard let plugin = try PluginHost.of(engine).plugin(input.text("plugin") ?? "") else {
      throw PluginHost.unknown(input.text("plugin") ?? "")
    }
    var answer: JSONObject = ["healthy": true]
    do throws(Failure) {
      try plugin.checkActive().prove()
    } catch {
      answer = [
        "healthy": false, "status": .string(error.status.name), "reason": .string(error.message),
      ]
    }
    answer.append("supervision", plugin.supervisor?.json ?? .null)
    return .object(answer)
  }

  static let logs = Operation(
    "plugin.logs", "Gives the latest lines of a plugin's log, oldest first.",
    input: [
      loadedPlugin, OperationField("after", .integer, "Only lines after this number."),
      OperationField("limit", .integer, "Lines, from 1 to 1,000; 100 where absent."),
    ],
    output: [
      OperationField("lines", .list, "Each with number, time, level and text."),
      OperationField("next", .integer, "The next call's after, or null."),
    ], errors: [.pluginNotFound]
  ) { engine, input throws(Failure) in
    guard let plugin = try PluginHost.of(engine).plugin(input.text("plugin") ?? "") else {
      throw PluginHost.unknown(input.text("plugin") ?? "")
    }
    let limit = try Paging.limit(input)
    return plugin.log.json(after: input.integer("after") ?? 0, limit: limit)
  }

  static let metrics = Operation(
    "plugin.metrics", "Gives counters of the plugins that are loaded, since each was.",
    input: [plugin],
    output: [OperationField("plugins", .list, "Each with plugin, version and counters.")], errors: [.pluginNotFound]
  ) { engine, input throws(Failure) in
    let host = try PluginHost.of(engine)
    let wanted = input.text("plugin")
    if let wanted, host.plugin(wanted) == nil { throw PluginHost.unknown(wanted) }
    return [
      "plugins": .array(
        host.loaded().filter { wanted == nil || $0.id == wanted }.map { plugin in
          var row: JSONObject = ["plugin": .string(plugin.id), "version": .string(plugin.version)]
          for member in plugin.metrics.json.object?.members ?? [] { row.append(member.key, member.value) }
          return .object(row)
        })
    ]
  }

  static let policy = Operation(
    "plugin.policy", "Tells what plugins this process may load.",
    output: [
      OperationField("enabled", .flag, "Whether a policy was set."),
      OperationField("policy", .object, "The policy, or null."),
    ]
  ) { _, _ throws(Failure) in
    let current = PluginPolicy.current
    return ["enabled": .bool(current != nil), "policy": current?.json ?? .null]
  }
}
