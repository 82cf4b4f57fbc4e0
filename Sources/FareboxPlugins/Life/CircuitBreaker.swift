/// Whether a plugin that keeps failing is tried again: back-off first, then an open circuit.
///
/// A value without a clock: it is told the time, in nanoseconds of the steady clock. The first failure costs nothing, for
/// one crash is no pattern. From the second in a row on, calls are turned away for 50 ms, doubled with each further one;
/// the fifth opens the circuit for 30 s. After that a single call is let through as a trial: its success closes the
/// circuit, its failure opens it for twice as long, up to five minutes.
struct CircuitBreaker: Sendable {
  /// What the breaker is doing.
  enum State: String, Sendable {
    case closed
    case backingOff = "backing_off"
    case open
    case halfOpen = "half_open"
  }

  /// Failures since the last success.
  private(set) var failures = 0
  /// Calls are turned away until then.
  private(set) var retryAt: Int64 = .min
  private var isTrying = false

  static let failuresUntilOpen = 5
  static let firstBackOff: Int64 = 50_000_000
  static let openTime: Int64 = 30_000_000_000
  static let longestOpenTime: Int64 = 300_000_000_000

  /// Lets a call through, or says when to come again.
  mutating func admit(at now: Int64) -> (isAdmitted: Bool, retryAt: Int64) {
    guard failures > 1 else { return (true, now) }
    guard now >= retryAt else { return (false, retryAt) }
    guard failures >= CircuitBreaker.failuresUntilOpen else { return (true, now) }
    guard !isTrying else { return (false, now + CircuitBreaker.firstBackOff) }
    isTrying = true
    return (true, now)
  }

  /// A call that was let through has ended without harm.
  mutating func noteSuccess() {
    failures = 0
    isTrying = false
    retryAt = .min
  }

  /// A call, or a start, has crashed the plugin or had to be ended.
  mutating func noteFailure(at now: Int64) {
    failures = min(failures + 1, 1_000)
    isTrying = false
    if failures >= CircuitBreaker.failuresUntilOpen {
      let doublings = min(failures - CircuitBreaker.failuresUntilOpen, 4)
      retryAt = now + min(CircuitBreaker.openTime << doublings, CircuitBreaker.longestOpenTime)
    } else if failures > 1 {
      retryAt = now + CircuitBreaker.firstBackOff << (failures - 2)
    }
  }

  /// A call that was let through never reached the plugin: a trial is free again.
  mutating func noteUnused() {
    isTrying = false
  }

  func state(at now: Int64) -> State {
    guard failures > 1 else { return .closed }
    if failures >= CircuitBreaker.failuresUntilOpen { return now < retryAt ? .open : .halfOpen }
    return now < retryAt ? .backingOff : .closed
  }
}
