package import FareboxCore

/// What values are allowed, as a subset of JSON Schema, draft 2020-12, that is decided in bounded time.
///
/// Understood: `type`, `enum`, `const`; `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, and `multipleOf` of a
/// whole number; `minLength`, `maxLength` in code points; `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems`;
/// `properties`, `required`, `additionalProperties`, `minProperties`, `maxProperties`; `anyOf`, `oneOf`, `allOf`, `not`; and
/// `$ref` to `#` or to a member of the root's `$defs`. Read and not asserted: `title`, `description`, `default`, `examples`,
/// `deprecated`, `readOnly`, `writeOnly`, `format`, `contentEncoding`, `contentMediaType`, `$comment`, at the root `$schema`
/// and `$id`, and `secret`, which marks what must not be shown. Any other keyword is refused, for a schema that is half
/// understood would let through what its author forbids.
///
/// Numbers are compared as they are written, never as binary floats; texts byte by byte.
package struct JSONSchema: Sendable, Equatable {
  /// The schema as it was written.
  package let json: JSON
  let nodes: [Node]

  /// Bytes of a schema, as JSON.
  package static let longest = SkillManifest.longestSchema
  /// How many times a schema may meet a value in one check; texts and numbers count by their length.
  package static let mostSteps = 4_000_000
  /// How deep schemas within schemas may go in one check.
  static let deepest = 128

  /// Reads a schema.
  ///
  /// - Parameter path: what failures name in front of the path in the schema.
  /// - Throws: `unknownField` for a keyword that is not understood, `invalidArgument`, `missingField` for a `$ref` to
  ///   nothing, or `tooLong`.
  package init(_ json: JSON, path: String = "") throws(Failure) {
    guard json.serialized().utf8.count <= JSONSchema.longest else {
      throw Failure(.tooLong, field: path, "is longer than \(JSONSchema.longest) bytes")
    }
    self.json = json
    nodes = try SchemaParser.parse(json, path: path)
  }

  package static func == (left: JSONSchema, right: JSONSchema) -> Bool {
    left.json == right.json
  }

  /// Refuses a value that the schema does not allow. The message never has a part of the value in it.
  ///
  /// - Parameters:
  ///   - path: what failures name in front of the path in the value.
  ///   - status: what a value that is not allowed is refused with.
  /// - Throws: `status`, also for a value that takes more than `mostSteps` to decide.
  package func check(_ value: JSON, path: String = "", status: Status = .pluginInput) throws(Failure) {
    var check = SchemaCheck(nodes: nodes, path: path, status: status)
    try check.run(value)
  }
}

extension JSONSchema {
  /// One schema of the tree; others are named by their place in `nodes`.
  struct Node: Sendable {
    /// Of the schemas `true` and `false`.
    var always: Bool?
    var types: Types?
    var constant: [UInt8]?
    var values: Set<[UInt8]>?
    var number: NumberRules?
    var length = Bounds()
    var array = ArrayRules()
    var object = ObjectRules()
    var logic = LogicRules()
    var isSecret = false
  }

  /// Least and most of a count.
  struct Bounds: Sendable {
    var least: Int64 = 0
    var most = Int64.max
  }

  struct NumberRules: Sendable {
    var minimum: JSONNumber?
    var maximum: JSONNumber?
    var exclusiveMinimum: JSONNumber?
    var exclusiveMaximum: JSONNumber?
    var divisor: UInt64?
  }

  struct ArrayRules: Sendable {
    var count = Bounds()
    var first: [Int] = []
    var rest: Int?
    var isUnique = false
  }

  struct ObjectRules: Sendable {
    var count = Bounds()
    var properties: [String: Int] = [:]
    var required: [String] = []
    var additional: Int?
  }

  /// Schemas that look at the same value.
  struct LogicRules: Sendable {
    var reference: Int?
    var all: [Int] = []
    var any: [Int]?
    var one: [Int]?
    var not: Int?

    var schemas: [Int] {
      all + (any ?? []) + (one ?? []) + [reference, not].compactMap { $0 }
    }
  }

  /// Some of the types of values.
  struct Types: OptionSet, Sendable {
    let rawValue: UInt8

    static let null = Types(rawValue: 1)
    static let boolean = Types(rawValue: 2)
    static let object = Types(rawValue: 4)
    static let array = Types(rawValue: 8)
    static let number = Types(rawValue: 16)
    static let string = Types(rawValue: 32)
    /// A number that is whole.
    static let integer = Types(rawValue: 64)

    static let names: [(name: String, type: Types)] = [
      ("null", .null), ("boolean", .boolean), ("object", .object), ("array", .array), ("number", .number),
      ("string", .string), ("integer", .integer),
    ]

    init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    init?(name: String) {
      guard let found = Types.names.first(where: { $0.name == name }) else { return nil }
      self = found.type
    }

    /// `a string`, or `a string or null`.
    var description: String {
      let words = Types.names.filter { contains($0.type) }.map { entry in
        switch entry.type {
        case .null: "null"
        case .object, .array, .integer: "an \(entry.name)"
        default: "a \(entry.name)"
        }
      }
      return words.joined(separator: " or ")
    }
  }
}
