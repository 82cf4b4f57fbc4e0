internal import CWorker
internal import FareboxCore
internal import Farebox

/// Passes a plugin's log lines on: cut to their bound, and no more of them in a second than may be.
final class LogGate: Sendable {
  private struct Window {
    var start: Int64 = 0
    var lines = 0
    var dropped = 0
  }

  private let logs: PluginLogs
  private let window = Lock(Window())

  init(_ logs: @escaping PluginLogs) {
    self.logs = logs
  }

  /// Passes a line on, or counts it as dropped.
  ///
  /// - Parameter text: UTF-8; what is not is replaced.
  func write(_ level: Int32, _ text: UnsafeRawBufferPointer) {
    let second: Int64 = 1_000_000_000
    let now = farebox_worker_steady_clock()
    let (isPassed, dropped) = window.withLock { window -> (Bool, Int) in
      var dropped = 0
      if now - window.start >= second {
        dropped = window.dropped
        window = Window(start: now)
      }
      guard window.lines < Limits.pluginLogLines else {
        window.dropped += 1
        return (false, dropped)
      }
      window.lines += 1
      return (true, dropped)
    }
    if dropped > 0 { logs(.warning, "\(dropped) lines of the plugin's log were dropped.") }
    guard isPassed else { return }
    let kept = unsafe UnsafeRawBufferPointer(rebasing: text.prefix(LogGate.cut(text)))
    logs(PluginLogLevel(rawValue: level) ?? .warning, unsafe String(decoding: kept, as: UTF8.self))
  }

  /// How many bytes of a text are kept: whole characters of it.
  private static func cut(_ text: UnsafeRawBufferPointer) -> Int {
    guard text.count > Limits.pluginLogLine else { return text.count }
    var count = Limits.pluginLogLine
    while count > Limits.pluginLogLine - 3, unsafe text[count] & 0xC0 == 0x80 { count -= 1 }
    return count
  }
}
