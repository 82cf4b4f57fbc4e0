package import FareboxCore

/// A running plugin, in this process or in one of its own.
///
/// States go loaded -> initialised -> active and back, as `farebox_plugin.h` draws them; a method that does not belong to
/// the state throws `pluginInactive`. One call at a time: a second caller is refused with `pluginUnavailable` at once, for
/// whoever keeps several instances knows better than any of them who should wait.
package protocol PluginInstance: AnyObject, Sendable {
  /// Makes the instance. [loaded -> initialised; nothing else works after it has failed]
  func initialise(config: String) throws(Failure)
  /// Gets it ready for calls. [initialised -> active]
  func activate() throws(Failure)
  /// Runs a tool. [active]
  func call(_ call: ToolCall) throws(Failure) -> ToolOutcome
  /// Whether calls are likely to work. [active]
  func health() throws(Failure)
  /// Takes a new configuration, or keeps the old; `unsupported` where the plugin needs a new instance for it. [active]
  func configure(_ config: String) throws(Failure)
  /// Ends calls. [active -> initialised; elsewhere nothing]
  func deactivate()
  /// Gives the instance back. [initialised -> loaded; elsewhere nothing]
  func shutdown()
  /// Whether another call may be made of it: not after its process has ended or asked to be replaced.
  var isUsable: Bool { get }
  /// The process that it has to itself, or nil.
  var processID: Int32? { get }
}

/// How much a line of a plugin's log matters; the numbers of `farebox_plugin.h`.
package enum PluginLogLevel: Int32, Sendable, CaseIterable {
  case debug = 0
  case info = 1
  case warning = 2
  case error = 3
  case hostMisbehaving = 4
}

/// Takes a line of a plugin's log; runs on whatever thread has it, and must not wait.
package typealias PluginLogs = @Sendable (_ level: PluginLogLevel, _ message: String) -> Void
