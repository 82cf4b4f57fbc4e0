/// The small part of regular expressions that price lists use for names: `^claude-opus-5[-@]\d{8}$`.
///
/// It begins with `^`; then characters, escaped punctuation, `\d`, `\d{n}` and one-character classes such as `[-@]`;
/// then, optionally, `$`. Whatever goes beyond that is not understood, and a match of it is unknown rather than false.
struct NamePattern: Hashable, Sendable {
  let text: String
  private let steps: [Step]
  private let toTheEnd: Bool

  private enum Step: Hashable {
    case oneOf([UInt8])
    case digit
  }

  /// Compiles a pattern; nil when it uses more than this type understands.
  init?(_ text: String) {
    var rest = Array(text.utf8)[...]
    guard rest.popFirst() == UInt8(ascii: "^") else { return nil }
    toTheEnd = rest.last == UInt8(ascii: "$")
    if toTheEnd { rest.removeLast() }
    var steps: [Step] = []
    while let byte = rest.popFirst() {
      guard let step = NamePattern.step(byte, &rest), let count = NamePattern.count(&rest) else { return nil }
      steps.append(contentsOf: repeatElement(step, count: count))
    }
    self.text = text
    self.steps = steps
  }

  private static func step(_ byte: UInt8, _ rest: inout ArraySlice<UInt8>) -> Step? {
    switch byte {
    case UInt8(ascii: "\\"):
      guard let escaped = rest.popFirst() else { return nil }
      if escaped == UInt8(ascii: "d") { return .digit }
      return isPlain(escaped) ? nil : .oneOf([escaped])
    case UInt8(ascii: "["):
      guard let end = rest.firstIndex(of: UInt8(ascii: "]")) else { return nil }
      let members = Array(rest[..<end])
      rest = rest[(end + 1)...]
      let isRange = members.dropFirst().dropLast().contains(UInt8(ascii: "-"))
      guard !members.isEmpty, members.first != UInt8(ascii: "^"), !members.contains(UInt8(ascii: "\\")), !isRange
      else { return nil }
      return .oneOf(members)
    default:
      return isPlain(byte)
        || [
          UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "@"), UInt8(ascii: "_"),
          UInt8(ascii: ":"), UInt8(ascii: "="),
        ].contains(byte) ? .oneOf([byte]) : nil
    }
  }

  /// Reads `{n}` after a step; 1 where there is none, nil for what is not understood.
  private static func count(_ rest: inout ArraySlice<UInt8>) -> Int? {
    guard rest.first == UInt8(ascii: "{") else { return 1 }
    guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
    let digits = String(decoding: rest[rest.index(after: rest.startIndex)..<end], as: UTF8.self)
    rest = rest[(end + 1)...]
    guard let count = Int(digits), (1...64).contains(count) else { return nil }
    return count
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  func matches(_ name: String) -> Bool {
    var rest = name.utf8[...]
    for step in steps {
      guard let byte = rest.popFirst() else { return false }
      switch step {
      case .digit: if byte &- UInt8(ascii: "0") >= 10 { return false }
      case .oneOf(let allowed): if !allowed.contains(byte) { return false }
      }
    }
    return rest.isEmpty || !toTheEnd
  }
}
