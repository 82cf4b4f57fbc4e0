package import FareboxCore

extension PluginManifest {
  /// The members of a manifest that are its skill's, read by `SkillManifest.parse`.
  private static let skillKeys = [
    "id", "version", "name", "description", "category", "owner", "revenue_share", "split", "currency",
  ]
  /// The members of a tool that are its skill's.
  static let skillToolKeys = [
    "name", "description", "category", "pricing", "price", "revenue_share", "split", "input_schema", "enabled",
  ]

  private static let longestText = 512
  private static let longestAddress = 2_048
  private static let mostRequirements = 32

  /// Reads a manifest; nothing is loaded or run, and a manifest that is read can be registered as a skill in a ledger that
  /// has the accounts and assets of its own.
  ///
  /// - Throws: `pluginManifest` for everything that is wrong with it. The field is the member's path, the message begins
  ///   with `line N column M: `, and the details have both as numbers.
  package static func parse(_ bytes: [UInt8]) throws(Failure) -> PluginManifest {
    guard bytes.count <= longest else {
      throw located(Failure(.tooLong, "is longer than \(longest) bytes"), line: 1, column: 1)
    }
    let json: JSON
    do throws(Failure) {
      json = try JSON.parse(bytes)
    } catch {
      // The reader of JSON says the line itself.
      throw Failure(.pluginManifest, field: "", error.message)
    }
    do throws(Failure) {
      return try read(json)
    } catch {
      let place = JSONPlace.find(error.field, in: bytes)
      throw located(error, line: place?.line ?? 1, column: place?.column ?? 1)
    }
  }

  private static func located(_ failure: Failure, line: Int, column: Int) -> Failure {
    let details: JSON = ["line": .int(Int64(line)), "column": .int(Int64(column))]
    return Failure(
      .pluginManifest, field: failure.field, "line \(line) column \(column): \(failure.message)", details: details)
  }

  private static func read(_ json: JSON) throws(Failure) -> PluginManifest {
    var fields = try ManifestFields.read(json)
    guard try fields.required("manifest") == 1 else { throw fields.wrong("manifest", "must be 1") }
    for key in skillKeys { _ = fields.optional(key) }
    let id = try ManifestFields.text("id", &fields, limit: Limits.toolName)
    guard ManifestFields.isPluginID(id) else {
      throw fields.wrong("id", "must be reverse DNS in lower case, such as org.example.echo")
    }
    let version = try ManifestFields.text("version", &fields, limit: 64)
    let license = try ManifestFields.text("license", &fields, limit: longestText)
    let contact = try ManifestFields.text("contact", &fields, limit: longestText)
    let homepage = try fields.text("homepage", limit: longestAddress)
    let kind = try kind(&fields)
    let abi = try abi(kind, &fields)
    let files = try files(kind, &fields)
    var permissions = PluginPermissions.none
    if let asked = fields.optional("permissions") {
      permissions = try PluginPermissions.parse(asked, path: fields.path("permissions"), defaults: .none)
    }
    var configSchema: JSONSchema?
    if let config = fields.optional("config") { configSchema = try JSONSchema(config, path: fields.path("config")) }
    let requires = try requirements(&fields, id: id)
    let tools = try tools(kind, deadline: permissions.deadlineMilliseconds, &fields)
    try fields.finish()
    let skill = skill(json)
    let parsed = try SkillManifest.parse(skill, asset: { Asset.builtIn($0) })
    if let index = parsed.tools.firstIndex(where: { $0.price.components.contains { $0.model == .dynamic } }) {
      // The host of a plugin has no callback that would say what a call costs.
      throw fields.wrong("tools[\(index)].pricing", "cannot be dynamic in a plugin; let a meter count instead")
    }
    return PluginManifest(
      id: id, version: version, name: parsed.name, license: license, contact: contact, homepage: homepage, kind: kind,
      abi: abi, files: files, permissions: permissions, configSchema: configSchema, requires: requires, tools: tools,
      skill: skill, json: json)
  }

  private static func kind(_ fields: inout JSONFields) throws(Failure) -> Kind {
    guard let text = try fields.required("kind").string, let kind = Kind(rawValue: text) else {
      throw fields.wrong("kind", "must be \(Kind.allCases.map(\.rawValue).joined(separator: " or "))")
    }
    return kind
  }

