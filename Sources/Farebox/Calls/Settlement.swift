internal import FareboxCore

/// How a metered call ended; the numbers are those of the C header.
package enum CallEnding: Int32, CaseIterable, Sendable {
  /// The tool gave its result, or its stream to the end.
  case returned = 0
  /// The tool gave a result that says that it failed.
  case reportedFailure = 1
  /// The tool failed.
  case failed = 2
  /// The consumer closed, cancelled or aborted the call.
  case left = 3

  package var name: String {
    switch self {
    case .returned: "returned"
    case .reportedFailure: "reported_failure"
    case .failed: "failed"
    case .left: "left"
    }
  }
}

/// What the price of a call depends on.
package enum PriceKind: String, CaseIterable, Sendable {
  /// Nothing: each call costs the same.
  case flat
  /// What the call used.
  case usage
  /// An amount that the host gives.
  case dynamic
}

/// What is known of a call's usage when it ends.
package enum UsageKnowledge: String, CaseIterable, Sendable {
  /// It was recorded.
  case recorded
  /// Only the estimate from before the call.
  case expected
  case unknown
}

/// What a call that ended is charged: the outcome table of metered calls, and its only home.
///
/// Whatever is charged is bound by the call's maximum, the lower of the caller's and the price's own.
package enum Settlement: String, CaseIterable, Sendable {
  /// The flat price.
  case flat
  /// The amount that the host gave.
  case amount
  /// The price of the usage that was recorded.
  case recorded
  /// The price of the estimate.
  case expected
  /// What was held, flagged as unreported.
  case held
  /// Nothing: the hold is released.
  case released

  /// What a call is charged.
  ///
  /// - Parameters:
  ///   - delivered: whether items of a stream reached the consumer before the end.
  ///   - releasesUnreported: the host's setting for usage that was to come and never came.
  package init(
    _ ending: CallEnding, delivered: Bool, _ kind: PriceKind, _ known: UsageKnowledge, releasesUnreported: Bool
  ) {
    switch (ending, delivered, kind) {
    // A tool that failed is not paid for, unless it is paid by usage and part of that reached the consumer.
    case (.reportedFailure, _, _), (.failed, false, _), (.left, false, _), (.failed, true, .flat),
      (.failed, true, .dynamic):
      self = .released
    case (.returned, _, .flat), (.left, true, .flat): self = .flat
    case (.returned, _, .dynamic), (.left, true, .dynamic): self = .amount
    case (.returned, _, .usage), (.left, true, .usage), (.failed, true, .usage):
      switch known {
      case .recorded: self = .recorded
      case .expected: self = .expected
      case .unknown: self = ending == .failed || releasesUnreported ? .released : .held
      }
    }
  }

  /// One row of the table: an ending, and what it costs by kind of price and knowledge of the usage.
  package struct Row: Sendable {
    package let ending: CallEnding
    package let delivered: Bool
    package let flat: Settlement
    package let dynamic: Settlement
    package let recorded: Settlement
    package let expected: Settlement
    package let unknown: Settlement
    /// As `unknown`, where the host releases what was not reported.
    package let unknownReleased: Settlement
  }

  /// Every ending, for the documentation and the tests.
  package static var table: [Row] {
    CallEnding.allCases.flatMap { ending in
      [false, true].map { delivered in
        func cell(_ kind: PriceKind, _ known: UsageKnowledge, releases: Bool = false) -> Settlement {
          Settlement(ending, delivered: delivered, kind, known, releasesUnreported: releases)
        }
        return Row(
          ending: ending, delivered: delivered, flat: cell(.flat, .unknown), dynamic: cell(.dynamic, .unknown),
          recorded: cell(.usage, .recorded), expected: cell(.usage, .expected), unknown: cell(.usage, .unknown),
          unknownReleased: cell(.usage, .unknown, releases: true))
      }
    }
  }

  /// The table as `farebox_describe` tells it.
  static var json: JSON {
    .array(
      table.map { row in
        [
          "ending": .string(row.ending.name), "delivered": .bool(row.delivered), "flat": .string(row.flat.rawValue),
          "dynamic": .string(row.dynamic.rawValue), "recorded": .string(row.recorded.rawValue),
          "expected": .string(row.expected.rawValue), "unknown": .string(row.unknown.rawValue),
          "unknown_released": .string(row.unknownReleased.rawValue),
        ]
      })
  }
}

extension Price {
  /// The most that a call costs; nil is no limit.
  var maximum: Int64? { maxCost > 0 ? maxCost : nil }

  /// What the price of a call depends on.
  var kind: PriceKind {
    if isDynamic { return .dynamic }
    return isPerRequest ? .flat : .usage
  }
}
