/// What a skill offers and costs, as its author declares it.
public struct SkillManifest: Sendable, Equatable {
  /// The skill's id, unique in a ledger.
  public let id: String
  /// The version by Semantic Versioning.
  public let version: String
  /// The name for people.
  public let name: String
  /// What the skill does, for people and models.
  public let description: String
  /// A word to group skills by.
  public let category: String
  /// The account that earns, or nil: then the platform does.
  public let owner: String?
  /// How the charges of tools are shared that do not say it themselves.
  public let sharing: Sharing
  /// The currency of prices that name none.
  public let currency: String
  /// The tools, each name once.
  public let tools: [Tool]

  /// Tools of one skill.
  public static let mostTools = 1_000
  /// Bytes of a description.
  public static let longestDescription = 16_384
  /// Bytes of an input schema, as JSON.
  public static let longestSchema = 65_536

  /// How a charge is shared.
  public enum Sharing: Sendable, Hashable {
    /// All of it to the owner, or to the platform where there is none.
    case whole
    /// A share to the owner, the rest to the platform.
    case revenueShare(Ratio)
    /// Among these.
    case split(Split)
  }

  /// One tool.
  public struct Tool: Sendable, Equatable {
    /// The name by which the tool is called, unique in its skill.
    public let name: String
    /// What the tool does, for people and models.
    public let description: String
    /// A word to group tools by.
    public let category: String
    /// What a call costs.
    public let price: Price
    /// The tool's own sharing, or nil: then that of its skill.
    public let sharing: Sharing?
    /// Who gets what of a charge: the tool's own sharing or its skill's, worked out.
    public let split: Split
    /// The JSON Schema of the tool's input, or null.
    public let inputSchema: JSON
    /// Whether the tool may be called.
    public let isEnabled: Bool

    /// A tool of a manifest made in code.
    public init(
      name: String, description: String = "", category: String = "", price: Price, sharing: Sharing? = nil,
      split: Split, inputSchema: JSON = .null, isEnabled: Bool = true
    ) {
      self.name = name
      self.description = description
      self.category = category
      self.price = price
      self.sharing = sharing
      self.split = split
      self.inputSchema = inputSchema
      self.isEnabled = isEnabled
    }
  }

  /// A manifest made in code; nothing is checked that `parse` would check.
  public init(
    id: String, version: String, name: String, description: String = "", category: String = "", owner: String? = nil,
    sharing: Sharing = .whole, currency: String, tools: [Tool]
  ) {
    self.id = id
    self.version = version
    self.name = name
    self.description = description
    self.category = category
    self.owner = owner
    self.sharing = sharing
    self.currency = currency
    self.tools = tools
  }
}

extension SkillManifest {
  /// The manifest as JSON that `parse` reads back to an equal manifest.
  public var json: JSON {
    var object = JSONObject()
    object.append("id", .string(id))
    object.append("version", .string(version))
    object.append("name", .string(name))
    if !description.isEmpty { object.append("description", .string(description)) }
    if !category.isEmpty { object.append("category", .string(category)) }
    if let owner { object.append("owner", .string(owner)) }
    SkillManifest.append(sharing, to: &object)
    object.append("currency", .string(currency))
    object.append("tools", .array(tools.map(SkillManifest.json)))
    return .object(object)
  }

  private static func json(_ tool: Tool) -> JSON {
    var object = JSONObject()
    object.append("name", .string(tool.name))
    if !tool.description.isEmpty { object.append("description", .string(tool.description)) }
    if !tool.category.isEmpty { object.append("category", .string(tool.category)) }
    object.append("pricing", tool.price.json)
    if let sharing = tool.sharing { append(sharing, to: &object) }
    if !tool.inputSchema.isNull { object.append("input_schema", tool.inputSchema) }
    object.append("enabled", .bool(tool.isEnabled))
    return .object(object)
  }

  private static func append(_ sharing: Sharing, to object: inout JSONObject) {
    switch sharing {
    case .whole: break
    case .revenueShare(let ratio): object.append("revenue_share", .string(ratio.description))
    case .split(let split): object.append("split", split.json)
    }
  }
}