  private static func abi(_ kind: Kind, _ fields: inout JSONFields) throws(Failure) -> ABIRange? {
    guard kind == .native else {
      guard fields.optional("abi") == nil else { throw fields.wrong("abi", "only a native plugin has it") }
      return nil
    }
    var range = try ManifestFields.read(fields.required("abi"), path: fields.path("abi"))
    guard let minimum = try abiVersion("minimum", &range) else {
      throw Failure(.missingField, field: range.path("minimum"), "is missing")
    }
    let maximum = try abiVersion("maximum", &range)
    try range.finish()
    if let maximum, maximum.major != minimum.major || maximum < minimum {
      throw range.wrong("maximum", "must be of the major version of the minimum, and not less than it")
    }
    return ABIRange(minimum: minimum, maximum: maximum)
  }

  private static func abiVersion(_ key: String, _ fields: inout JSONFields) throws(Failure) -> ABIVersion? {
    guard let text = try fields.text(key, limit: 16) else { return nil }
    guard let version = ABIVersion(text) else { throw fields.wrong(key, "must be a version such as 1.0") }
    return version
  }

  private static func files(_ kind: Kind, _ fields: inout JSONFields) throws(Failure) -> [PluginFile] {
    guard let list = try fields.list("files", limit: PluginFile.Platform.allCases.count), !list.isEmpty else {
      throw Failure(.missingField, field: fields.path("files"), "needs a file for at least one platform")
    }
    var files: [PluginFile] = []
    for (index, json) in list.enumerated() {
      let path = "\(fields.path("files"))[\(index)]"
      let file = try PluginFile.parse(json, path: path, kind: kind)
      guard !files.contains(where: { $0.platform == file.platform }) else {
        throw Failure(.invalidArgument, field: "\(path).platform", "another file is for this platform")
      }
      files.append(file)
    }
    return files
  }

  private static func requirements(
    _ fields: inout JSONFields, id: String
  ) throws(Failure) -> [PluginRequirement] {
    var requirements: [PluginRequirement] = []
    for (index, json) in (try fields.list("requires", limit: mostRequirements) ?? []).enumerated() {
      var reader = try ManifestFields.read(json, path: "\(fields.path("requires"))[\(index)]")
      let other = try ManifestFields.text("id", &reader, limit: Limits.toolName)
      guard ManifestFields.isPluginID(other), other != id, !requirements.contains(where: { $0.id == other }) else {
        throw reader.wrong("id", "must be the id of another plugin, and each one once")
      }
      let text = try ManifestFields.text("minimum", &reader, limit: 64)
      guard let minimum = SemanticVersion(text) else {
        throw reader.wrong("minimum", "must be a semantic version such as 1.4.0")
      }
      try reader.finish()
      requirements.append(PluginRequirement(id: other, minimum: minimum))
    }
    return requirements
  }

  private static func tools(
    _ kind: Kind, deadline: Int64, _ fields: inout JSONFields
  ) throws(Failure) -> [PluginTool] {
    guard let list = try fields.list("tools", limit: SkillManifest.mostTools), !list.isEmpty else {
      throw Failure(.missingField, field: fields.path("tools"), "needs at least one tool")
    }
    var tools: [PluginTool] = []
    for (index, json) in list.enumerated() {
      tools.append(
        try PluginTool.parse(json, path: "\(fields.path("tools"))[\(index)]", kind: kind, deadline: deadline))
    }
    return tools
  }

  /// The manifest of the skill, with its members in the same places, so that its failures name the same paths.
  private static func skill(_ json: JSON) -> JSON {
    var skill = picked(skillKeys, of: json)
    skill.append("tools", .array((json.object?["tools"]?.array ?? []).map { .object(picked(skillToolKeys, of: $0)) }))
    return .object(skill)
  }

  private static func picked(_ keys: [String], of json: JSON) -> JSONObject {
    var picked = JSONObject()
    for key in keys {
      if let value = json.object?[key] { picked.append(key, value) }
    }
    return picked
  }
}
