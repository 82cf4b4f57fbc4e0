import FareboxReference
import Synchronization
import Testing

/// Time as a test sets it, in microseconds since 1970.
final class ManualClock: Sendable {
  private let time: Atomic<Int64>

  init(_ time: Int64 = ManualClock.start) {
    self.time = Atomic(time)
  }

  var now: Int64 {
    get { time.load(ordering: .relaxed) }
    set { time.store(newValue, ordering: .relaxed) }
  }

  func advance(_ microseconds: Int64) {
    now += microseconds
  }

  /// Noon of Wednesday, 14 January 2026.
  static let start = NaiveCalendar.microseconds(2026, 1, 14, 12)
}

extension NaiveCalendar {
  /// Reads `2026-01-31` or `2026-01-31T23:59:59`.
  static func parse(_ text: some StringProtocol) throws -> Int64 {
    let numbers = text.split(whereSeparator: { "-T:".contains($0) }).compactMap { Int($0) }
    try #require(numbers.count == 3 || numbers.count == 6, "A date is 2026-01-31 or 2026-01-31T23:59:59.")
    return numbers.count == 3
      ? microseconds(numbers[0], numbers[1], numbers[2])
      : microseconds(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5])
  }
}
