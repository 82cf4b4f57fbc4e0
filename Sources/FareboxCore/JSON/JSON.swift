/// A JSON value that keeps what money needs: the exact text of each number and the order of members.
///
/// A number is never turned into a binary float. `0.70` stays the four characters `0.70`, and the reader of the value
/// decides which exact type it becomes.
public enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The number's own text, such as `0.70` or `1e-06`.
  case number(String)
  case string(String)
  case array([JSON])
  case object(JSONObject)
}

extension JSON {
  /// A number from an integer.
  public static func int(_ value: Int64) -> JSON {
    .number(String(value))
  }

  /// The text of a string, or nil for any other value.
  public var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  /// The value of `true` or `false`, or nil for any other value.
  public var bool: Bool? {
    guard case .bool(let flag) = self else { return nil }
    return flag
  }

  /// The elements of an array, or nil for any other value.
  public var array: [JSON]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  /// The members of an object, or nil for any other value.
  public var object: JSONObject? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  /// Whether the value is `null`.
  public var isNull: Bool {
    guard case .null = self else { return false }
    return true
  }

  /// The value of an integer, written as a number or as a string of one; nil for anything else.
  ///
  /// `12` and `"12"` are 12. `12.0`, `1e3`, `"+1"`, `"007"` and what does not fit into 64 bits are nil.
  public var int64: Int64? {
    switch self {
    case .number(let text), .string(let text): JSON.integer(text)
    case .null, .bool, .array, .object: nil
    }
  }

  /// The text of a number, or of a string that is meant to hold one; nil for anything else.
  public var numberText: String? {
    switch self {
    case .number(let text), .string(let text): text
    case .null, .bool, .array, .object: nil
    }
  }

  private static func integer(_ text: String) -> Int64? {
    var digits = text.utf8[...]
    if digits.first == UInt8(ascii: "-") { digits.removeFirst() }
    guard let first = digits.first, digits.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else { return nil }
    guard first != UInt8(ascii: "0") || digits.count == 1 else { return nil }
    return Int64(text)
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) {
    self = .string(value)
  }

  public init(booleanLiteral value: Bool) {
    self = .bool(value)
  }

  public init(integerLiteral value: Int64) {
    self = .int(value)
  }

  public init(arrayLiteral elements: JSON...) {
    self = .array(elements)
  }

  public init(dictionaryLiteral elements: (String, JSON)...) {
    self = .object(JSONObject(elements))
  }

  public init(nilLiteral: ()) {
    self = .null
  }
}
