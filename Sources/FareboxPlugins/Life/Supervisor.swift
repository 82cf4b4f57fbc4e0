internal import CWorker
internal import FareboxCore

/// Keeps the running instances of one plugin: lends them to calls, starts new ones, and turns calls away where the
/// plugin keeps failing.
///
/// An instance serves one call at a time. There is no thread here: an instance is started by the call that needs it and
/// stopped by whoever ends it.
final class Supervisor: Sendable {
  private struct State {
    var idle: [any PluginInstance] = []
    /// Instances that are idle, lent or being started.
    var live = 0
    var breaker = CircuitBreaker()
    /// Raised to replace all instances: one of an older generation is stopped when it comes back.
    var generation = 0
    var isDraining = false
  }

  /// Instances at most.
  let limit: Int
  private let gate = Gate(State())
  private let start: @Sendable () throws(Failure) -> any PluginInstance

  /// - Parameter start: makes an instance that is ready for calls.
  init(limit: Int, start: @escaping @Sendable () throws(Failure) -> any PluginInstance) {
    self.limit = limit
    self.start = start
  }

  private enum Turn {
    case lent(any PluginInstance, generation: Int)
    case start(generation: Int)
    case turnedAway(Failure)
  }

  /// Lends an instance to a call.
  ///
  /// - Parameter deadline: how long to wait for one, by the steady clock.
  /// - Throws: `pluginUnavailable` where none came free in time or the plugin keeps failing, `pluginInactive` once it is
  ///   draining; what starting one throws; what `body` throws.
  func withInstance<Result>(
    until deadline: Int64, _ body: (any PluginInstance) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let (instance, generation) = try lend(until: deadline)
    do throws(Failure) {
      let result = try body(instance)
      giveBack(instance, generation, hasFailed: false)
      return result
    } catch {
      giveBack(instance, generation, hasFailed: Supervisor.isHarmful(error.status))
      throw error
    }
  }

  private func lend(until deadline: Int64) throws(Failure) -> (any PluginInstance, generation: Int) {
    let turn = gate.wait(until: deadline) { state in Supervisor.turn(&state, limit: self.limit) }
    switch turn {
    case nil:
      throw Failure(.pluginUnavailable, "All \(limit) instances of the plugin were busy until the call's deadline.")
    case .turnedAway(let failure): throw failure
    case .lent(let idle, let generation): return (idle, generation)
    case .start(let generation):
      do throws(Failure) {
        return (try start(), generation)
      } catch {
        gate.with { state in
          state.live -= 1
          state.breaker.noteFailure(at: farebox_worker_steady_clock())
        }
        throw error
      }
    }
  }

  private static func turn(_ state: inout State, limit: Int) -> Turn? {
    if state.isDraining { return .turnedAway(Failure(.pluginInactive, "The plugin is being stopped.")) }
    let now = farebox_worker_steady_clock()
    guard !state.idle.isEmpty || state.live < limit else { return nil }
    let (isAdmitted, retryAt) = state.breaker.admit(at: now)
    guard isAdmitted else {
      let milliseconds = max(1, (retryAt - now) / 1_000_000)
      return .turnedAway(
        Failure(
          .pluginUnavailable, "The plugin has failed \(state.breaker.failures) times in a row and is left alone.",
          details: [
            "circuit": .string(state.breaker.state(at: now).rawValue), "retry_after_ms": .int(milliseconds),
            "failures": .int(Int64(state.breaker.failures)),
          ]))
    }
    if let instance = state.idle.popLast() { return .lent(instance, generation: state.generation) }
    state.live += 1
    return .start(generation: state.generation)
  }

  /// Whether a failure says something of the plugin as a whole, and not of one call.
  private static func isHarmful(_ status: Status) -> Bool {
    status == .pluginCrashed || status == .pluginDeadline || status == .pluginOutputLimit || status == .pluginBroken
  }

  private func giveBack(_ instance: any PluginInstance, _ generation: Int, hasFailed: Bool) {
    let isUsable = instance.isUsable
    let isKept = gate.with { state in
      if hasFailed {
        state.breaker.noteFailure(at: farebox_worker_steady_clock())
      } else {
        state.breaker.noteSuccess()
      }
      let isKept = isUsable && generation == state.generation && !state.isDraining
      if isKept { state.idle.append(instance) } else { state.live -= 1 }
      return isKept
    }
    if !isKept { Supervisor.end(instance) }
  }

  /// Starts an instance now, to see that it can be, and keeps it for the first call.
  func prove() throws(Failure) {
    try withInstance(until: farebox_worker_steady_clock() + Supervisor.startTime) { instance throws(Failure) in
      try instance.health()
    }
  }

  /// Starting a plugin takes this long at the most, in nanoseconds.
  static let startTime: Int64 = 30_000_000_000

  /// Gives one instance another configuration, and replaces all others by new ones as they come back.
  ///
  /// - Throws: what the instance throws; then it keeps the configuration that it has, and so do the others.
  func configure(_ text: String) throws(Failure) {
    let (instance, generation) = try lend(until: farebox_worker_steady_clock() + Supervisor.startTime)
    do throws(Failure) {
      try instance.configure(text)
    } catch {
      giveBack(instance, generation, hasFailed: Supervisor.isHarmful(error.status))
      throw error
    }
    giveBack(instance, renew(), hasFailed: false)
  }

  /// Replaces all instances by new ones: those that are idle now, the others when they come back.
  ///
  /// - Returns: the generation of the new ones.
  @discardableResult
  func renew() -> Int {
    let (idle, generation) = gate.with { state in
      let idle = state.idle
      state.idle = []
      state.live -= idle.count
      state.generation += 1
      return (idle, state.generation)
    }
    for instance in idle { Supervisor.end(instance) }
    return generation
  }

  /// Turns new calls away from now on.
  func turnAway() {
    gate.with { $0.isDraining = true }
  }

  /// Turns new calls away and waits for those under way; then stops all instances.
  ///
  /// - Returns: whether all calls had ended by the deadline; those that had not end with theirs.
  @discardableResult
  func drain(until deadline: Int64) -> Bool {
    turnAway()
    let isEmpty =
      gate.wait(until: deadline) { state in state.live == state.idle.count ? true : nil } ?? false
    let idle = gate.with { state in
      let idle = state.idle
      state.idle = []
      state.live -= idle.count
      return idle
    }
    for instance in idle { Supervisor.end(instance) }
    // Those that were killed before may have gone in the meantime.
    Reaper.sweep()
    return isEmpty
  }

  private static func end(_ instance: any PluginInstance) {
    instance.deactivate()
    instance.shutdown()
  }

  /// What the supervisor is doing, for `plugin.inspect`.
  var json: JSON {
    let now = farebox_worker_steady_clock()
    return gate.with { state in
      [
        "instances": .int(Int64(state.live)), "idle": .int(Int64(state.idle.count)), "limit": .int(Int64(limit)),
        "circuit": .string(state.breaker.state(at: now).rawValue),
        "failures": .int(Int64(state.breaker.failures)),
        "processes": .array(state.idle.compactMap { $0.processID.map { .int(Int64($0)) } }),
      ]
    }
  }
}
