/// The stretch of time that a budget counts over; all are in UTC.
enum WindowKind: UInt8, CaseIterable {
  case hour = 0
  case day = 1
  /// From Monday, as ISO 8601 has it.
  case week = 2
  case month = 3
  case lifetime = 4

  var name: String {
    switch self {
    case .hour: "hour"
    case .day: "day"
    case .week: "week"
    case .month: "month"
    case .lifetime: "lifetime"
    }
  }

  init?(name: String) {
    guard let kind = WindowKind.allCases.first(where: { $0.name == name }) else { return nil }
    self = kind
  }

  /// The window that holds a time, as a half-open range of microseconds.
  func range(around time: Int64) -> (start: Int64, end: Int64) {
    switch self {
    case .hour: aligned(time, Calendar.hour, offset: 0)
    case .day: aligned(time, Calendar.day, offset: 0)
    // 1970-01-01 was a Thursday, so weeks begin three days before it.
    case .week: aligned(time, 7 * Calendar.day, offset: -3 * Calendar.day)
    case .month: Calendar.month(around: time)
    case .lifetime: (.min, .max)
    }
  }

  private func aligned(_ time: Int64, _ length: Int64, offset: Int64) -> (start: Int64, end: Int64) {
    // Engine times lie within the years 1 to 9999, so nothing here comes near an overflow.
    let shifted = time - offset
    var count = shifted / length
    if shifted % length < 0 { count -= 1 }
    let start = count * length + offset
    return (start, start + length)
  }
}

/// Dates of the proleptic Gregorian calendar in UTC.
enum Calendar {
  static let second: Int64 = 1_000_000
  static let hour: Int64 = 3_600 * second
  static let day: Int64 = 24 * hour
  /// 0001-01-01 and 10000-01-01: times outside are refused.
  static let earliest: Int64 = -62_135_596_800 * second
  static let latest: Int64 = 253_402_300_800 * second

  /// A time as people read it: `2026-12-02 00:00 UTC`, without its seconds.
  static func minuteText(_ time: Int64) -> String {
    let (year, month, day) = civil(time)
    let rest = time - days(year, month, day) * self.day
    func digits(_ number: Int64, _ width: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
    let date = "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
    return "\(date) \(digits(rest / hour, 2)):\(digits(rest % hour / (60 * second), 2)) UTC"
  }

  static func month(around time: Int64) -> (start: Int64, end: Int64) {
    let (year, month, _) = civil(time)
    let next = month == 12 ? (year + 1, Int64(1)) : (year, month + 1)
    return (days(year, month, 1) * day, days(next.0, next.1, 1) * day)
  }

  /// Year, month and day of a time; the method counts years from March, so that a leap day ends one.
  static func civil(_ time: Int64) -> (year: Int64, month: Int64, day: Int64) {
    var days = time / day
    if time % day < 0 { days -= 1 }
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  /// Days from 1970-01-01 to a date.
  static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}
