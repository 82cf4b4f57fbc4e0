/// Whole seconds since 1970 as they stand in webhook headers.
enum UnixSeconds {
  /// Reads decimal digits with an optional sign; leading zeros are allowed.
  static func read(_ text: Span<UInt8>) -> Int64? {
    guard !text.isEmpty else { return nil }
    let negative = text[0] == UInt8(ascii: "-")
    let first = negative || text[0] == UInt8(ascii: "+") ? 1 : 0
    guard first < text.count else { return nil }
    var value: Int64 = 0
    for index in first..<text.count {
      let digit = text[index] &- 48
      guard digit < 10 else { return nil }
      let (shifted, passed) = value.multipliedReportingOverflow(by: 10)
      let (sum, passedToo) = shifted.subtractingReportingOverflow(Int64(digit))
      guard !passed, !passedToo else { return nil }
      value = sum
    }
    // Collected below zero, where the smallest number has room.
    guard !negative else { return value }
    return value == .min ? nil : -value
  }

  /// Reads the one way of writing a number that is not negative: digits, no sign, no leading zero.
  static func readCanonical(_ text: Span<UInt8>) -> Int64? {
    guard let first = text.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-"),
      first != UInt8(ascii: "0") || text.count == 1
    else { return nil }
    return read(text)
  }

  /// Feeds the decimal digits between full stops to a hasher, the first of them only if asked for.
  static func hash(_ seconds: Int64, afterStop: Bool, into hasher: inout SHA256Hasher) {
    var characters = InlineArray<22, UInt8>(repeating: UInt8(ascii: "."))
    var start = 21
    var rest = seconds.magnitude
    repeat {
      start -= 1
      characters[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while rest > 0
    if seconds < 0 {
      start -= 1
      characters[start] = UInt8(ascii: "-")
    }
    // Twenty characters at most, so that the one before them is still a full stop.
    hasher.update(characters.span.extracting((afterStop ? start - 1 : start)...))
  }
}

extension Span<UInt8> {
  fileprivate var first: UInt8? { isEmpty ? nil : self[0] }
}
