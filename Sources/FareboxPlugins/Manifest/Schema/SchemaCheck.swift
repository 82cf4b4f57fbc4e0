internal import FareboxCore

/// One check of a value; it ends after a bounded number of steps, whatever the schema and the value are.
struct SchemaCheck {
  private let nodes: [JSONSchema.Node]
  private let path: String
  private let status: Status
  private var steps = JSONSchema.mostSteps
  private var depth = 0

  /// What does not match: the path from the value that was looked at, and why.
  struct Mismatch {
    var path = ""
    let what: String

    init(_ what: String) {
      self.what = what
    }

    func within(_ step: String) -> Mismatch {
      var mismatch = self
      mismatch.path = step + path
      return mismatch
    }
  }

  init(nodes: [JSONSchema.Node], path: String, status: Status) {
    self.nodes = nodes
    self.path = path
    self.status = status
  }

  mutating func run(_ value: JSON) throws(Failure) {
    guard let found = try mismatch(0, value) else { return }
    let place = path.isEmpty && found.path.hasPrefix(".") ? String(found.path.dropFirst()) : path + found.path
    throw Failure(status, field: place, found.what)
  }

  private mutating func spend(_ count: Int) throws(Failure) {
    steps -= count
    guard steps >= 0 else {
      throw Failure(status, field: path, "takes more than \(JSONSchema.mostSteps) steps to check")
    }
  }

  private func number(_ text: String) throws(Failure) -> JSONNumber {
    guard let number = JSONNumber(text) else {
      throw Failure(status, field: path, "has a number that is too large to check")
    }
    return number
  }

  /// Why a value is not what a schema allows, or nil where it is.
  private mutating func mismatch(_ node: Int, _ value: JSON) throws(Failure) -> Mismatch? {
    try spend(1)
    guard depth < JSONSchema.deepest else {
      throw Failure(status, field: path, "takes more than \(JSONSchema.deepest) schemas within each other to check")
    }
    depth += 1
    defer { depth -= 1 }
    if let always = nodes[node].always { return always ? nil : Mismatch("must not be here") }
    if let mismatch = try plain(node, value) { return mismatch }
    switch value {
    case .array(let elements): if let mismatch = try array(node, elements) { return mismatch }
    case .object(let members): if let mismatch = try object(node, members) { return mismatch }
    case .null, .bool, .number, .string: break
    }
    return try logic(node, value)
  }

  /// What needs no look into the value.
  private mutating func plain(_ node: Int, _ value: JSON) throws(Failure) -> Mismatch? {
    if let types = nodes[node].types, try !matches(types, value) { return Mismatch("must be \(types.description)") }
    if nodes[node].constant != nil || nodes[node].values != nil {
      let text = try comparable(value)
      if let constant = nodes[node].constant, constant != text { return Mismatch("is not the value that is allowed") }
      if let values = nodes[node].values, !values.contains(text) { return Mismatch("is none of the values allowed") }
    }
    switch value {
    case .number(let text): return try number(node, text)
    case .string(let text): return try length(node, text)
    case .null, .bool, .array, .object: return nil
    }
  }

  private mutating func matches(_ types: JSONSchema.Types, _ value: JSON) throws(Failure) -> Bool {
    switch value {
    case .null: return types.contains(.null)
    case .bool: return types.contains(.boolean)
    case .string: return types.contains(.string)
    case .array: return types.contains(.array)
    case .object: return types.contains(.object)
    case .number(let text):
      guard !types.contains(.number) else { return true }
      guard types.contains(.integer) else { return false }
      try spend(text.utf8.count / 64)
      return try number(text).isWhole
    }
  }

  private mutating func comparable(_ value: JSON) throws(Failure) -> [UInt8] {
    guard let text = value.comparable else {
      throw Failure(status, field: path, "has a number that is too large to check")
    }
    try spend(text.count / 16)
    return text
  }

  private mutating func number(_ node: Int, _ text: String) throws(Failure) -> Mismatch? {
    guard let rules = nodes[node].number else { return nil }
    try spend(text.utf8.count / 16)
    let number = try number(text)
    if let minimum = rules.minimum, number < minimum { return Mismatch("is less than the minimum") }
    if let maximum = rules.maximum, maximum < number { return Mismatch("is more than the maximum") }
    if let bound = rules.exclusiveMinimum, number <= bound { return Mismatch("must be more than the bound below") }
    if let bound = rules.exclusiveMaximum, bound <= number { return Mismatch("must be less than the bound above") }
    if let divisor = rules.divisor, !number.isMultiple(of: divisor) {
      return Mismatch("must be a multiple of \(divisor)")
    }
    return nil
  }

