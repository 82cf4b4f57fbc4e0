package import FareboxCore

/// What a plugin is, offers, costs and asks for, as its author declares it; read without running anything.
package struct PluginManifest: Sendable, Equatable {
  /// Who calls the plugin's functions, and how.
  package enum Kind: String, CaseIterable, Sendable {
    /// A shared object that implements farebox_plugin.h.
    case native
    /// A shared object that knows nothing of Farebox, called by declared signatures.
    case foreign
  }

  /// The plugin's id, and that of its skill: reverse DNS.
  package let id: String
  /// The version by Semantic Versioning.
  package let version: String
  /// The name for people.
  package let name: String
  package let license: String
  package let contact: String
  package let homepage: String?
  package let kind: Kind
  /// The versions of farebox_plugin.h that a native plugin can be called by; nil for a foreign one.
  package let abi: ABIRange?
  /// The shared object of each platform.
  package let files: [PluginFile]
  /// What the plugin asks for.
  package let permissions: PluginPermissions
  /// What configurations are allowed; nil is only `{}`.
  package let configSchema: JSONSchema?
  /// Other plugins that must be active.
  package let requires: [PluginRequirement]
  package let tools: [PluginTool]
  /// The manifest of the plugin's skill, which `skill.register` takes.
  package let skill: JSON
  /// The manifest as it was read.
  package let json: JSON

  /// What the name of a manifest's file ends in.
  package static let suffix = ".farebox.json"
  /// Bytes of a manifest.
  package static let longest = 1 << 20

  /// The tool of a name.
  package func tool(_ name: String) -> PluginTool? {
    tools.first { $0.name.utf8.elementsEqual(name.utf8) }
  }

  /// The shared object for a platform.
  package func file(for platform: PluginFile.Platform) -> PluginFile? {
    files.first { $0.platform == platform }
  }

  /// Refuses a configuration that the plugin does not allow.
  ///
  /// - Throws: `invalidArgument`, naming the member; never with a value of the configuration.
  package func checkConfig(_ config: JSON, path: String = "") throws(Failure) {
    guard let object = config.object else { throw Failure(.invalidArgument, field: path, "must be an object") }
    if let configSchema { return try configSchema.check(config, path: path, status: .invalidArgument) }
    guard object.isEmpty else {
      throw Failure(.invalidArgument, field: path, "must be empty: the plugin has no configuration")
    }
  }
}

/// Another plugin that must be active.
package struct PluginRequirement: Sendable, Equatable {
  package let id: String
  /// The least version that will do.
  package let minimum: SemanticVersion
}
