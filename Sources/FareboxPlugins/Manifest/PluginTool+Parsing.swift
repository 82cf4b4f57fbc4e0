internal import FareboxCore

extension PluginTool {
  /// Reads what a tool's object says beyond what its skill does.
  ///
  /// - Parameter deadline: the milliseconds that the permissions allow.
  static func parse(
    _ json: JSON, path: String, kind: PluginManifest.Kind, deadline: Int64
  ) throws(Failure) -> PluginTool {
    var fields = try ManifestFields.read(json, path: path)
    for key in PluginManifest.skillToolKeys { _ = fields.optional(key) }
    let name = try ManifestFields.text("name", &fields, limit: Limits.toolName)
    let inputSchema = try schema("input_schema", &fields)
    let outputSchema = try schema("output_schema", &fields)
    let output = try output(kind, hasSchema: outputSchema != nil, &fields)
    let own = try fields.integer("deadline_ms")
    if let own, !(1...deadline).contains(own) {
      throw fields.wrong("deadline_ms", "must be from 1 to the \(deadline) that the permissions ask for")
    }
    var foreign: ForeignFunction?
    switch kind {
    case .foreign: foreign = try ForeignFunction.parse(&fields)
    case .native: try ForeignFunction.refuse(&fields)
    }
    let usage = try UsageRule.parse(&fields, signature: foreign?.signature)
    try fields.finish()
    return PluginTool(
      name: name, inputSchema: inputSchema, outputSchema: outputSchema, output: output, deadlineMilliseconds: own,
      usage: usage, foreign: foreign)
  }

  private static func schema(_ key: String, _ fields: inout JSONFields) throws(Failure) -> JSONSchema? {
    guard let json = fields.optional(key) else { return nil }
    guard json.object != nil else { throw fields.wrong(key, "must be an object") }
    return try JSONSchema(json, path: fields.path(key))
  }

  private static func output(
    _ kind: PluginManifest.Kind, hasSchema: Bool, _ fields: inout JSONFields
  ) throws(Failure) -> Output {
    guard let text = try fields.text("output", limit: 16) else { return .json }
    guard let output = Output(rawValue: text) else {
      throw fields.wrong("output", "must be \(Output.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    guard output == .json || kind == .native else {
      throw fields.wrong("output", "a tool of a foreign plugin gives JSON")
    }
    guard output == .json || !hasSchema else { throw fields.wrong("output_schema", "only JSON has a schema") }
    return output
  }
}

extension UsageRule {
  /// Reads what the host measures, and that the arguments are there: in the signature, or in the input schema's
  /// `properties`.
  static func parse(_ fields: inout JSONFields, signature: Signature?) throws(Failure) -> [UsageRule] {
    guard let json = fields.optional("usage") else { return [] }
    let schema = fields.optional("input_schema")
    var rules: [UsageRule] = []
    let usage = try ManifestFields.read(json, path: fields.path("usage"))
    for member in json.object?.members ?? [] {
      guard let meter = Meter(name: member.key), meter.name == member.key else {
        let names = Meter.allCases.map(\.name).joined(separator: ", ")
        throw Failure(.unknownField, field: usage.path(member.key), "is not a meter: \(names)")
      }
      guard let text = member.value.string, let source = Source(text) else {
        throw usage.wrong(member.key, "must be input, output, or bytes: or value: and the name of an argument")
      }
      if let problem = signature.map({ source.problem(in: $0) }) ?? source.problem(inInputBy: schema) {
        throw usage.wrong(member.key, problem)
      }
      rules.append(UsageRule(meter: meter, source: source))
    }
    return rules
  }
}

extension UsageRule.Source {
  /// Why a source does not fit a function, or nil where it does.
  fileprivate func problem(in signature: Signature) -> String? {
    switch self {
    case .input, .output: return nil
    case .bytes(let name):
      guard let parameter = signature.parameters.first(where: { $0.name == name }) else {
        return "the signature has no parameter \(name)"
      }
      return parameter.type.isBytes ? nil : "the parameter \(name) is neither bytes nor a string"
    case .value(let name):
      guard let parameter = signature.parameters.first(where: { $0.name == name }) else {
        return "the signature has no parameter \(name)"
      }
      return parameter.type.isInteger ? nil : "the parameter \(name) is not an integer"
    }
  }

  /// Why a source does not fit an input schema, or nil where it does.
  fileprivate func problem(inInputBy schema: JSON?) -> String? {
    let name: String
    let types: [JSON]
    switch self {
    case .input, .output: return nil
    case .bytes(let argument): (name, types) = (argument, ["string", "object"])
    case .value(let argument): (name, types) = (argument, ["integer"])
    }
    guard let property = schema?.object?["properties"]?.object?[name]?.object else {
      return "the input schema has no property \(name)"
    }
    guard let type = property["type"], types.contains(type) else {
      return "the property \(name) must have the type \(types.compactMap(\.string).joined(separator: " or "))"
    }
    return nil
  }
}
