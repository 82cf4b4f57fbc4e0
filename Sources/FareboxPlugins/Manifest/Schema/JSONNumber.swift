internal import FareboxCore

/// A JSON number of any size, compared exactly: 0.d1d2d3... x 10^exponent.
struct JSONNumber: Sendable, Equatable {
  private let isNegative: Bool
  /// The digits without zeros at either end; none is zero.
  private let digits: [UInt8]
  private let exponent: Int

  /// Exponents beyond this are no number that anybody compares.
  private static let farthest = 1_000_000_000

  /// Reads the text of a JSON number; nil when its exponent is out of all proportion.
  init?(_ text: String) {
    var rest = text.utf8[...]
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative { rest.removeFirst() }
    var digits: [UInt8] = []
    var whole: Int?
    while let byte = rest.first, byte != UInt8(ascii: "e"), byte != UInt8(ascii: "E") {
      rest.removeFirst()
      if byte == UInt8(ascii: ".") {
        whole = digits.count
      } else {
        digits.append(byte &- UInt8(ascii: "0"))
      }
    }
    guard !digits.isEmpty, digits.allSatisfy({ $0 < 10 }) else { return nil }
    let point = whole ?? digits.count
    let leading = digits.prefix { $0 == 0 }.count
    digits.removeFirst(leading)
    while digits.last == 0 { digits.removeLast() }
    guard !digits.isEmpty else {
      self.init(isNegative: false, digits: [], exponent: 0)
      return
    }
    guard let power = JSONNumber.power(rest), power.magnitude <= JSONNumber.farthest else { return nil }
    self.init(isNegative: isNegative, digits: digits, exponent: point - leading + power)
  }

  private init(isNegative: Bool, digits: [UInt8], exponent: Int) {
    self.isNegative = isNegative
    self.digits = digits
    self.exponent = exponent
  }

  /// The exponent that follows the digits, 0 where there is none.
  private static func power(_ text: Substring.UTF8View) -> Int? {
    guard !text.isEmpty else { return 0 }
    var rest = text.dropFirst()
    if rest.first == UInt8(ascii: "+") { rest.removeFirst() }
    return Int(Substring(rest))
  }

  /// Whether it is a whole number, however it is written: `1.0` and `1e3` are.
  var isWhole: Bool { digits.isEmpty || exponent >= digits.count }

  /// Whether it is a whole multiple of a number that is more than zero.
  func isMultiple(of divisor: UInt64) -> Bool {
    guard isWhole else { return false }
    let divisor = UInt128(divisor)
    var remainder: UInt128 = 0
    for digit in digits { remainder = (remainder * 10 + UInt128(digit)) % divisor }
    var base: UInt128 = 10 % divisor
    var zeros = digits.isEmpty ? 0 : exponent - digits.count
    while zeros > 0, remainder > 0 {
      if zeros & 1 == 1 { remainder = remainder * base % divisor }
      base = base * base % divisor
      zeros >>= 1
    }
    return remainder == 0
  }

  /// A text that equal numbers have in common, and no others.
  var canonical: String {
    guard !digits.isEmpty else { return "0" }
    return (isNegative ? "-" : "") + digits.map(String.init).joined() + "e\(exponent)"
  }
}

extension JSONNumber: Comparable {
  static func < (left: JSONNumber, right: JSONNumber) -> Bool {
    if left.isNegative != right.isNegative { return left.isNegative }
    return left.isNegative ? right.isSmallerInSize(than: left) : left.isSmallerInSize(than: right)
  }

  private func isSmallerInSize(than other: JSONNumber) -> Bool {
    guard !digits.isEmpty, !other.digits.isEmpty else { return digits.isEmpty && !other.digits.isEmpty }
    guard exponent == other.exponent else { return exponent < other.exponent }
    return digits.lexicographicallyPrecedes(other.digits)
  }
}

extension JSON {
  /// A text that equal values have in common and no others: `1.0` and `1` are equal, and members have no order.
  ///
  /// - Returns: nil where a number is out of all proportion.
  var comparable: [UInt8]? {
    withCanonicalNumbers.map { Array($0.canonical().utf8) }
  }

  private var withCanonicalNumbers: JSON? {
    switch self {
    case .null, .bool, .string: return self
    case .number(let text): return JSONNumber(text).map { .number($0.canonical) }
    case .array(let elements):
      var canonical: [JSON] = []
      for element in elements {
        guard let value = element.withCanonicalNumbers else { return nil }
        canonical.append(value)
      }
      return .array(canonical)
    case .object(let object):
      var canonical = JSONObject()
      for member in object.members {
        guard let value = member.value.withCanonicalNumbers else { return nil }
        canonical.append(member.key, value)
      }
      return .object(canonical)
    }
  }
}

extension JSONNumber {
  /// The number where it is whole and fits into 64 bits.
  var int64: Int64? {
    guard !digits.isEmpty else { return 0 }
    guard isWhole, exponent <= 19 else { return nil }
    let zeros = String(repeating: "0", count: exponent - digits.count)
    return Int64((isNegative ? "-" : "") + digits.map { String($0) }.joined() + zeros)
  }
}
