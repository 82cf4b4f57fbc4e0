internal import CFareboxPlugin
internal import CWorker
internal import Farebox
internal import FareboxCore

/// The host as an instance sees it: the services that are not of one call.
///
/// A plugin is never unloaded and its threads may log for ever, so this is never given back.
@safe
final class PluginServices: @unchecked Sendable {
  // Sound because the table is only written here, and the rest is locked or constant.
  let host: UnsafeMutablePointer<farebox_plugin_host>
  let log: LogGate
  private let config = Lock<JSON>(.object(JSONObject()))

  init(logs: @escaping PluginLogs) {
    log = LogGate(logs)
    unsafe host = .allocate(capacity: 1)
    unsafe host.initialize(to: farebox_plugin_host())
    unsafe host.pointee.struct_size = UInt32(MemoryLayout<farebox_plugin_host>.size)
    unsafe host.pointee.abi_major = ABIVersion.host.major
    unsafe host.pointee.abi_minor = ABIVersion.host.minor
    unsafe host.pointee.context = Unmanaged.passRetained(self).toOpaque()
    unsafe host.pointee.service = { _, id in unsafe ServiceTables.shared.find(id.bytes) }
  }

  /// Takes the configuration that the config service answers with.
  func setConfig(_ json: JSON) {
    config.withLock { $0 = json }
  }

  /// The JSON text of a member of the configuration, or of all of it; nil where there is none of this name.
  func configuration(_ name: String) -> String? {
    let json = config.withLock { config in name.isEmpty ? config : config.object?[name] }
    return json?.serialized()
  }

  static func of(_ host: UnsafePointer<farebox_plugin_host>?) -> PluginServices? {
    guard let context = unsafe host?.pointee.context else { return nil }
    return unsafe Unmanaged<PluginServices>.fromOpaque(context).takeUnretainedValue()
  }
}

/// The tables of the services, which every plugin of the process shares.
@safe
struct ServiceTables: @unchecked Sendable {
  // Sound because they are only written here.
  static let shared = ServiceTables()

  private let log: UnsafeMutablePointer<farebox_plugin_log>
  private let config: UnsafeMutablePointer<farebox_plugin_config>
  private let clock: UnsafeMutablePointer<farebox_plugin_clock>
  private let meter: UnsafeMutablePointer<farebox_plugin_meter>
  private let store: UnsafeMutablePointer<farebox_plugin_store>
  private let cancel: UnsafeMutablePointer<farebox_plugin_cancel>

  private init() {
    func table<Table>(_ table: Table) -> UnsafeMutablePointer<Table> {
      let pointer = UnsafeMutablePointer<Table>.allocate(capacity: 1)
      unsafe pointer.initialize(to: table)
      return unsafe pointer
    }
    func size<Table>(_ type: Table.Type) -> UInt32 { UInt32(MemoryLayout<Table>.size) }
    unsafe log = table(
      farebox_plugin_log(
        struct_size: size(farebox_plugin_log.self),
        write: { host, level, message in unsafe PluginServices.of(host)?.log.write(level, message.bytes) }))
    unsafe config = table(
      farebox_plugin_config(
        struct_size: size(farebox_plugin_config.self), get: { unsafe ServiceTables.configuration($0, $1, $2) }))
    unsafe clock = table(
      farebox_plugin_clock(
        struct_size: size(farebox_plugin_clock.self), wall: { _ in farebox_worker_wall_clock() },
        steady: { _ in farebox_worker_steady_clock() }))
    unsafe meter = table(
      farebox_plugin_meter(
        struct_size: size(farebox_plugin_meter.self), add: { unsafe ServiceTables.add($0, $1, $2, $3) }))
    unsafe store = table(
      farebox_plugin_store(
        struct_size: size(farebox_plugin_store.self), get: { unsafe ServiceTables.value($0, $1, $2) },
        set: { unsafe ServiceTables.set($0, $1, $2) }))
    unsafe cancel = table(
      farebox_plugin_cancel(
        struct_size: size(farebox_plugin_cancel.self), cancelled: { unsafe CallSlot.isCancelled($0) }))
  }

