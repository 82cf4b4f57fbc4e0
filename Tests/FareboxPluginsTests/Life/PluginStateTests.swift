import Testing

@testable import FareboxPlugins

/// Which state of a plugin may follow which.
@Suite struct PluginStateTests {
  @Test func `exactly the transitions that are drawn are legal`() {
    let drawn: [PluginState: Set<PluginState>] = [
      .discovered: [.verified, .refused], .verified: [.starting, .refused],
      .starting: [.active, .failed, .quarantined], .active: [.draining], .draining: [.stopped],
      .stopped: [], .refused: [], .failed: [], .quarantined: [],
    ]
    #expect(drawn.count == PluginState.allCases.count)
    for state in PluginState.allCases {
      for next in PluginState.allCases {
        #expect(state.mayBecome(next) == drawn[state]?.contains(next), "\(state) to \(next)")
      }
    }
  }
}
