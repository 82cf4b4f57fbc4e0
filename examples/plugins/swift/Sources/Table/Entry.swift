public import CFareboxPlugin

/// The one symbol that a host looks for.
@_cdecl("farebox_plugin_entry") @implementation
public func farebox_plugin_entry() -> UnsafePointer<farebox_plugin>? {
  unsafe UnsafePointer(table)
}

/// The plugin's table, made once and kept for as long as the process lives.
nonisolated(unsafe) private let table: UnsafeMutablePointer<farebox_plugin> = {
  let names = UnsafeMutableBufferPointer<farebox_plugin_str>.allocate(capacity: TablePlugin.tools.count)
  for (place, tool) in TablePlugin.tools.enumerated() {
    unsafe names.initializeElement(at: place, to: text(tool.name))
  }
  var plugin = unsafe farebox_plugin()
  unsafe plugin.struct_size = UInt32(MemoryLayout<farebox_plugin>.size)
  unsafe plugin.abi_major = UInt16(FAREBOX_PLUGIN_ABI_MAJOR)
  unsafe plugin.abi_minor = UInt16(FAREBOX_PLUGIN_ABI_MINOR)
  unsafe plugin.id = text("org.farebox.example.table")
  unsafe plugin.version = text("1.0.0")
  unsafe plugin.tools = UnsafePointer(names.baseAddress)
  unsafe plugin.tool_count = UInt32(names.count)
  unsafe plugin.`init` = initialise
  unsafe plugin.call = call
  unsafe plugin.shutdown = shutdown
  unsafe plugin.configure = configure
  let table = UnsafeMutablePointer<farebox_plugin>.allocate(capacity: 1)
  unsafe table.initialize(to: plugin)
  return unsafe table
}()

/// Text that lives as long as the plugin.
private func text(_ literal: StaticString) -> farebox_plugin_str {
  let bytes = unsafe UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
  return unsafe farebox_plugin_str(ptr: bytes, len: literal.utf8CodeUnitCount)
}

private func initialise(
  host: UnsafePointer<farebox_plugin_host>?, config: farebox_plugin_str,
  instance: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> farebox_plugin_answer {
  guard let host = unsafe host, let instance = unsafe instance else { return Answer.failed }
  do {
    let plugin = TablePlugin(services: unsafe Services(of: host))
    try unsafe plugin.configure(bytes(config))
    unsafe instance.pointee = Unmanaged.passRetained(plugin).toOpaque()
    return Answer.ok
  } catch {
    return error.status
  }
}

private func shutdown(instance: UnsafeMutableRawPointer?) {
  guard let instance = unsafe instance else { return }
  unsafe Unmanaged<TablePlugin>.fromOpaque(instance).release()
}

private func configure(instance: UnsafeMutableRawPointer?, config: farebox_plugin_str) -> farebox_plugin_answer {
  guard let instance = unsafe instance else { return Answer.failed }
  do {
    try unsafe Unmanaged<TablePlugin>.fromOpaque(instance).takeUnretainedValue().configure(bytes(config))
    return Answer.ok
  } catch {
    return error.status
  }
}

/// Runs a tool. Nothing that Swift throws leaves it, and what would trap is checked before.
private func call(instance: UnsafeMutableRawPointer?, call: UnsafePointer<farebox_plugin_call>?)
  -> farebox_plugin_answer
{
  guard let instance = unsafe instance, let call = unsafe call else { return Answer.failed }
  let plugin = unsafe Unmanaged<TablePlugin>.fromOpaque(instance).takeUnretainedValue()
  let current = unsafe ToolCall(call, services: plugin.services)
  do {
    try plugin.run(current)
    return Answer.ok
  } catch {
    current.explain(error.sentence)
    return error.status
  }
}
