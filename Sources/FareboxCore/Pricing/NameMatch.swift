/// A rule for the names that a rate is for, in the form of `genai-prices`.
///
/// Names are compared without regard to case. A rule that holds a pattern which cannot be read gives no answer for
/// the names that depend on it, and a lookup then finds nothing rather than the wrong price.
public indirect enum NameMatch: Hashable, Sendable {
  case equals(String)
  case startsWith(String)
  case endsWith(String)
  case contains(String)
  case any([NameMatch])
  case all([NameMatch])
  /// A regular expression.
  case pattern(String)

  /// Rules inside rules.
  private static let deepest = 8

  /// The patterns in the rule that cannot be read.
  var unreadable: [String] {
    switch self {
    case .pattern(let text): NamePattern(text) == nil ? [text] : []
    case .any(let rules), .all(let rules): rules.flatMap(\.unreadable)
    case .equals, .startsWith, .endsWith, .contains: []
    }
  }

  /// The names that the rule lists one by one.
  var listed: [String] {
    switch self {
    case .equals(let text): [text]
    case .any(let rules): rules.flatMap(\.listed)
    case .startsWith, .endsWith, .contains, .all, .pattern: []
    }
  }
}

extension NameMatch {
  /// Reads `{"equals": "gpt-4o"}`, `starts_with`, `ends_with`, `contains`, `regex`, or `or` and `and` of several.
  /// - Throws: `invalidArgument`, `unknownField`, `tooLong`.
  public static func parse(_ json: JSON, path: String) throws(Failure) -> NameMatch {
    try parse(json, path: path, depth: 0)
  }

  private static func parse(_ json: JSON, path: String, depth: Int) throws(Failure) -> NameMatch {
    guard depth < deepest else { throw Failure(.tooLong, field: path, "rules nest deeper than \(deepest)") }
    guard let object = json.object, object.count == 1, let member = object.members.first else {
      throw Failure(.invalidArgument, field: path, "must be an object of one rule")
    }
    let inner = "\(path).\(member.key)"
    switch member.key {
    case "equals": return .equals(try text(member.value, inner))
    case "starts_with": return .startsWith(try text(member.value, inner))
    case "ends_with": return .endsWith(try text(member.value, inner))
    case "contains": return .contains(try text(member.value, inner))
    case "regex": return .pattern(try text(member.value, inner))
    case "or": return .any(try list(member.value, inner, depth))
    case "and": return .all(try list(member.value, inner, depth))
    default: throw Failure(.unknownField, field: inner, "is not a rule that is known here")
    }
  }

  private static func text(_ json: JSON, _ path: String) throws(Failure) -> String {
    guard let text = json.string, !text.isEmpty, text.utf8.count <= RateCard.longestName else {
      throw Failure(.invalidArgument, field: path, "must be a text of at most \(RateCard.longestName) bytes")
    }
    return text
  }

  private static func list(_ json: JSON, _ path: String, _ depth: Int) throws(Failure) -> [NameMatch] {
    guard let elements = json.array, !elements.isEmpty, elements.count <= RateCard.mostAliases else {
      throw Failure(.invalidArgument, field: path, "must be an array of at most \(RateCard.mostAliases) rules")
    }
    var rules: [NameMatch] = []
    for (index, element) in elements.enumerated() {
      rules.append(try parse(element, path: "\(path)[\(index)]", depth: depth + 1))
    }
    return rules
  }

  /// The rule as JSON that `parse` reads back.
  public var json: JSON {
    switch self {
    case .equals(let text): ["equals": .string(text)]
    case .startsWith(let text): ["starts_with": .string(text)]
    case .endsWith(let text): ["ends_with": .string(text)]
    case .contains(let text): ["contains": .string(text)]
    case .pattern(let text): ["regex": .string(text)]
    case .any(let rules): ["or": .array(rules.map(\.json))]
    case .all(let rules): ["and": .array(rules.map(\.json))]
    }
  }
}

/// A rule that is ready to be applied to names in lower case.
indirect enum NameTest: Sendable {
  case equals([UInt8])
  case startsWith([UInt8])
  case endsWith([UInt8])
  case contains([UInt8])
  case any([NameTest])
  case all([NameTest])
  case pattern(NamePattern)
  /// A pattern that cannot be read.
  case unknown

  init(_ rule: NameMatch) {
    switch rule {
    case .equals(let text): self = .equals(Array(text.lowercased().utf8))
    case .startsWith(let text): self = .startsWith(Array(text.lowercased().utf8))
    case .endsWith(let text): self = .endsWith(Array(text.lowercased().utf8))
    case .contains(let text): self = .contains(Array(text.lowercased().utf8))
    case .pattern(let text): self = NamePattern(text).map { .pattern($0) } ?? .unknown
    case .any(let rules): self = .any(rules.map(NameTest.init))
    case .all(let rules): self = .all(rules.map(NameTest.init))
    }
  }

  /// Whether a name in lower case matches; nil when that cannot be told.
  func matches(_ name: [UInt8]) -> Bool? {
    switch self {
    case .equals(let text): return name == text
    case .startsWith(let text): return name.starts(with: text)
    case .endsWith(let text): return name.reversed().starts(with: text.reversed())
    case .contains(let text): return NameTest.find(text, in: name)
    case .pattern(let pattern): return pattern.matches(name)
    case .unknown: return nil
    case .any(let tests):
      var answer: Bool? = false
      for test in tests {
        switch test.matches(name) {
        case true: return true
        case nil: answer = nil
        case false: continue
        }
      }
      return answer
    case .all(let tests):
      var answer: Bool? = true
      for test in tests {
        switch test.matches(name) {
        case false: return false
        case nil: answer = nil
        case true: continue
        }
      }
      return answer
    }
  }

  /// Whether a text holds another, byte by byte.
  static func find(_ part: [UInt8], in name: [UInt8]) -> Bool {
    var start = 0
    while name.count - start >= part.count {
      if name[start...].starts(with: part) { return true }
      start += 1
    }
    return false
  }
}
