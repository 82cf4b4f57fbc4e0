extension SkillManifest {
  /// Reads a manifest; unknown members are refused, and every failure names its member.
  ///
  /// `{"id", "version", "name", "description", "category", "owner", "revenue_share", "split", "currency", "tools"}`
  /// with tools of `{"name", "description", "category", "pricing", "revenue_share", "split", "input_schema",
  /// "enabled"}`. `pricing`, or `price`, is a price in either form. `revenue_share` is the owner's share, read exactly:
  /// `0.70`, number or string, is 7/10, and the rest goes to `platform`; without it the owner gets all. A `split` takes
  /// its place.
  /// - Parameters:
  ///   - asset: Finds the asset of a currency's code.
  ///   - defaultCurrency: The currency where the manifest names none.
  /// - Throws: the failures of the strict reader, of `Price.parse` and of splits.
  public static func parse(
    _ json: JSON, asset: (String) -> Asset?, path: String = "", defaultCurrency: String = "USD"
  ) throws(Failure) -> SkillManifest {
    var fields = try JSONFields(json, path: path)
    let id = try identifier("id", &fields)
    let version = try version(&fields)
    let name = try fields.text("name", limit: Limits.toolName) ?? id
    let description = try fields.text("description", limit: longestDescription) ?? ""
    let category = try fields.text("category", limit: Limits.toolName) ?? ""
    let owner = try fields.text("owner", limit: Limits.accountName)
    if owner == "" { throw fields.wrong("owner", "must not be empty") }
    let sharing = try sharing(&fields) ?? .whole
    let currency = try fields.text("currency", limit: Limits.assetCode) ?? defaultCurrency
    guard asset(currency) != nil else {
      throw Failure(.assetNotFound, field: fields.path("currency"), "no asset has the code \(currency)")
    }
    let ownerField = fields.path("owner")
    let whole = try split(sharing, owner: owner, ownerField: ownerField, fields)
    var tools: [Tool] = []
    for (index, element) in (try fields.list("tools", limit: mostTools) ?? []).enumerated() {
      var reader = try JSONFields(element, path: "\(fields.path("tools"))[\(index)]")
      let tool = try tool(
        &reader, asset: asset, currency: currency, owner: owner, ownerField: ownerField, whole: whole)
      guard !tools.contains(where: { $0.name == tool.name }) else {
        throw reader.wrong("name", "another tool of the skill has this name")
      }
      tools.append(tool)
    }
    try fields.finish()
    return SkillManifest(
      id: id, version: version, name: name, description: description, category: category, owner: owner,
      sharing: sharing, currency: currency, tools: tools)
  }

  private static func tool(
    _ fields: inout JSONFields, asset: (String) -> Asset?, currency: String, owner: String?,
    ownerField: String, whole: Split
  ) throws(Failure) -> Tool {
    let name = try identifier("name", &fields)
    let description = try fields.text("description", limit: longestDescription) ?? ""
    let category = try fields.text("category", limit: Limits.toolName) ?? ""
    let price = try price(&fields, asset: asset, currency: currency)
    let sharing = try sharing(&fields)
    let split = if let sharing { try split(sharing, owner: owner, ownerField: ownerField, fields) } else { whole }
    let schema = fields.optional("input_schema") ?? .null
    guard schema.isNull || schema.object != nil else { throw fields.wrong("input_schema", "must be an object") }
    guard schema.serialized().utf8.count <= longestSchema else {
      throw Failure(.tooLong, field: fields.path("input_schema"), "is longer than \(longestSchema) bytes")
    }
    let isEnabled = try fields.flag("enabled") ?? true
    try fields.finish()
    return Tool(
      name: name, description: description, category: category, price: price, sharing: sharing, split: split,
      inputSchema: schema, isEnabled: isEnabled)
  }

  private static func price(
    _ fields: inout JSONFields, asset: (String) -> Asset?, currency: String
  ) throws(Failure) -> Price {
    let pricing = fields.optional("pricing")
    let price = fields.optional("price")
    guard pricing == nil || price == nil else { throw fields.wrong("price", "give pricing or price, not both") }
    guard let json = pricing ?? price else {
      throw Failure(.missingField, field: fields.path("pricing"), "is missing")
    }
    let path = fields.path(pricing == nil ? "price" : "pricing")
    return try Price.parse(json, asset: asset, path: path, defaultCurrency: currency)
  }

  private static func sharing(_ fields: inout JSONFields) throws(Failure) -> Sharing? {
    let share = fields.optional("revenue_share")
    if let split = fields.optional("split") {
      guard share == nil else { throw fields.wrong("split", "give revenue_share or split, not both") }
      return .split(try Split.parse(split, path: fields.path("split")))
    }
    guard let share else { return nil }
    guard let text = share.numberText else {
      throw fields.wrong("revenue_share", "must be a share such as \"0.70\"")
    }
    return .revenueShare(try Ratio.parse(text, field: fields.path("revenue_share")))
  }

  private static func split(
    _ sharing: Sharing, owner: String?, ownerField: String, _ fields: JSONFields
  ) throws(Failure) -> Split {
    switch sharing {
    case .whole: return Split(all: owner ?? Split.platform)
    case .split(let split): return split
    case .revenueShare(let ratio):
      guard let owner else {
        throw Failure(.missingField, field: ownerField, "a revenue share needs an owner in the manifest")
      }
      return try Split(owner: owner, share: ratio, field: fields.path("revenue_share"))
    }
  }

  private static func version(_ fields: inout JSONFields) throws(Failure) -> String {
    let version = try fields.text("version", limit: 64) ?? "0.0.0"
    guard SemanticVersion(version) != nil else {
      throw fields.wrong("version", "must be a semantic version such as 1.4.0")
    }
    return version
  }

  /// The name of a skill or tool: letters, digits and `_ - . : /`.
  private static func identifier(_ key: String, _ fields: inout JSONFields) throws(Failure) -> String {
    guard let text = try fields.text(key, limit: Limits.toolName) else {
      throw Failure(.missingField, field: fields.path(key), "is missing")
    }
    guard !text.isEmpty, text.utf8.allSatisfy(isAllowed) else {
      throw fields.wrong(key, "must be letters, digits and _ - . : /")
    }
    return text
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: ":"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "/"):
      true
    default: false
    }
  }
}
