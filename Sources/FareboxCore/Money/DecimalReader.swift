/// Reads the digits of one decimal number, holding zeros back so that the mantissa comes out in lowest form.
struct DecimalReader {
  enum Outcome {
    /// mantissa x 10^exponent, where the mantissa ends in no zero unless the exponent is 0 or more.
    case number(mantissa: Int128, exponent: Int)
    case malformed
    case tooLarge
    case tooPrecise
  }

  /// A text longer than this is no amount that anybody writes.
  private static let longest = 128

  private let text: Substring.UTF8View
  private var position: Substring.UTF8View.Index
  private var mantissa: Int128 = 0
  private var heldZeros = 0
  private var overflowed = false

  init(_ text: String) {
    self.text = text[...].utf8
    position = self.text.startIndex
  }

  mutating func read() -> Outcome {
    guard text.count <= DecimalReader.longest else { return .malformed }
    let negative = take(UInt8(ascii: "-"))
    guard digits() > 0 else { return .malformed }
    let wholeOverflowed = overflowed
    var fractionDigits = 0
    if take(UInt8(ascii: ".")) {
      fractionDigits = digits()
      guard fractionDigits > 0 else { return .malformed }
    }
    guard let exponent = exponent(), position == text.endIndex else { return .malformed }
    guard !wholeOverflowed else { return .tooLarge }
    guard !overflowed else { return .tooPrecise }
    guard mantissa != 0 else { return .number(mantissa: 0, exponent: 0) }
    return .number(mantissa: negative ? 0 &- mantissa : mantissa, exponent: heldZeros - fractionDigits + exponent)
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard position < text.endIndex, text[position] == byte else { return false }
    position = text.index(after: position)
    return true
  }

  private mutating func digits() -> Int {
    var count = 0
    while position < text.endIndex {
      let digit = text[position] &- UInt8(ascii: "0")
      guard digit < 10 else { break }
      add(digit)
      count += 1
      position = text.index(after: position)
    }
    return count
  }

  private mutating func add(_ digit: UInt8) {
    guard digit != 0 else {
      if mantissa != 0 { heldZeros += 1 }
      return
    }
    guard let shifted = PowersOfTen.scale(mantissa, by: heldZeros + 1) else {
      overflowed = true
      return
    }
    let (sum, overflow) = shifted.addingReportingOverflow(Int128(digit))
    mantissa = sum
    heldZeros = 0
    if overflow { overflowed = true }
  }

  /// Reads an exponent, which is 0 where there is none; nil when it is malformed or beyond four digits.
  private mutating func exponent() -> Int? {
    guard take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) else { return 0 }
    var negative = false
    if !take(UInt8(ascii: "+")) { negative = take(UInt8(ascii: "-")) }
    var value = 0
    var count = 0
    while position < text.endIndex {
      let digit = text[position] &- UInt8(ascii: "0")
      guard digit < 10, count < 4 else { return nil }
      value = value * 10 + Int(digit)
      count += 1
      position = text.index(after: position)
    }
    guard count > 0 else { return nil }
    return negative ? -value : value
  }
}