  /// The table of a service, or nil for one that this host does not have.
  func find(_ id: UnsafeRawBufferPointer) -> UnsafeRawPointer? {
    switch unsafe String(decoding: id, as: UTF8.self) {
    case FAREBOX_PLUGIN_LOG: unsafe UnsafeRawPointer(log)
    case FAREBOX_PLUGIN_CONFIG: unsafe UnsafeRawPointer(config)
    case FAREBOX_PLUGIN_CLOCK: unsafe UnsafeRawPointer(clock)
    case FAREBOX_PLUGIN_METER: unsafe UnsafeRawPointer(meter)
    case FAREBOX_PLUGIN_STORE: unsafe UnsafeRawPointer(store)
    case FAREBOX_PLUGIN_CANCEL: unsafe UnsafeRawPointer(cancel)
    default: nil
    }
  }

  // MARK: Functions

  private static func configuration(
    _ host: UnsafePointer<farebox_plugin_host>?, _ name: farebox_plugin_str, _ out: UnsafePointer<farebox_plugin_sink>?
  ) -> farebox_plugin_status {
    guard let services = unsafe PluginServices.of(host) else { return PluginStatus.invalidInput }
    guard let text = unsafe services.configuration(String(decoding: name.bytes, as: UTF8.self)) else {
      return PluginStatus.notFound
    }
    return unsafe write(Array(text.utf8), to: out)
  }

  private static func add(
    _ call: UnsafePointer<farebox_plugin_call>?, _ name: farebox_plugin_str, _ count: Int64, _ micro: UInt32
  ) -> farebox_plugin_status {
    guard let state = unsafe CallSlot.openState(call), let meter = unsafe meter(name.bytes) else {
      return PluginStatus.invalidInput
    }
    guard count >= 0, micro < 1_000_000, micro == 0 || meter == .units else { return PluginStatus.invalidInput }
    guard unsafe !state.pointee.measured.contains(MeterSet(meter)) else { return PluginStatus.invalidInput }
    let whole = count.multipliedReportingOverflow(by: meter == .value ? 1 : 1_000_000)
    let added = whole.partialValue.addingReportingOverflow(Int64(micro))
    let sum = unsafe state.pointee.usage[Int(meter.rawValue)].addingReportingOverflow(added.partialValue)
    guard !whole.overflow, !added.overflow, !sum.overflow else { return PluginStatus.invalidInput }
    unsafe state.pointee.usage[Int(meter.rawValue)] = sum.partialValue
    unsafe state.pointee.present.insert(MeterSet(meter))
    return PluginStatus.ok
  }

  /// The meter of this name, without making a string of it.
  private static func meter(_ name: UnsafeRawBufferPointer) -> Meter? {
    Meter.allCases.first { meter in unsafe name.elementsEqual(meter.name.utf8) }
  }

  private static func value(
    _ call: UnsafePointer<farebox_plugin_call>?, _ name: farebox_plugin_str, _ out: UnsafePointer<farebox_plugin_sink>?
  ) -> farebox_plugin_status {
    guard let state = unsafe CallSlot.openState(call) else { return PluginStatus.invalidInput }
    guard let store = unsafe state.pointee.store else { return PluginStatus.denied }
    guard let key = unsafe StoreSession.key(name.bytes), let value = store.value(key) else { return PluginStatus.notFound }
    return unsafe write(value, to: out)
  }

  private static func set(
    _ call: UnsafePointer<farebox_plugin_call>?, _ name: farebox_plugin_str, _ value: farebox_plugin_str
  ) -> farebox_plugin_status {
    guard let state = unsafe CallSlot.openState(call) else { return PluginStatus.invalidInput }
    guard let store = unsafe state.pointee.store else { return PluginStatus.denied }
    guard let key = unsafe StoreSession.key(name.bytes) else { return PluginStatus.invalidInput }
    let bytes = unsafe value.bytes
    guard bytes.count <= Limits.skillValue else { return PluginStatus.invalidInput }
    return unsafe store.set(key, bytes.isEmpty ? nil : Array(bytes))
  }

  private static func write(
    _ bytes: [UInt8], to sink: UnsafePointer<farebox_plugin_sink>?
  ) -> farebox_plugin_status {
    guard let sink = unsafe sink, let write = unsafe sink.pointee.write else { return PluginStatus.invalidInput }
    return unsafe bytes.withUnsafeBytes { bytes in unsafe write(sink, bytes.baseAddress, bytes.count) }
  }
}
