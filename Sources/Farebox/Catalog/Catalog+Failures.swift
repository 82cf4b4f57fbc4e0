internal import FareboxCore

/// Why a name does not lead to a tool that can be charged for.
extension Catalog {
  /// A name that stands for no tool, or for several.
  func unresolved(_ name: BorrowedText) -> Failure {
    if name.count > Limits.toolReference {
      return Failure(.tooLong, field: "tool", "A name has at most \(Limits.toolReference) bytes.")
    }
    return find(name) == nil ? unknown(name) : ambiguous(name)
  }

  /// A name that fits nothing.
  private func unknown(_ name: BorrowedText) -> Failure {
    if name.isEmpty { return Failure(.missingField, field: "tool", "It must name a tool.") }
    guard name.isText, let text = name.string else {
      return Failure(.invalidUTF8, field: "tool", "It is not UTF-8 text without NUL.")
    }
    let reference = ToolName(text)
    if let skill = reference.skill, !skill.isEmpty {
      return Failure(.toolNotFound, field: "tool", unknown(reference, of: skill))
    }
    guard let slash = reference.tool.firstIndex(of: "/") else {
      return Failure(.toolNotFound, field: "tool", "There is no tool '\(name.shown)'.")
    }
    let name = String(reference.tool[..<slash])
    guard let card = rateCards[name]?.card else {
      return Failure(
        .rateCardNotFound, field: "tool",
        "There is no rate card '\(name.prefix(60))', and no tool '\(reference.tool.prefix(60))'.")
    }
    return unknownRate(String(reference.tool[reference.tool.index(after: slash)...]), on: card)
  }

  private func unknown(_ reference: ToolName, of id: String) -> String {
    guard let skill = skills[id] else { return "There is no skill '\(id.prefix(60))'." }
    let tool = reference.tool.prefix(60)
    guard let version = reference.version else { return "Skill '\(id)' has no tool '\(tool)'." }
    guard skill.versions[version] != nil else {
      return "Skill '\(id)' has no version '\(version.prefix(60))'; \(skill.manifest.version) is current."
    }
    return "Version \(version) of skill '\(id)' has no tool '\(tool)'."
  }

  /// A plain name that several tools have.
  private func ambiguous(_ name: BorrowedText) -> Failure {
    let all = candidates(name.string ?? "")
    let listed = all.prefix(Limits.listedCandidates)
    let more = all.count > listed.count ? " and \(all.count - listed.count) more" : ""
    return Failure(
      .toolAmbiguous, field: "tool",
      "\(all.count) tools are named '\(name.shown)': \(listed.joined(separator: ", "))\(more). Write skill#tool.",
      details: ["candidates": .array(listed.map { .string($0) }), "count": .int(Int64(all.count))])
  }

  /// A tool that is switched off, or that the current version of its skill no longer offers.
  func notForSale(_ named: NamedTool, _ name: BorrowedText) -> Failure {
    let tool = identities[Int(named.tool)]
    guard let skill = tool.skill.flatMap({ skills[$0] }), named.price == nil, !tools[Int(named.tool)].isOffered else {
      return Failure(.toolDisabled, field: "tool", "Tool '\(name.shown)' or its skill is disabled.")
    }
    let last = ToolName(skill: skill.manifest.id, version: tool.versions.last, tool: tool.name).text
    return Failure(
      .toolDisabled, field: "tool",
      "Version \(skill.manifest.version) of skill '\(skill.manifest.id)' no longer offers tool '\(tool.name)'. "
        + "Write '\(last)' for an older version, or register a version that offers it.")
  }
}
