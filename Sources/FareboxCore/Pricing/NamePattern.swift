/// A regular expression over names, as price lists use them: `^claude-opus-5[-@]\d{8}$`, `^(?!.*-tts)(a|b)`.
///
/// It understands characters and escaped punctuation, `.`, `\d`, `\w`, `\s`, classes with ranges and negation, groups,
/// choices, `?`, `*`, `+`, counts, `^`, `$` and looking ahead, and searches the whole name. Names are texts of bytes.
/// Whatever goes beyond that is not understood, and a match that takes too many steps is given up: both are unknown
/// rather than false.
struct NamePattern: Hashable, Sendable {
  let text: String
  private let root: Node

  /// How many steps a search may take; a name has at most 255 bytes.
  private static let mostSteps = 20_000

  fileprivate indirect enum Node: Hashable, Sendable {
    case oneOf(ByteSet)
    case start
    case end
    case sequence([Node])
    case choice([Node])
    case repeated(Node, least: Int, most: Int)
    case ahead(Node, isNegative: Bool)
  }

  /// Compiles a pattern; nil when it uses more than this type understands.
  init?(_ text: String) {
    var reader = PatternReader(text)
    guard let root = reader.read() else { return nil }
    self.text = text
    self.root = root
  }

  static func == (left: NamePattern, right: NamePattern) -> Bool { left.text == right.text }

  func hash(into hasher: inout Hasher) { hasher.combine(text) }

  /// Whether the pattern is found in a name; nil when that took too long to tell.
  func matches(_ name: [UInt8]) -> Bool? {
    var steps = NamePattern.mostSteps
    for start in 0...name.count {
      guard let found = match(root, name, start, &steps, { _, _ in true }) else { return nil }
      if found { return true }
    }
    return false
  }

  /// Whether a node matches at a place and what follows it matches from where it ended.
  private func match(
    _ node: Node, _ name: [UInt8], _ at: Int, _ steps: inout Int, _ next: (Int, inout Int) -> Bool?
  ) -> Bool? {
    steps -= 1
    guard steps > 0 else { return nil }
    switch node {
    case .oneOf(let set): return at < name.count && set.contains(name[at]) ? next(at + 1, &steps) : false
    case .start: return at == 0 ? next(at, &steps) : false
    case .end: return at == name.count ? next(at, &steps) : false
    case .sequence(let nodes): return match(nodes[...], name, at, &steps, next)
    case .choice(let nodes):
      for node in nodes {
        guard let found = match(node, name, at, &steps, next) else { return nil }
        if found { return true }
      }
      return false
    case .repeated(let node, let least, let most):
      return repeated(node, least, most, name, at, &steps, next)
    case .ahead(let node, let isNegative):
      guard let found = match(node, name, at, &steps, { _, _ in true }) else { return nil }
      return found == isNegative ? false : next(at, &steps)
    }
  }

  private func match(
    _ nodes: ArraySlice<Node>, _ name: [UInt8], _ at: Int, _ steps: inout Int, _ next: (Int, inout Int) -> Bool?
  ) -> Bool? {
    guard let first = nodes.first else { return next(at, &steps) }
    return match(first, name, at, &steps) { end, steps in match(nodes.dropFirst(), name, end, &steps, next) }
  }

  private func repeated(
    _ node: Node, _ least: Int, _ most: Int, _ name: [UInt8], _ at: Int, _ steps: inout Int,
    _ next: (Int, inout Int) -> Bool?
  ) -> Bool? {
    if most > 0 {
      let further = match(node, name, at, &steps) { end, steps in
        // Nothing, once, is nothing any number of times.
        end == at ? next(end, &steps) : repeated(node, least - 1, most - 1, name, end, &steps, next)
      }
      guard let further else { return nil }
      if further { return true }
    }
    return least <= 0 ? next(at, &steps) : false
  }
}

/// Some of the 256 bytes.
private struct ByteSet: Hashable, Sendable {
  /// The bytes below 64, below 128, below 192, and the rest.
  private var words: SIMD4<UInt64> = .zero

  init() {}

  init(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { insert(byte) }
  }

  static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
  static let letters = ByteSet(
    [UInt8](UInt8(ascii: "a")...UInt8(ascii: "z")) + [UInt8](UInt8(ascii: "A")...UInt8(ascii: "Z")))
  static let spaces = ByteSet([9, 10, 11, 12, 13, 32])

  func contains(_ byte: UInt8) -> Bool {
    words[Int(byte >> 6)] & (1 << UInt64(byte & 63)) != 0
  }

  mutating func insert(_ byte: UInt8) {
    words[Int(byte >> 6)] |= 1 << UInt64(byte & 63)
  }

  func union(_ other: ByteSet) -> ByteSet {
    var both = self
    both.words |= other.words
    return both
  }

  var inverted: ByteSet {
    var rest = self
    rest.words = ~words
    return rest
  }
}

/// Reads a pattern into nodes.
private struct PatternReader {
  private var rest: ArraySlice<UInt8>
  private var depth = 0

  /// Groups inside groups.
  private static let deepest = 16
  /// The most repetitions that a count may ask for.
  private static let mostRepeats = 255

  init(_ text: String) {
    rest = Array(text.utf8)[...]
  }

