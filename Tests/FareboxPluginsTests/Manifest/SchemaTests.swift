import FareboxCore
import Testing

@testable import FareboxPlugins

@Suite struct SchemaTests {
  @Test func `the vectors are allowed or refused by path`() throws {
    for vector in try Vectors.cases("plugin_schemas.json") {
      let name = try vector.text("name")
      let schema = try JSONSchema(JSON.parse(vector.text("schema")))
      for entry in try #require(vector["values"]?.array).compactMap(\.object) {
        let text = try entry.text("value")
        let value = try JSON.parse(text)
        let found = failure { () throws(Failure) in try schema.check(value) }
        #expect(found?.field == entry["field"]?.string, "\(name): \(text)")
        if found != nil { #expect(found?.status == .pluginInput) }
      }
    }
  }

  @Test func `a schema that is not understood is not read`() throws {
    let file = try JSON.parse(Vectors.bytes("Tests/Vectors/plugin_schemas.json"))
    for vector in try #require(file.object?["refused"]?.array).compactMap(\.object) {
      let json = try JSON.parse(vector.text("schema"))
      let found = failure { () throws(Failure) in try JSONSchema(json) }
      #expect(try found?.field == vector.text("field"), "\(vector)")
      let within = failure { () throws(Failure) in try JSONSchema(json, path: "config") }
      let path = try vector.text("field")
      #expect(within?.field == (path.isEmpty ? "config" : "config.\(path)"))
    }
  }

  @Test func `a path comes before that in the value, and a status can be chosen`() throws {
    let schema = try JSONSchema(["properties": ["a": ["items": ["type": "string"]]]])
    let found = failure { () throws(Failure) in
      try schema.check(["a": ["x", 1]], path: "output", status: .pluginOutput)
    }
    #expect(found?.field == "output.a[1]")
    #expect(found?.status == .pluginOutput)
    #expect(found?.message == "must be a string")
  }

  @Test func `a message never has a part of the value in it`() throws {
    let schema = try JSONSchema([
      "anyOf": [["const": "a"], ["enum": ["b"]], ["maxLength": 1], ["minimum": 10], ["multipleOf": 7]],
      "not": ["type": "null"],
    ])
    for value in ["hunter2", 5] as [JSON] {
      let found = failure { () throws(Failure) in try schema.check(["x": value], status: .invalidArgument) }
      let text = found.map { "\($0.message) \($0.field) \($0.details.serialized())" } ?? ""
      #expect(!text.contains("hunter2"))
    }
  }

  /// Each level doubles what is tried: undecided for ever without a bound.
  private static func doubling(_ levels: Int) -> JSON {
    var definitions = JSONObject()
    for level in 0..<levels {
      let next: JSON = level + 1 < levels ? ["$ref": .string("#/$defs/d\(level + 1)")] : false
      definitions.append("d\(level)", ["anyOf": [next, next]])
    }
    return ["$ref": "#/$defs/d0", "$defs": .object(definitions)]
  }

  @Test(.timeLimit(.minutes(1))) func `a check ends after a bounded number of steps`() throws {
    let schema = try JSONSchema(SchemaTests.doubling(40))
    let found = failure { () throws(Failure) in try schema.check(1) }
    #expect(found?.message.contains("steps to check") == true)
    #expect(found?.status == .pluginInput)
    let small = try JSONSchema(SchemaTests.doubling(10))
    #expect(failure { () throws(Failure) in try small.check(1) }?.message.contains("anyOf") == true)
  }

  @Test func `a check goes only so deep`() throws {
    let schema = try JSONSchema(SchemaTests.doubling(JSONSchema.deepest))
    #expect(failure { () throws(Failure) in try schema.check(1) }?.message.hasSuffix("to check") == true)
    var value: JSON = []
    for _ in 1..<Limits.jsonDepth { value = [value] }
    try JSONSchema(["items": ["$ref": "#"]]).check(value)
  }

  @Test(.timeLimit(.minutes(1))) func `large values are checked or refused in time`() throws {
    let long = JSON.array((0..<200_000).map { .int($0) })
    try JSONSchema(["uniqueItems": true, "items": ["type": "integer"]]).check(long)
    let digits = JSON.number(String(repeating: "7", count: 1_000_000))
    try JSONSchema(["minimum": 1, "type": "integer"]).check(digits)
    #expect(failure { () throws(Failure) in try JSONSchema(["multipleOf": 10]).check(digits) } != nil)
    let exponent = JSON.number("1e999999999999999999999")
    #expect(failure { () throws(Failure) in try JSONSchema(["maximum": 1]).check(exponent) } != nil)
  }

  @Test func `a schema has a limit`() {
    let long = JSON.string(String(repeating: "x", count: JSONSchema.longest))
    #expect(failure { () throws(Failure) in try JSONSchema(["title": long]) }?.status == .tooLong)
  }

  @Test func `numbers are compared as they are written`() throws {
    let order = ["-1e10", "-2", "-1.5", "-1", "-1e-30", "0", "1e-30", "0.09", "0.1", "1", "1.5", "2", "1e10", "1e11"]
    let numbers = order.compactMap { JSONNumber($0) }
    #expect(numbers.count == order.count)
    #expect(numbers.shuffled().sorted() == numbers)
    for (a, b) in [("1", "1.000"), ("100", "1e2"), ("0", "-0.00e7"), ("0.5", "5e-1"), ("12e-1", "1.2")] {
      #expect(JSONNumber(a) == JSONNumber(b))
      #expect(JSONNumber(a)?.canonical == JSONNumber(b)?.canonical)
    }
  }

  @Test func `what is secret is hidden wherever the schema says so`() throws {
    let schema = try JSONSchema([
      "properties": [
        "plain": ["type": "string"],
        "list": ["items": ["anyOf": [["$ref": "#/$defs/key"], ["type": "integer"]]]],
        "nested": ["additionalProperties": ["allOf": [["properties": ["k": ["$ref": "#/$defs/key"]]]]]],
      ],
      "$defs": ["key": ["type": "string", "secret": true]],
    ])
    let value: JSON = ["plain": "a", "list": ["s1", 2], "nested": ["x": ["k": "s2", "n": 1]], "other": "b"]
    #expect(
      schema.hidingSecrets(in: value) == [
        "plain": "a", "list": ["***", "***"], "nested": ["x": ["k": "***", "n": 1]], "other": "b",
      ])
  }
}
