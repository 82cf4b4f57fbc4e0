internal import Farebox
internal import FareboxCore

/// What a plugin has said, the latest thousand lines; bounded whatever the plugin does.
final class PluginLog: Sendable {
  private struct Line {
    let number: Int64
    let time: Int64
    let level: PluginLogLevel
    let text: String
  }

  private struct State {
    var lines: [Line] = []
    /// Where the oldest line stands once the ring is full.
    var oldest = 0
    var written: Int64 = 0
  }

  private let state = Lock(State())

  static let capacity = 1_000
  /// Takes a line, as long and as often as the plugin's log gate lets it through.
  ///
  /// - Parameter time: microseconds since 1970.
  func write(_ level: PluginLogLevel, _ text: String, at time: Int64) {
    state.withLock { state in
      state.written += 1
      let line = Line(number: state.written, time: time, level: level, text: text)
      if state.lines.count < PluginLog.capacity {
        state.lines.append(line)
      } else {
        state.lines[state.oldest] = line
        state.oldest = (state.oldest + 1) % PluginLog.capacity
      }
    }
  }

  /// The lines after a number, oldest first, and the number to go on after where there are more.
  func json(after: Int64, limit: Int) -> JSON {
    state.withLock { state in
      let ordered = state.lines[state.oldest...] + state.lines[..<state.oldest]
      let found = ordered.filter { $0.number > after }
      let wanted = found.prefix(limit)
      let rows: [JSON] = wanted.map { line in
        [
          "number": .int(line.number), "time": .int(line.time), "level": .string(line.level.name),
          "text": .string(line.text),
        ]
      }
      let next = found.count > limit ? wanted.last.map { JSON.int($0.number) } : nil
      return ["lines": .array(rows), "next": next ?? .null]
    }
  }
}

extension PluginLogLevel {
  var name: String {
    switch self {
    case .debug: "debug"
    case .info: "info"
    case .warning: "warning"
    case .error: "error"
    case .hostMisbehaving: "host_misbehaving"
    }
  }
}
