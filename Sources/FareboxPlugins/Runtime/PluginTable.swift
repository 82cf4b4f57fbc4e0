internal import CFareboxPlugin
internal import FareboxCore

/// The table behind a plugin's entry symbol, read as far as it goes and compared with the manifest.
@safe
struct PluginTable: @unchecked Sendable {
  // Sound because a plugin's table and functions live as long as the process.
  /// What the plugin's struct_size does not cover is NULL.
  let functions: farebox_plugin
  let initialise:
    @convention(c) (
      UnsafePointer<farebox_plugin_host>?, farebox_plugin_str, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> farebox_plugin_answer
  let call: @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<farebox_plugin_call>?) -> farebox_plugin_answer

  /// Bytes of the table of version 1.0 up to its last required function: what every plugin has.
  private static let required = unsafe (MemoryLayout<farebox_plugin>.offset(of: \.call) ?? 0) + MemoryLayout<Int>.size

  /// Reads a plugin's table.
  ///
  /// - Parameter host: the version that this host speaks.
  /// - Throws: `pluginABI`, `pluginBroken`.
  init(_ pointer: UnsafeRawPointer?, manifest: PluginManifest, host: ABIVersion = .host) throws(Failure) {
    guard let pointer = unsafe pointer else { throw PluginTable.broken("farebox_plugin_entry returns NULL") }
    // These three have had their places since the first version.
    let size = unsafe Int(pointer.loadUnaligned(as: UInt32.self))
    let version = unsafe ABIVersion(
      major: pointer.loadUnaligned(fromByteOffset: 4, as: UInt16.self),
      minor: pointer.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
    try PluginTable.check(version, manifest, host)
    guard size >= PluginTable.required else {
      throw PluginTable.broken("its table has \(size) bytes, which is less than any version has")
    }
    var table = unsafe farebox_plugin()
    unsafe withUnsafeMutableBytes(of: &table) { target in
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: min(size, target.count)))
    }
    guard let initialise = unsafe table.`init` else { throw PluginTable.broken("its function init is NULL") }
    guard let call = unsafe table.call else { throw PluginTable.broken("its function call is NULL") }
    unsafe functions = table
    unsafe self.initialise = initialise
    unsafe self.call = call
    try compare(manifest)
  }

  private static func check(
    _ version: ABIVersion, _ manifest: PluginManifest, _ host: ABIVersion
  ) throws(Failure) {
    guard version.major == host.major else {
      throw Failure(
        .pluginABI, "The plugin is built for version \(version) of farebox_plugin.h, and this host speaks \(host).")
    }
    guard let range = manifest.abi else { throw broken("its manifest does not say which versions it can be called by") }
    guard range.contains(host) else {
      throw Failure(
        .pluginABI, "The plugin can be called by version \(range) of farebox_plugin.h, and this host speaks \(host).")
    }
  }

  private func compare(_ manifest: PluginManifest) throws(Failure) {
    let id = try unsafe PluginTable.text(functions.id, "id")
    guard id.utf8.elementsEqual(manifest.id.utf8) else { throw PluginTable.differs("id", id, manifest.id) }
    let version = try unsafe PluginTable.text(functions.version, "version")
    guard version.utf8.elementsEqual(manifest.version.utf8) else {
      throw PluginTable.differs("version", version, manifest.version)
    }
    var missing = Set(manifest.tools.map { Array($0.name.utf8) })
    let count = unsafe Int(functions.tool_count)
    guard count == missing.count, let tools = unsafe functions.tools else {
      throw PluginTable.broken("it has \(count) tools, and its manifest says \(missing.count)")
    }
    for index in 0..<count {
      let name = try unsafe PluginTable.text(tools[index], "tools[\(index)]")
      guard missing.remove(Array(name.utf8)) != nil else {
        throw PluginTable.broken("its tool '\(name)' is not in its manifest, or is there once and here twice")
      }
    }
  }

  private static func text(_ text: farebox_plugin_str, _ field: String) throws(Failure) -> String {
    guard unsafe (1...Limits.toolName).contains(text.len), unsafe text.ptr != nil,
      let string = unsafe String(validating: text.bytes, as: UTF8.self)
    else { throw broken("its \(field) is not a text of 1 to \(Limits.toolName) bytes") }
    return string
  }

  private static func differs(_ what: String, _ ours: String, _ manifest: String) -> Failure {
    broken("its \(what) is '\(ours)', and its manifest says '\(manifest)'")
  }

  private static func broken(_ what: String) -> Failure {
    Failure(.pluginBroken, "The plugin is not what its manifest says: \(what).")
  }
}
