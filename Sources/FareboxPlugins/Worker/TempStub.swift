internal import FareboxCore
extension PluginInstance { var isUsable: Bool { true }; var processID: Int32? { nil } }
final class WorkerProcess: PluginInstance {
  init(_ p: VerifiedPlugin, worker: String?, logs: @escaping PluginLogs) throws(Failure) {}
  var sandbox: JSON { .null }
  var residentBytes: Int64? { nil }
  func initialise(config: String) throws(Failure) {}
  func activate() throws(Failure) {}
  func call(_ call: ToolCall) throws(Failure) -> ToolOutcome { throw Failure(.internal, "") }
  func health() throws(Failure) {}
  func configure(_ config: String) throws(Failure) {}
  func deactivate() {}
  func shutdown() {}
}
