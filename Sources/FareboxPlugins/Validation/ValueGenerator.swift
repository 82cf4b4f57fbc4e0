internal import Farebox
internal import FareboxCore

/// Makes JSON values that a schema allows, ordinary ones and those at its edges.
struct ValueGenerator {
  private let schema: JSONSchema
  private var random: SeededRandom

  init(_ schema: JSONSchema, seed: UInt64) {
    self.schema = schema
    random = SeededRandom(seed: seed)
  }

  /// A value that the schema allows, or nil where none was found in a bounded number of tries.
  mutating func next() -> JSON? {
    for _ in 0..<64 {
      let value = value(of: [0], depth: 0)
      if (try? schema.check(value)) != nil { return value }
    }
    return nil
  }

  /// A value for the schemas that all look at it; tried, not proven.
  private mutating func value(of schemas: [Int], depth: Int) -> JSON {
    var nodes: [JSONSchema.Node] = []
    var waiting = schemas
    var seen: Set<Int> = []
    while let index = waiting.popLast() {
      guard seen.insert(index).inserted else { continue }
      let node = schema.nodes[index]
      nodes.append(node)
      waiting += node.logic.all
      if let reference = node.logic.reference { waiting.append(reference) }
      if let any = node.logic.any?.randomElement(using: &random) { waiting.append(any) }
      if let one = node.logic.one?.randomElement(using: &random) { waiting.append(one) }
    }
    for node in nodes {
      if let constant = node.constant, let json = try? JSON.parse(constant) { return json }
      if let values = node.values?.sorted(by: { $0.lexicographicallyPrecedes($1) }),
        let chosen = values.randomElement(using: &random), let json = try? JSON.parse(chosen)
      {
        return json
      }
    }
    switch type(of: nodes, depth: depth) {
    case .null: return .null
    case .boolean: return .bool(Bool.random(using: &random))
    case .integer: return integer(nodes)
    case .number: return Bool.random(using: &random) ? integer(nodes) : fraction(nodes)
    case .string: return .string(text(nodes))
    case .array: return array(nodes, depth: depth)
    default: return object(nodes, depth: depth)
    }
  }

  private mutating func type(of nodes: [JSONSchema.Node], depth: Int) -> JSONSchema.Types {
    var allowed: JSONSchema.Types = [.null, .boolean, .object, .array, .number, .string, .integer]
    for types in nodes.compactMap(\.types) { allowed.formIntersection(types) }
    // What is deep ends soon.
    var single = JSONSchema.Types.names.map(\.type).filter { allowed.contains($0) }
    if depth > 4, single.contains(where: { $0 != .object && $0 != .array }) {
      single.removeAll { $0 == .object || $0 == .array }
    }
    if depth == 0, single.contains(.object) { return .object }
    return single.randomElement(using: &random) ?? .object
  }

  private mutating func integer(_ nodes: [JSONSchema.Node]) -> JSON {
    var least = Int64.min
    var most = Int64.max
    for rules in nodes.compactMap(\.number) {
      if let bound = rules.minimum?.int64 { least = max(least, bound) }
      if let bound = rules.exclusiveMinimum?.int64, bound < .max { least = max(least, bound + 1) }
      if let bound = rules.maximum?.int64 { most = min(most, bound) }
      if let bound = rules.exclusiveMaximum?.int64, bound > .min { most = min(most, bound - 1) }
    }
    guard least <= most else { return .int(least) }
    let candidates: [Int64] = [
      least, most, 0, 1, -1, 255, 65_536, 1 << 31, Int64.random(in: least...most, using: &random),
      Int64.random(in: max(least, -100)...max(max(least, -100), min(most, 100)), using: &random),
    ]
    var value = candidates.filter { (least...most).contains($0) }.randomElement(using: &random) ?? least
    if let divisor = nodes.compactMap({ $0.number?.divisor }).first, let step = Int64(exactly: divisor), step > 0 {
      value -= value % step
    }
    return .int(value)
  }

  private mutating func fraction(_ nodes: [JSONSchema.Node]) -> JSON {
    let whole = integer(nodes).int64 ?? 0
    guard whole > -1_000_000_000, whole < 1_000_000_000 else { return .number("\(whole)") }
    return .number(["\(whole).5", "\(whole).000001", "\(whole)e0"].randomElement(using: &random) ?? "\(whole)")
  }

  private mutating func count(_ bounds: [JSONSchema.Bounds], usual: Int64, most limit: Int64) -> Int {
    let least = bounds.map(\.least).max() ?? 0
    let most = min(bounds.map(\.most).min() ?? .max, max(least, limit))
    guard least <= most else { return Int(clamping: least) }
    switch Int.random(in: 0..<8, using: &random) {
    case 0: return Int(clamping: least)
    case 1: return Int(clamping: most)
    default: return Int(clamping: Int64.random(in: least...max(least, min(most, least + usual)), using: &random))
    }
  }

  private static let characters: [Character] = [
    "a", "b", "z", "0", "9", " ", "\n", "\t", "\"", "\\", "/", "\u{0}", "\u{7f}", "ä", "€", "\u{202e}", "字", "😀", "<",
    "%",
  ]

  private mutating func text(_ nodes: [JSONSchema.Node]) -> String {
    let count = count(nodes.map(\.length), usual: 24, most: 4_096)
    var text = ""
    if Bool.random(using: &random) {
      // Code points, not characters, are counted.
      for _ in 0..<count { text.unicodeScalars.append(Unicode.Scalar(UInt8.random(in: 97...122, using: &random))) }
      return text
    }
    for _ in 0..<count {
      text.unicodeScalars.append(
        ValueGenerator.characters.randomElement(using: &random)?.unicodeScalars.first ?? "x")
    }
    return text
  }

  private mutating func array(_ nodes: [JSONSchema.Node], depth: Int) -> JSON {
    let count = count(nodes.map(\.array.count), usual: 4, most: 64)
    var elements: [JSON] = []
    for index in 0..<count {
      let inner = nodes.compactMap { node in
        index < node.array.first.count ? node.array.first[index] : node.array.rest
      }
      elements.append(value(of: inner, depth: depth + 1))
    }
    return .array(elements)
  }

  private mutating func object(_ nodes: [JSONSchema.Node], depth: Int) -> JSON {
    var object = JSONObject()
    let required = Set(nodes.flatMap(\.object.required))
    let names = Set(nodes.flatMap(\.object.properties.keys)).union(required).sorted()
    for name in names where required.contains(name) || Bool.random(using: &random) {
      let inner = nodes.compactMap { $0.object.properties[name] ?? $0.object.additional }
      object.append(name, value(of: inner, depth: depth + 1))
    }
    return .object(object)
  }
}
