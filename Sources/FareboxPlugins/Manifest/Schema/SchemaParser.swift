internal import FareboxCore

/// Reads a schema into nodes, the root first.
struct SchemaParser {
  typealias Node = JSONSchema.Node

  private var nodes: [Node] = []
  private var paths: [String] = []
  private var definitions: [String: Int] = [:]
  private var references: [(node: Int, text: String)] = []

  static func parse(_ json: JSON, path: String) throws(Failure) -> [Node] {
    var parser = SchemaParser()
    _ = try parser.add(json, path)
    try parser.resolve()
    try parser.refuseLoops()
    return parser.nodes
  }

  mutating func add(_ json: JSON, _ path: String) throws(Failure) -> Int {
    let index = nodes.count
    nodes.append(Node())
    paths.append(path)
    switch json {
    case .bool(let flag): nodes[index].always = flag
    case .object(let object):
      var node = Node()
      for member in object.members {
        let place = SchemaParser.join(path, member.key)
        try read(member.key, member.value, place, isRoot: index == 0, index, &node)
      }
      nodes[index] = node
    default: throw Failure(.invalidArgument, field: path, "must be a schema: an object, true or false")
    }
    return index
  }

  private mutating func read(
    _ key: String, _ value: JSON, _ path: String, isRoot: Bool, _ index: Int, _ node: inout Node
  ) throws(Failure) {
    if isRoot, key == "$defs" {
      for member in try SchemaParser.object(value, path).members {
        definitions[member.key] = try add(member.value, SchemaParser.join(path, member.key))
      }
      return
    }
    if key == "$ref" {
      references.append((index, try SchemaParser.text(value, path)))
      return
    }
    if try SchemaParser.annotation(key, value, path, isRoot: isRoot, &node) { return }
    if try SchemaParser.values(key, value, path, &node) { return }
    if try SchemaParser.numbers(key, value, path, &node) { return }
    if try SchemaParser.counts(key, value, path, &node) { return }
    if try arrays(key, value, path, &node) { return }
    if try objects(key, value, path, &node) { return }
    if try logic(key, value, path, &node) { return }
    throw Failure(.unknownField, field: path, "is not a keyword that is understood here")
  }

  /// Puts the node of each `$ref` in its place.
  private mutating func resolve() throws(Failure) {
    let prefix = "#/$defs/"
    for (node, text) in references {
      let field = SchemaParser.join(paths[node], "$ref")
      var target: Int?
      if text == "#" {
        target = 0
      } else if text.hasPrefix(prefix), !text.contains("%") {
        target = definitions[SchemaParser.unescaped(text.dropFirst(prefix.count))]
      } else {
        throw Failure(.invalidArgument, field: field, "must be # or #/$defs/ and a name")
      }
      guard let target else { throw Failure(.missingField, field: field, "$defs has no schema of this name") }
      nodes[node].logic.reference = target
    }
  }

  /// The name that a JSON pointer has in it; a name with a slash must be escaped, so that one that is not is unknown.
  private static func unescaped(_ text: Substring) -> String {
    guard !text.contains("/") else { return "/" }
    return text.split(separator: "~1", omittingEmptySubsequences: false).map { part in
      part.split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~")
    }.joined(separator: "/")
  }

  /// Refuses schemas that come back to themselves without going into the value: they would never be decided.
  private func refuseLoops() throws(Failure) {
    var waiting = [Int](repeating: 0, count: nodes.count)
    for node in nodes { for next in node.logic.schemas { waiting[next] += 1 } }
    var ready = waiting.indices.filter { waiting[$0] == 0 }
    while let index = ready.popLast() {
      for next in nodes[index].logic.schemas {
        waiting[next] -= 1
        if waiting[next] == 0 { ready.append(next) }
      }
    }
    guard let looped = waiting.indices.first(where: { waiting[$0] > 0 }) else { return }
    throw Failure(.invalidArgument, field: paths[looped], "is a schema that refers to itself for the same value")
  }
}
