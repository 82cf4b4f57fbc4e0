/// How a tool is named: `tool`, `skill#tool`, or `skill@version#tool`; a rate is `card/model`.
///
/// Neither ids nor names of tools hold a `#` or an `@`, and versions hold neither, so a name can be read in one way only.
public struct ToolName: Sendable, Hashable {
  /// The id of the skill, or nil where the name stands alone; empty for a rate that shares its name with a skill's tool.
  public let skill: String?
  /// The version of the skill, or nil for the one that is current.
  public let version: String?
  /// The name of the tool within its skill, or `card/model`.
  public let tool: String

  /// A name of its parts.
  public init(skill: String? = nil, version: String? = nil, tool: String) {
    self.skill = skill
    self.version = version
    self.tool = tool
  }

  /// Reads a name; without a `#` all of it is the tool's.
  public init(_ text: String) {
    let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      self.init(tool: text)
      return
    }
    let skill = parts[0].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    self.init(
      skill: String(skill[0]), version: skill.count == 2 ? String(skill[1]) : nil, tool: String(parts[1]))
  }

  /// The name as it is written.
  public var text: String {
    guard let skill else { return tool }
    return version.map { "\(skill)@\($0)#\(tool)" } ?? "\(skill)#\(tool)"
  }
}
