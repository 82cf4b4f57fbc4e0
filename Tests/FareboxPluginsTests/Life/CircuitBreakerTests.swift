import Testing

@testable import FareboxPlugins

/// When a plugin that keeps failing is tried again.
@Suite struct CircuitBreakerTests {
  private let second: Int64 = 1_000_000_000
  private let millisecond: Int64 = 1_000_000

  @Test func `one failure costs nothing`() {
    var breaker = CircuitBreaker()
    breaker.noteFailure(at: 0)
    #expect(breaker.admit(at: 0).isAdmitted)
    #expect(breaker.state(at: 0) == .closed)
  }

  @Test func `from the second failure in a row on the time doubles`() {
    var breaker = CircuitBreaker()
    var now: Int64 = 0
    breaker.noteFailure(at: now)
    for wait in [50, 100, 200] {
      breaker.noteFailure(at: now)
      let retryAt = now + Int64(wait) * millisecond
      #expect(breaker.state(at: now) == .backingOff)
      #expect(breaker.admit(at: retryAt - 1) == (false, retryAt))
      #expect(breaker.admit(at: retryAt).isAdmitted)
      now = retryAt
    }
  }

  @Test func `the fifth failure opens the circuit, and one trial decides`() {
    var breaker = CircuitBreaker()
    for _ in 0..<5 { breaker.noteFailure(at: 0) }
    #expect(breaker.state(at: 0) == .open)
    #expect(!breaker.admit(at: 30 * second - 1).isAdmitted)
    #expect(breaker.state(at: 30 * second) == .halfOpen)
    #expect(breaker.admit(at: 30 * second).isAdmitted)
    // The trial is out: nobody else is let through.
    #expect(!breaker.admit(at: 31 * second).isAdmitted)
    breaker.noteFailure(at: 31 * second)
    #expect(!breaker.admit(at: 91 * second - 1).isAdmitted)
    #expect(breaker.admit(at: 91 * second).isAdmitted)
    breaker.noteSuccess()
    #expect(breaker.state(at: 91 * second) == .closed)
    #expect(breaker.admit(at: 91 * second).isAdmitted && breaker.failures == 0)
  }

  @Test func `the circuit stays open for five minutes at the most`() {
    var breaker = CircuitBreaker()
    for _ in 0..<2_000 { breaker.noteFailure(at: 0) }
    #expect(!breaker.admit(at: 300 * second - 1).isAdmitted)
    #expect(breaker.admit(at: 300 * second).isAdmitted)
  }
}