  /// The whole pattern; nil when some of it is not understood.
  mutating func read() -> NamePattern.Node? {
    guard let node = choice(), rest.isEmpty else { return nil }
    return node
  }

  private mutating func choice() -> NamePattern.Node? {
    guard depth < PatternReader.deepest else { return nil }
    depth += 1
    defer { depth -= 1 }
    var branches: [NamePattern.Node] = []
    repeat {
      guard let branch = sequence() else { return nil }
      branches.append(branch)
    } while take("|")
    return branches.count == 1 ? branches.first : .choice(branches)
  }

  private mutating func sequence() -> NamePattern.Node? {
    var nodes: [NamePattern.Node] = []
    while let byte = rest.first, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
      guard let node = atom(), let counted = counted(node) else { return nil }
      nodes.append(counted)
    }
    return .sequence(nodes)
  }

  private mutating func atom() -> NamePattern.Node? {
    guard let byte = rest.popFirst() else { return nil }
    switch byte {
    case UInt8(ascii: "^"): return .start
    case UInt8(ascii: "$"): return .end
    case UInt8(ascii: "."): return .oneOf(ByteSet([10]).inverted)
    case UInt8(ascii: "\\"): return escape().map { .oneOf($0) }
    case UInt8(ascii: "["): return characterClass().map { .oneOf($0) }
    case UInt8(ascii: "("): return group()
    case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"), UInt8(ascii: "}"),
      UInt8(ascii: "]"):
      return nil
    default: return .oneOf(ByteSet([byte]))
    }
  }

  private mutating func group() -> NamePattern.Node? {
    var wrap: (NamePattern.Node) -> NamePattern.Node = { $0 }
    if take("?") {
      switch rest.popFirst() {
      case UInt8(ascii: ":"): break
      case UInt8(ascii: "!"): wrap = { .ahead($0, isNegative: true) }
      case UInt8(ascii: "="): wrap = { .ahead($0, isNegative: false) }
      default: return nil
      }
    }
    guard let inner = choice(), take(")") else { return nil }
    return wrap(inner)
  }

  private mutating func escape() -> ByteSet? {
    guard let byte = rest.popFirst() else { return nil }
    switch byte {
    case UInt8(ascii: "d"): return .digits
    case UInt8(ascii: "w"): return ByteSet.digits.union(.letters).union(ByteSet([UInt8(ascii: "_")]))
    case UInt8(ascii: "s"): return .spaces
    default: return ByteSet.digits.union(.letters).contains(byte) ? nil : ByteSet([byte])
    }
  }

  private mutating func characterClass() -> ByteSet? {
    let isNegative = take("^")
    var set = ByteSet()
    var isEmpty = true
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "]"), !isEmpty { return isNegative ? set.inverted : set }
      isEmpty = false
      if byte == UInt8(ascii: "\\") {
        guard let escaped = escape() else { return nil }
        set = set.union(escaped)
      } else if rest.first == UInt8(ascii: "-"), let last = rest.dropFirst().first, last != UInt8(ascii: "]") {
        guard byte <= last, last != UInt8(ascii: "\\") else { return nil }
        rest = rest.dropFirst(2)
        set = set.union(ByteSet(byte...last))
      } else {
        set.insert(byte)
      }
    }
    return nil
  }

  /// A node with the count that follows it; nil for one that is not understood.
  private mutating func counted(_ node: NamePattern.Node) -> NamePattern.Node? {
    let range: (least: Int, most: Int)
    switch rest.first {
    case UInt8(ascii: "?"): range = (0, 1)
    case UInt8(ascii: "*"): range = (0, PatternReader.mostRepeats)
    case UInt8(ascii: "+"): range = (1, PatternReader.mostRepeats)
    case UInt8(ascii: "{"):
      guard let counts = counts() else { return nil }
      range = counts
    default: return node
    }
    // The last character of the count.
    rest = rest.dropFirst()
    // What follows would make it lazy or possessive, or is a count of a count.
    if let next = rest.first,
      [UInt8(ascii: "?"), UInt8(ascii: "+"), UInt8(ascii: "*"), UInt8(ascii: "{")].contains(next)
    {
      return nil
    }
    return .repeated(node, least: range.least, most: range.most)
  }

  /// Reads `{2}`, `{2,}` or `{2,5}`, up to the closing brace.
  private mutating func counts() -> (least: Int, most: Int)? {
    guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
    let parts = rest[(rest.startIndex + 1)..<end].split(
      separator: UInt8(ascii: ","), maxSplits: 1, omittingEmptySubsequences: false)
    rest = rest[end...]
    guard let least = parts.first.flatMap(number) else { return nil }
    guard parts.count == 2 else { return (least, least) }
    if parts[1].isEmpty { return (least, PatternReader.mostRepeats) }
    guard let most = number(parts[1]), most >= least else { return nil }
    return (least, most)
  }

  private func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard digits.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else { return nil }
    guard let number = Int(String(decoding: digits, as: UTF8.self)), number <= PatternReader.mostRepeats else {
      return nil
    }
    return number
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard let byte = rest.first, UInt32(byte) == character.value else { return false }
    rest = rest.dropFirst()
    return true
  }
}
