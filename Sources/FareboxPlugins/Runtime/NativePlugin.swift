internal import CFareboxPlugin
package import FareboxCore
internal import Glibc

/// A plugin that implements `farebox_plugin.h`, in this process.
@safe
package final class NativePlugin: LocalPlugin, @unchecked Sendable {
  // Sound because whoever uses `instance` and the slot has entered `state`.
  private let table: PluginTable
  private let services: PluginServices
  private let slot: CallSlot
  private let state = InstanceState()
  private var instance: UnsafeMutableRawPointer?
  /// Tools of which the host measures something, by the bytes of their names.
  private let measured: [(name: [UInt8], meters: MeterSet)]

  /// Maps an image and reads its table. Code of the plugin may run: that of its constructors.
  ///
  /// - Parameter image: a descriptor, which may be closed afterwards.
  /// - Throws: `pluginBroken`, `pluginABI`.
  package convenience init(
    image: Int32, manifest: PluginManifest, grants: PluginPermissions, logs: @escaping PluginLogs
  ) throws(Failure) {
    let library = try SharedObject(image: image)
    guard let symbol = unsafe library.symbol("farebox_plugin_entry") else {
      throw Failure(.pluginBroken, "The plugin is not what its manifest says: it has no symbol farebox_plugin_entry.")
    }
    typealias Entry = @convention(c) () -> UnsafeRawPointer?
    try unsafe self.init(
      entry: unsafeBitCast(symbol, to: Entry.self), manifest: manifest, grants: grants, logs: logs)
  }

  /// Takes a plugin that is part of this program.
  ///
  /// - Throws: `pluginBroken`, `pluginABI`.
  init(
    entry: @convention(c) () -> UnsafeRawPointer?, manifest: PluginManifest, grants: PluginPermissions,
    logs: @escaping PluginLogs
  ) throws(Failure) {
    table = try unsafe PluginTable(entry(), manifest: manifest)
    services = PluginServices(logs: logs)
    slot = CallSlot(store: grants.store ? StoreSession() : nil)
    measured = manifest.tools.compactMap { tool in
      let meters = tool.usage.reduce(into: MeterSet()) { $0.insert(MeterSet($1.meter)) }
      return meters.isEmpty ? nil : (Array(tool.name.utf8), meters)
    }
  }

  // MARK: Life

  package func initialise(config: String) throws(Failure) {
    try state.pass(from: .loaded, to: .initialised, failed: .ended) { () throws(Failure) in
      services.setConfig(try JSON.parse(config))
      var made: UnsafeMutableRawPointer?
      let status = unsafe config.withText { unsafe table.initialise(services.host, $0, &made) }
      guard status == PluginAnswer.ok else { throw NativePlugin.failure("init", status) }
      unsafe instance = made
    }
  }

  package func activate() throws(Failure) {
    try state.pass(from: .initialised, to: .active, failed: .initialised) { () throws(Failure) in
      guard let activate = unsafe table.functions.activate else { return }
      let status = unsafe activate(instance)
      guard status == PluginAnswer.ok else { throw NativePlugin.failure("activate", status) }
    }
  }

  package func health() throws(Failure) {
    try state.pass(from: .active, to: .active, failed: .active) { () throws(Failure) in
      guard let health = unsafe table.functions.health else { return }
      let status = unsafe health(instance)
      guard status == PluginAnswer.ok else {
        throw PluginAnswer.failure(status, sentence: "The plugin says that it is not healthy.")
      }
    }
  }

  package func configure(_ config: String) throws(Failure) {
    try state.pass(from: .active, to: .active, failed: .active) { () throws(Failure) in
      guard let configure = unsafe table.functions.configure else {
        throw Failure(.unsupported, "The plugin takes no new configuration while it is active.")
      }
      let json = try JSON.parse(config)
      let status = unsafe config.withText { unsafe configure(instance, $0) }
      guard status == PluginAnswer.ok else { throw NativePlugin.failure("configure", status) }
      services.setConfig(json)
    }
  }

  package func deactivate() {
    guard state.enter(.active) else { return }
    unsafe table.functions.deactivate?(instance)
    state.leave(.initialised)
  }

  package func shutdown() {
    guard state.enter(.initialised) else { return }
    unsafe table.functions.shutdown?(instance)
    unsafe instance = nil
    state.leave(.ended)
  }

  // MARK: Calls

  package func run<Result>(
    _ request: borrowing BorrowedCall, fetch: ((String) -> [UInt8]?)?, whenFull: (() -> Void)?,
    _ body: (CallSlot) -> Result
  ) throws(Failure) -> Result {
    guard state.enter(.active) else { throw state.refusal(.active) }
    defer { state.leave(.active) }
    slot.store?.begin(fetch)
    defer { slot.store?.end() }
    slot.output.onFull(whenFull)
    let status = unsafe invoke(request)
    guard status == PluginAnswer.ok, !slot.output.isFull else { throw unsafe failure(status, request.outputLimit) }
    let result = body(slot)
    slot.output.close()
    return result
  }

  /// The call itself, without a string, an allocation or a reference counted: for who has entered the state.
  @inline(__always)
  private func invoke(_ request: borrowing BorrowedCall) -> farebox_plugin_answer {
    unsafe slot.open(request, measured: measured.isEmpty ? MeterSet() : meters(request.tool))
    defer { slot.close() }
    return unsafe table.call(instance, slot.call)
  }

  private func meters(_ tool: farebox_plugin_str) -> MeterSet {
    measured.first { unsafe tool.bytes.elementsEqual($0.name) }?.meters ?? MeterSet()
  }

  private func failure(_ status: farebox_plugin_answer, _ limit: Int) -> Failure {
    let failure = PluginAnswer.failure(status, sentence: slot.sentence)
    defer { slot.output.close() }
    guard slot.output.isFull, status != PluginAnswer.cancelled else { return failure }
    return Failure(.pluginOutputLimit, "The call wrote more than \(limit) bytes.")
  }

  private static func failure(_ function: String, _ status: farebox_plugin_answer) -> Failure {
    let kind: Status = status == PluginAnswer.unavailable ? .pluginUnavailable : .pluginBroken
    return Failure(kind, "The plugin's function \(function) failed with answer \(status).")
  }
}

extension String {
  /// Lends the text as a plugin takes it.
  func withText<Result>(_ body: (farebox_plugin_str) -> Result) -> Result {
    var copy = self
    return copy.withUTF8 { unsafe body(farebox_plugin_str(UnsafeRawBufferPointer($0))) }
  }
}
