internal import Farebox
internal import FareboxCore

/// What the host tells of its plugins.
extension PluginHost {
  /// The plugins that are loaded, in the order of their ids.
  func loaded() -> [Plugin] {
    catalog.withLock { $0.plugins.values.sorted { $0.id < $1.id } }
  }

  /// Rows of all plugins that are loaded or were found.
  func rows() -> [JSON] {
    let loaded = loaded()
    let paths = Set(loaded.map(\.path))
    let found = registry.withLock { registry in
      registry.entries.values.filter { !paths.contains($0.path) }.sorted { $0.path < $1.path }
    }
    return loaded.map { $0.row() } + found.map(\.row)
  }

  /// What a manifest says, with what is known of its file.
  static func json(manifestAt path: String, _ host: PluginHost) throws(Failure) -> JSON {
    let (manifest, digest) = try PluginManifest.read(path)
    let known = host.registry.withLock { $0.known(path) }
    return json(manifest, digest: digest, path: path, state: known?.state ?? .discovered, reason: known?.reason ?? "")
  }

  static func json(
    _ manifest: PluginManifest, digest: Digest, path: String = "", state: PluginState = .discovered, reason: String = ""
  ) -> JSON {
    [
      "plugin": .string(manifest.id), "version": .string(manifest.version), "state": .string(state.rawValue),
      "reason": .string(reason), "path": .string(path), "trust": .null, "mode": .null,
      "tools": .array(manifest.tools.map { .string($0.name) }), "manifest": manifest.json,
      "manifest_sha256": .string(digest.hex), "sha256": .null, "permissions": .object(manifest.permissions.all),
      "config": .null, "sandbox": .null, "supervision": .null, "metrics": .null,
    ]
  }
}

extension Registry.Entry {
  /// A row of `plugin.list`.
  var row: JSON {
    [
      "plugin": .string(id), "version": .string(version), "state": .string(state.rawValue), "reason": .string(reason),
      "path": .string(path), "trust": .null, "mode": .null, "tools": .null,
    ]
  }
}

extension Plugin {
  /// A row of `plugin.list`.
  func row(adding more: [(String, JSON)] = []) -> JSON {
    let reason = reason
    let members: [(String, JSON)] = [
      ("plugin", .string(id)), ("version", .string(version)), ("state", .string(state.rawValue)),
      ("reason", .string(reason)), ("path", .string(path)), ("trust", .string(trust.rawValue)),
      ("mode", .string(mode)), ("tools", .array(tools.map { .string($0.declared.name) })),
    ]
    return .object(JSONObject(members + more))
  }

  /// Everything, as `plugin.inspect` tells it.
  var json: JSON {
    let shown = manifest.configSchema.map { $0.hidingSecrets(in: configuration) } ?? configuration
    return row(adding: [
      ("manifest", manifest.json), ("manifest_sha256", .string(manifestDigest.hex)),
      ("sha256", fileDigest.map { .string($0.hex) } ?? .null), ("permissions", .object(grants.all)),
      ("config", shown), ("sandbox", sandbox), ("supervision", supervisor?.json ?? .null), ("metrics", metrics.json),
    ])
  }
}

extension PluginManifest {
  /// Reads the manifest at a path, running nothing.
  ///
  /// - Throws: `pluginNotFound` where there is none.
  static func read(_ path: String) throws(Failure) -> (manifest: PluginManifest, digest: Digest) {
    guard path.hasSuffix(PluginManifest.suffix) else {
      throw Failure(
        .pluginNotFound, field: "path", "The name of a manifest ends in '\(PluginManifest.suffix)'.")
    }
    let (folder, name) = PlainFile.split(path)
    let bytes = try PlainFile.manifest(name, in: PlainFile.folder(folder), path)
    return (try PluginManifest.parse(bytes), SHA256Hasher.hash(bytes.span))
  }

  /// What a tool would cost, by the manifest alone.
  func quote(_ tool: String, usage json: JSON?) throws(Failure) -> JSON {
    let skill = try SkillManifest.parse(skill, asset: { Asset.builtIn($0) })
    guard let found = skill.tools.first(where: { $0.name == tool }) else {
      throw Failure(.toolNotFound, field: "tool", "The plugin has no tool '\(tool.prefix(100))'.")
    }
    let asset = found.price.asset
    let usage = try json.map { json throws(Failure) in try Usage.parse(json, scale: asset.scale) } ?? .oneRequest
    var lines: [QuoteLine] = []
    let total = try found.price.quote(usage, dynamicAmount: nil) { lines.append($0) }
    return [
      "total": .string(Amount.text(total.total, scale: asset.scale, minorDigits: asset.minorDigits)),
      "asset": .string(asset.code), "lines": Shapes.lines(lines, asset),
    ]
  }
}
