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

/// Dates by counting days one year, and one month, at a time.
enum NaiveCalendar {
  static func isLeap(_ year: Int) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  static func days(in month: Int, of year: Int) -> Int {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: isLeap(year) ? 29 : 28
    default: 31
    }
  }

  /// Days from 1970-01-01 to a date.
  static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    var count = day - 1
    for earlier in 1..<month { count += days(in: earlier, of: year) }
    if year >= 1970 {
      for earlier in 1970..<year { count += isLeap(earlier) ? 366 : 365 }
    } else {
      for later in year..<1970 { count -= isLeap(later) ? 366 : 365 }
    }
    return count
  }

  static func microseconds(
    _ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0, _ second: Int = 0
  ) -> Int64 {
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    return Int64(seconds) * 1_000_000
  }

  /// Reads `2026-01-31` or `2026-01-31T23:59:59`.
  static func parse(_ text: some StringProtocol) throws -> Int64 {
    let numbers = text.split(whereSeparator: { "-T:".contains($0) }).compactMap { Int($0) }
    try #require(numbers.count == 3 || numbers.count == 6, "A date is 2026-01-31 or 2026-01-31T23:59:59.")
    return numbers.count == 3
      ? microseconds(numbers[0], numbers[1], numbers[2])
      : microseconds(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5])
  }
}
