internal import FareboxCore

extension SchemaParser {
  static func values(
    _ key: String, _ value: JSON, _ path: String, _ node: inout Node
  ) throws(Failure) -> Bool {
    switch key {
    case "type": node.types = try types(value, path)
    case "const": node.constant = try comparable(value, path)
    case "enum":
      var values: Set<[UInt8]> = []
      for element in try array(value, path) { values.insert(try comparable(element, path)) }
      node.values = values
    default: return false
    }
    return true
  }

  private static func types(_ value: JSON, _ path: String) throws(Failure) -> JSONSchema.Types {
    let names = value.array ?? [value]
    var types: JSONSchema.Types = []
    for name in names {
      guard let text = name.string, let type = JSONSchema.Types(name: text) else {
        throw Failure(
          .invalidArgument, field: path,
          "must be of \(JSONSchema.Types.names.map(\.name).joined(separator: ", ")), or an array of them")
      }
      guard types.isDisjoint(with: type) else {
        throw Failure(.invalidArgument, field: path, "must not have a type twice")
      }
      types.insert(type)
    }
    guard !types.isEmpty else { throw Failure(.invalidArgument, field: path, "must not be empty") }
    return types
  }

  private static func comparable(_ value: JSON, _ path: String) throws(Failure) -> [UInt8] {
    guard let text = value.comparable else {
      throw Failure(.invalidArgument, field: path, "has a number that is too large")
    }
    return text
  }

  static func numbers(
    _ key: String, _ value: JSON, _ path: String, _ node: inout Node
  ) throws(Failure) -> Bool {
    var rules = node.number ?? JSONSchema.NumberRules()
    switch key {
    case "minimum": rules.minimum = try number(value, path)
    case "maximum": rules.maximum = try number(value, path)
    case "exclusiveMinimum": rules.exclusiveMinimum = try number(value, path)
    case "exclusiveMaximum": rules.exclusiveMaximum = try number(value, path)
    case "multipleOf":
      let divisor = try count(value, path)
      guard divisor > 0 else { throw Failure(.invalidArgument, field: path, "must be more than zero") }
      rules.divisor = UInt64(divisor)
    default: return false
    }
    node.number = rules
    return true
  }

  private static func number(_ value: JSON, _ path: String) throws(Failure) -> JSONNumber {
    guard case .number(let text) = value else { throw Failure(.invalidArgument, field: path, "must be a number") }
    guard let number = JSONNumber(text) else { throw Failure(.invalidArgument, field: path, "is too large") }
    return number
  }

  static func counts(
    _ key: String, _ value: JSON, _ path: String, _ node: inout Node
  ) throws(Failure) -> Bool {
    switch key {
    case "minLength": node.length.least = try count(value, path)
    case "maxLength": node.length.most = try count(value, path)
    case "minItems": node.array.count.least = try count(value, path)
    case "maxItems": node.array.count.most = try count(value, path)
    case "minProperties": node.object.count.least = try count(value, path)
    case "maxProperties": node.object.count.most = try count(value, path)
    default: return false
    }
    return true
  }

  mutating func arrays(
    _ key: String, _ value: JSON, _ path: String, _ node: inout Node
  ) throws(Failure) -> Bool {
    switch key {
    case "items": node.array.rest = try add(value, path)
    case "prefixItems": node.array.first = try schemas(value, path)
    case "uniqueItems": node.array.isUnique = try SchemaParser.flag(value, path)
    default: return false
    }
    return true
  }

  mutating func objects(
    _ key: String, _ value: JSON, _ path: String, _ node: inout Node
  ) throws(Failure) -> Bool {
    switch key {
    case "properties":
      for member in try SchemaParser.object(value, path).members {
        node.object.properties[member.key] = try add(member.value, SchemaParser.join(path, member.key))
      }
    case "required":
      for name in try SchemaParser.array(value, path) {
        let name = try SchemaParser.text(name, path)
        guard !node.object.required.contains(name) else {
          throw Failure(.invalidArgument, field: path, "must not have a name twice")
        }
        node.object.required.append(name)
      }
    case "additionalProperties": node.object.additional = try add(value, path)
    default: return false
    }
    return true
  }

  mutating func logic(
    _ key: String, _ value: JSON, _ path: String, _ node: inout Node
  ) throws(Failure) -> Bool {
    switch key {
    case "allOf": node.logic.all = try schemas(value, path)
    case "anyOf": node.logic.any = try schemas(value, path)
    case "oneOf": node.logic.one = try schemas(value, path)
    case "not": node.logic.not = try add(value, path)
    default: return false
    }
    return true
  }

  private mutating func schemas(_ value: JSON, _ path: String) throws(Failure) -> [Int] {
    let elements = try SchemaParser.array(value, path)
    guard !elements.isEmpty else { throw Failure(.invalidArgument, field: path, "must not be empty") }
    var schemas: [Int] = []
    for (index, element) in elements.enumerated() { schemas.append(try add(element, "\(path)[\(index)]")) }
    return schemas
  }
}

extension SchemaParser {
  /// Reads a keyword that says something about the schema and nothing about values; its own type is checked all the same.
  static func annotation(
    _ key: String, _ value: JSON, _ path: String, isRoot: Bool, _ node: inout Node
  ) throws(Failure) -> Bool {
    switch key {
    case "title", "description", "format", "contentEncoding", "contentMediaType", "$comment": _ = try text(value, path)
    case "$schema", "$id":
      // Within a schema they would change what `$ref` means.
      guard isRoot else { return false }
      guard try !text(value, path).dropLast().contains("#") else {
        throw Failure(.invalidArgument, field: path, "must not have a # but at its end")
      }
    case "deprecated", "readOnly", "writeOnly": _ = try flag(value, path)
    case "examples": _ = try array(value, path)
    case "default": break
    case "secret": node.isSecret = try flag(value, path)
    default: return false
    }
    return true
  }

  static func join(_ path: String, _ key: String) -> String {
    path.isEmpty ? key : "\(path).\(key)"
  }

  static func text(_ value: JSON, _ path: String) throws(Failure) -> String {
    guard let text = value.string else { throw Failure(.invalidArgument, field: path, "must be a string") }
    return text
  }

  static func flag(_ value: JSON, _ path: String) throws(Failure) -> Bool {
    guard let flag = value.bool else { throw Failure(.invalidArgument, field: path, "must be true or false") }
    return flag
  }

  static func array(_ value: JSON, _ path: String) throws(Failure) -> [JSON] {
    guard let array = value.array else { throw Failure(.invalidArgument, field: path, "must be an array") }
    return array
  }

  static func object(_ value: JSON, _ path: String) throws(Failure) -> JSONObject {
    guard let object = value.object else { throw Failure(.invalidArgument, field: path, "must be an object") }
    return object
  }

  /// A whole number from zero on, however it is written.
  static func count(_ value: JSON, _ path: String) throws(Failure) -> Int64 {
    guard case .number(let text) = value, let number = try? ExactDecimal.parse(text),
      let whole = number.exactly(scale: 0), let count = Int64(exactly: whole), count >= 0
    else { throw Failure(.invalidArgument, field: path, "must be a whole number from 0 to \(Int64.max)") }
    return count
  }
}
