/// Dates by counting days one year, and one month, at a time.
package enum NaiveCalendar {
  package static func isLeap(_ year: Int) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  package static func days(in month: Int, of year: Int) -> Int {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: isLeap(year) ? 29 : 28
    default: 31
    }
  }

  /// Days from 1970-01-01 to a date.
  package static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    var count = day - 1
    for earlier in 1..<month { count += days(in: earlier, of: year) }
    if year >= 1970 {
      for earlier in 1970..<year { count += isLeap(earlier) ? 366 : 365 }
    } else {
      for later in year..<1970 { count -= isLeap(later) ? 366 : 365 }
    }
    return count
  }

  package static func microseconds(
    _ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0, _ second: Int = 0
  ) -> Int64 {
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    return Int64(seconds) * 1_000_000
  }
}
