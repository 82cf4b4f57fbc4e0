internal import FareboxCore
internal import Synchronization

/// Counters of one plugin since it was loaded.
final class PluginMetrics: Sendable {
  let calls = Atomic<Int>(0)
  let succeeded = Atomic<Int>(0)
  let refused = Atomic<Int>(0)
  let failed = Atomic<Int>(0)
  let crashed = Atomic<Int>(0)
  let deadlines = Atomic<Int>(0)
  let cancelled = Atomic<Int>(0)
  let floods = Atomic<Int>(0)
  let invalidInputs = Atomic<Int>(0)
  let invalidOutputs = Atomic<Int>(0)
  let unavailable = Atomic<Int>(0)
  let starts = Atomic<Int>(0)
  let outputBytes = Atomic<Int>(0)
  /// Nanoseconds inside the plugin, all calls together.
  let time = Atomic<Int>(0)

  /// A call that reached the plugin, or should have, is over.
  func countFailure(_ status: Status) {
    switch status {
    case .pluginCrashed: crashed.add(1, ordering: .relaxed)
    case .pluginDeadline: deadlines.add(1, ordering: .relaxed)
    case .pluginCancelled: cancelled.add(1, ordering: .relaxed)
    case .pluginOutputLimit: floods.add(1, ordering: .relaxed)
    case .pluginInput: invalidInputs.add(1, ordering: .relaxed)
    case .pluginOutput: invalidOutputs.add(1, ordering: .relaxed)
    case .pluginUnavailable, .pluginInactive, .pluginPolicy: unavailable.add(1, ordering: .relaxed)
    case .pluginFailed: failed.add(1, ordering: .relaxed)
    default: refused.add(1, ordering: .relaxed)
    }
  }

  var json: JSON {
    func count(_ counter: borrowing Atomic<Int>) -> JSON { .int(Int64(counter.load(ordering: .relaxed))) }
    return [
      "calls": count(calls), "succeeded": count(succeeded), "refused": count(refused), "failed": count(failed),
      "crashed": count(crashed), "deadlines": count(deadlines), "cancelled": count(cancelled),
      "output_limits": count(floods), "invalid_inputs": count(invalidInputs),
      "invalid_outputs": count(invalidOutputs), "unavailable": count(unavailable), "starts": count(starts),
      "output_bytes": count(outputBytes), "time_ns": count(time),
    ]
  }
}
