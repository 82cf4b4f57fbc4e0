import FareboxReference
import Testing

@testable import Farebox

/// Windows and dates, against counting days one by one.
@Suite struct WindowTests {
  @Test func `dates of the years 1 to 9999 are those of a day by day count`() {
    var days = NaiveCalendar.days(1, 1, 1)
    for year in 1...9_999 {
      for month in 1...12 {
        let length = NaiveCalendar.days(in: month, of: year)
        #expect(Calendar.days(Int64(year), Int64(month), 1) == Int64(days))
        let start = Int64(days) * Calendar.day
        let end = Int64(days + length) * Calendar.day
        for (time, day) in [(start, 1), (end - 1, length), (start + 14 * Calendar.day + 5, 15)] {
          let range = WindowKind.month.range(around: time)
          if range.start != start || range.end != end { Issue.record("month of \(year)-\(month), \(time)") }
          let date = Calendar.civil(time)
          if date.year != Int64(year) || date.month != Int64(month) || date.day != Int64(day) {
            Issue.record("date of \(year)-\(month)-\(day)")
          }
        }
        days += length
      }
    }
    #expect(Int64(days) * Calendar.day == Calendar.latest)
    #expect(Int64(NaiveCalendar.days(1, 1, 1)) * Calendar.day == Calendar.earliest)
  }

  @Test func `known dates`() {
    #expect(NaiveCalendar.microseconds(1970, 1, 1) == 0)
    #expect(NaiveCalendar.microseconds(2000, 3, 1) == 951_868_800_000_000)
    #expect(NaiveCalendar.microseconds(2026, 1, 14, 12) == 1_768_392_000_000_000)
    #expect(NaiveCalendar.microseconds(1969, 12, 31, 23, 59, 59) == -1_000_000)
  }

  @Test func `windows of fixed length hold their time and follow one another`() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for kind in [WindowKind.hour, .day, .week, .month] {
      for _ in 0..<2_000 {
        let time = Int64.random(in: Calendar.earliest..<Calendar.latest, using: &generator)
        let (start, end) = kind.range(around: time)
        #expect(start <= time && time < end, "seed \(seed)")
        #expect(kind.range(around: end).start == end && kind.range(around: start - 1).end == start, "seed \(seed)")
        #expect(
          kind.range(around: start) == (start, end) && kind.range(around: end - 1) == (start, end), "seed \(seed)")
        switch kind {
        case .hour: #expect(end - start == Calendar.hour && start % Calendar.hour == 0)
        case .day: #expect(end - start == Calendar.day && start % Calendar.day == 0)
        case .week:
          #expect(end - start == 7 * Calendar.day)
          // 1970-01-05 was a Monday.
          #expect((start - 4 * Calendar.day) % (7 * Calendar.day) == 0)
        case .month, .lifetime: #expect(Calendar.civil(start).day == 1)
        }
      }
    }
  }

  @Test func `a sliding hour counts what an array counts`() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    var window = RateWindow()
    var times: [Int64] = []
    var now: Int64 = 0
    for _ in 0..<20_000 {
      now += Int64(generator.below(3_000_000))
      if generator.chance(1) { now += Int64(generator.below(4_000)) * 1_000_000 }
      window.add(now)
      times.append(now)
      if generator.chance(5) {
        times.removeAll { $0 <= now - 3_600_000_000 }
        // A question from a clock that is ahead forgets nothing.
        _ = window.count(at: now + 7_200_000_000)
        #expect(window.count(at: now) == times.count, "seed \(seed)")
        #expect(Array(window.active(at: now)) == times, "seed \(seed)")
      }
    }
  }
}