  private mutating func length(_ node: Int, _ text: String) throws(Failure) -> Mismatch? {
    let bounds = nodes[node].length
    guard bounds.least > 0 || bounds.most < Int64.max else { return nil }
    try spend(text.utf8.count / 64)
    return SchemaCheck.count(text.unicodeScalars.count, bounds, "characters")
  }

  private static func count(_ count: Int, _ bounds: JSONSchema.Bounds, _ what: String) -> Mismatch? {
    if Int64(count) < bounds.least { return Mismatch("must have at least \(bounds.least) \(what)") }
    if Int64(count) > bounds.most { return Mismatch("must have at most \(bounds.most) \(what)") }
    return nil
  }
}

extension SchemaCheck {
  private mutating func array(_ node: Int, _ elements: [JSON]) throws(Failure) -> Mismatch? {
    if let mismatch = SchemaCheck.count(elements.count, nodes[node].array.count, "elements") { return mismatch }
    let first = nodes[node].array.first
    let rest = nodes[node].array.rest
    for (index, element) in elements.enumerated() {
      guard let schema = index < first.count ? first[index] : rest else { break }
      if let found = try mismatch(schema, element) { return found.within("[\(index)]") }
    }
    guard nodes[node].array.isUnique else { return nil }
    var seen: Set<[UInt8]> = []
    for (index, element) in elements.enumerated() {
      try spend(1)
      guard seen.insert(try comparable(element)).inserted else {
        return Mismatch("is in the array twice").within("[\(index)]")
      }
    }
    return nil
  }

  private mutating func object(_ node: Int, _ object: JSONObject) throws(Failure) -> Mismatch? {
    if let mismatch = SchemaCheck.count(object.count, nodes[node].object.count, "members") { return mismatch }
    for name in nodes[node].object.required {
      try spend(1)
      guard has(object, name) else { return Mismatch("is missing").within(".\(name)") }
    }
    let properties = nodes[node].object.properties
    let additional = nodes[node].object.additional
    guard !properties.isEmpty || additional != nil else { return nil }
    for member in object.members {
      let known = properties.index(forKey: member.key).map { properties[$0] }
      // Equal texts may differ in their bytes, and then they are two names.
      let exact = known.flatMap { $0.key.utf8.elementsEqual(member.key.utf8) ? $0.value : nil }
      guard let schema = exact ?? additional else {
        try spend(1)
        continue
      }
      if let found = try mismatch(schema, member.value) { return found.within(".\(member.key)") }
    }
    return nil
  }

  private func has(_ object: JSONObject, _ name: String) -> Bool {
    guard object[name] != nil else { return false }
    guard !name.utf8.allSatisfy({ $0 < 0x80 }) else { return true }
    return object.members.contains { $0.key.utf8.elementsEqual(name.utf8) }
  }

  private mutating func logic(_ node: Int, _ value: JSON) throws(Failure) -> Mismatch? {
    if let reference = nodes[node].logic.reference, let found = try mismatch(reference, value) { return found }
    for schema in nodes[node].logic.all {
      if let found = try mismatch(schema, value) { return found }
    }
    if let any = nodes[node].logic.any, try count(any, value, enough: 1) == 0 {
      return Mismatch("matches none of the schemas of anyOf")
    }
    if let one = nodes[node].logic.one {
      let count = try count(one, value, enough: 2)
      if count != 1 { return Mismatch("matches \(count == 0 ? "none" : "more than one") of the schemas of oneOf") }
    }
    if let not = nodes[node].logic.not, try mismatch(not, value) == nil {
      return Mismatch("matches the schema of not")
    }
    return nil
  }

  /// How many of the schemas a value matches, counted up to what is enough.
  private mutating func count(_ schemas: [Int], _ value: JSON, enough: Int) throws(Failure) -> Int {
    var matched = 0
    for schema in schemas where matched < enough {
      if try mismatch(schema, value) == nil { matched += 1 }
    }
    return matched
  }
}
