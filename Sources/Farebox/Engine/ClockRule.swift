internal import CLinux
internal import FareboxCore
internal import FareboxStore

/// Refuses a clock that is far ahead of what can be.
///
/// The ledger's time never goes back, so one call at a wrong time would move it for good: budgets of a day would stay
/// spent, and holds would expire at once. A clock that is behind does no harm, because the ledger's own time counts then.
struct ClockRule {
  /// Whether the host has given the clock; otherwise it is the system's.
  let isGiven: Bool
  /// The latest time that the ledger or this engine has had, or 0 in a new ledger.
  let latest: Int64
  /// The clock of the store's server, where it has one.
  let server: (time: Int64, tolerance: Int64)?

  /// How far a clock that the host has given may step beyond both the ledger's time and the system's: two years. Tests
  /// step by months.
  static let mostStep: Int64 = 2 * 366 * 86_400_000_000
  /// How far the system's clock may be beyond both the ledger's time and the library's own: twenty years. A ledger may
  /// rest for long, and a library may be old.
  static let mostRest: Int64 = 20 * 366 * 86_400_000_000
  /// The beginning of the year in which this version was made.
  static let made: Int64 = 1_767_225_600_000_000

  /// Whether a time is so near to the ledger's that there is nothing to look into.
  static func isNear(_ time: Int64, _ latest: Int64) -> Bool {
    time <= latest.addingClamped(mostStep)
  }

  func check(_ time: Int64) throws(Failure) {
    if !isGiven, let server, time > server.time.addingClamped(server.tolerance) {
      throw Failure(
        .clockAhead, field: "clock",
        "The clock of this machine is \(time / 1_000_000 - server.time / 1_000_000) seconds ahead of the server's. Nothing was "
          + "changed; set the clock, or allow more with 'clock_tolerance' in the address.",
        details: ["time": .int(time), "server_time": .int(server.time)])
    }
    guard !ClockRule.isNear(time, latest) else { return }
    if isGiven {
      // What a new ledger begins with is the host's choice.
      guard latest > 0, time > farebox_wall_clock().addingClamped(ClockRule.mostStep) else { return }
      throw refusal(time, "more than two years ahead of both the ledger and the system's clock")
    }
    guard time > max(latest, ClockRule.made).addingClamped(ClockRule.mostRest) else { return }
    throw refusal(time, "more than twenty years ahead of both the ledger and this version of Farebox")
  }

  private func refusal(_ time: Int64, _ reason: String) -> Failure {
    Failure(
      .clockAhead, field: "clock", "The clock is \(reason). Nothing was changed; set the clock and repeat the call.",
      details: ["time": .int(time), "ledger_time": .int(latest)])
  }
}

extension Int64 {
  fileprivate func addingClamped(_ other: Int64) -> Int64 {
    let (sum, isOver) = addingReportingOverflow(other)
    return isOver ? .max : sum
  }
}
