/// A version by Semantic Versioning 2.0.0: `1.4.0-beta.2+build7`.
public struct SemanticVersion: Sendable {
  /// The version as it was written.
  public let text: String
  private let numbers: [UInt32]
  private let preRelease: [Substring]

  /// Reads a version; nil when it is not one.
  public init?(_ text: String) {
    guard text.utf8.count <= 64 else { return nil }
    let build = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
    if build.count == 2, SemanticVersion.identifiers(build[1]) == nil { return nil }
    let main = build[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    let numbers = main[0].split(separator: ".", omittingEmptySubsequences: false).compactMap(SemanticVersion.number)
    guard numbers.count == 3, main[0].split(separator: ".", omittingEmptySubsequences: false).count == 3 else {
      return nil
    }
    var preRelease: [Substring] = []
    if main.count == 2 {
      guard let identifiers = SemanticVersion.identifiers(main[1]) else { return nil }
      guard identifiers.allSatisfy({ !SemanticVersion.isNumeric($0) || SemanticVersion.number($0) != nil }) else {
        return nil
      }
      preRelease = identifiers
    }
    self.text = text
    self.numbers = numbers
    self.preRelease = preRelease
  }

  private static func identifiers(_ text: Substring) -> [Substring]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(isAllowed) } ? parts : nil
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func isNumeric(_ text: Substring) -> Bool {
    text.utf8.allSatisfy { $0 &- UInt8(ascii: "0") < 10 }
  }

  private static func number(_ text: Substring) -> UInt32? {
    guard !text.isEmpty, isNumeric(text), text.utf8.first != UInt8(ascii: "0") || text.utf8.count == 1 else {
      return nil
    }
    return UInt32(text)
  }
}

extension SemanticVersion: Comparable {
  /// Whether two versions have the same precedence; the build is not compared.
  public static func == (left: SemanticVersion, right: SemanticVersion) -> Bool {
    left.numbers == right.numbers && left.preRelease == right.preRelease
  }

  /// The precedence of Semantic Versioning, section 11: a pre-release comes before its release.
  public static func < (left: SemanticVersion, right: SemanticVersion) -> Bool {
    guard left.numbers == right.numbers else { return left.numbers.lexicographicallyPrecedes(right.numbers) }
    guard !left.preRelease.isEmpty, !right.preRelease.isEmpty else {
      return !left.preRelease.isEmpty && right.preRelease.isEmpty
    }
    for (a, b) in zip(left.preRelease, right.preRelease) where a != b {
      switch (number(a), number(b)) {
      case (let a?, let b?): return a < b
      case (_?, nil): return true
      case (nil, _?): return false
      case (nil, nil): return a.utf8.lexicographicallyPrecedes(b.utf8)
      }
    }
    return left.preRelease.count < right.preRelease.count
  }
}
