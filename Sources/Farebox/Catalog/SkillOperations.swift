internal import FareboxCore
internal import FareboxStore

/// Skills and tools through the JSON door.
enum SkillOperations {
  static let all: [Operation] = [
    register, list, inspect, enable, disable, listTools, inspectTool, enableTool, disableTool,
  ]

  private static let skill = OperationField("skill", .text, "The skill's id.", required: true)
  private static let tool = OperationField(
    "tool", .text, "The tool: `skill#tool`, `skill@version#tool`, a plain name that is unique, or a rate's.",
    required: true)
  /// What a name that stands for no tool is answered with.
  static let naming: [Status] = [.toolNotFound, .toolAmbiguous, .rateCardNotFound, .rateAmbiguous]
  private static let account = OperationField(
    "account", .text,
    "Only for this account and those below it; the nearest account of which something was said decides."
  )
  private static let access = OperationField(
    "access", .list, "Accounts of which something was said, each with account and enabled.")
  private static let row = [
    OperationField("skill", .text, "The id."), OperationField("version", .text, "The current version."),
    OperationField(
      "versions", .list, "Versions that are registered, the newest \(Limits.listedVersions), newest first."),
    OperationField("name", .text, "For people."), OperationField("enabled", .flag, "Whether it can be charged for."),
    OperationField("tools", .list, "The names of its tools."), OperationField("registered", .integer, "When."),
  ]

  static let register = Operation(
    "skill.register", "Registers a skill with its tools and prices, or a new version of one.",
    input: [
      OperationField("manifest", .object, "The skill's manifest.", required: true),
      OperationField(
        "keep_current", .flag,
        "A version that is registered already stays as it is; without this it becomes the current one again."),
    ],
    output: row + [OperationField("changed", .flag, "False where nothing was written.")],
    errors: [.skillExists, .assetNotFound, .unrepresentable, .tooPrecise, .accountClosed]
  ) { engine, input throws(Failure) in
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      let (manifest, isNew) = try ledger.registerSkill(
        input.value("manifest") ?? .null, keepsCurrent: input.flag("keep_current"), at: context.time)
      guard let skill = ledger.state.catalog.skills[manifest.id] else { return .null }
      return .object(
        JSONObject((json(skill).object?.members ?? []).map { ($0.key, $0.value) } + [("changed", .bool(isNew))]))
    }
  }

  static let list = Operation(
    "skill.list", "Lists the registered skills.", input: [OperationField("category", .text, "Only of this category.")],
    output: [OperationField("skills", .list, "As skill.register.")]
  ) { engine, input throws(Failure) in
    try engine.read { ledger, _ throws(Rejection) in
      let category = input.text("category")
      let skills = ledger.state.catalog.skills.values
        .filter { category == nil || $0.manifest.category == category }.sorted { $0.manifest.id < $1.manifest.id }
      return ["skills": .array(skills.map(json))]
    }
  }

  static let inspect = Operation(
    "skill.inspect", "Tells everything about a skill.", input: [skill],
    output: row + [OperationField("manifest", .object, "Its manifest."), access], errors: [.skillNotFound]
  ) { engine, input throws(Failure) in
    try engine.read { ledger, _ throws(Rejection) in
      guard let skill = ledger.state.catalog.skills[input.text("skill") ?? ""] else { throw .failed(unknown) }
      return .object(
        JSONObject(
          (json(skill).object?.members ?? []).map { ($0.key, $0.value) } + [
            ("manifest", skill.manifest.json),
            ("access", ledger.json(access: ledger.state.catalog.skillAccess[skill.manifest.id] ?? [:])),
          ]))
    }
  }

  static let enable = skillSwitch("skill.enable", "Lets a skill's tools be charged for again.", true)
  static let disable = skillSwitch("skill.disable", "Stops new charges and holds for all tools of a skill.", false)

  private static func skillSwitch(_ name: String, _ doc: String, _ isEnabled: Bool) -> Operation {
    Operation(name, doc, input: [skill, account], output: row, errors: [.skillNotFound, .accountNotFound]) {
      engine, input throws(Failure) in
      try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
        let id = input.text("skill") ?? ""
        guard let skill = ledger.state.catalog.skills[id] else { throw .failed(unknown) }
        if input.value("account") == nil {
          try ledger.enableSkill(id, isEnabled, at: context.time)
        } else {
          try ledger.setAccess(skill: id, account: ledger.account(input), isEnabled, at: context.time)
        }
        return json(ledger.state.catalog.skills[id] ?? skill)
      }
    }
  }

  private static let toolRow = [
    OperationField("tool", .text, "The name."), OperationField("skill", .text, "Its skill, or null for a rate."),
    OperationField("full_name", .text, "`skill#tool`, or `card/model` of a rate: no other tool has it."),
    OperationField("version", .text, "The version of the skill that the row is about, or null for a rate."),
    OperationField(
      "versions", .list, "Versions of the skill that have the tool, the newest \(Limits.listedVersions), newest first."),
    OperationField("enabled", .flag, "Whether it can be charged for."),
    OperationField("description", .text, "For people."), OperationField("category", .text, "For people."),
    OperationField("pricing", .object, "The price that applies now, or null."),
    OperationField("price_version", .integer, "Its number."),
  ]

  static let listTools = Operation(
    "tool.list", "Lists tools and the rates of rate cards, in the order of their registration.",
    input: [
      OperationField("skill", .text, "Only of this skill."),
      OperationField("category", .text, "Only of this category."),
      OperationField("after", .text, "Begin after this tool, for the next page."),
      OperationField("limit", .integer, "Rows, from 1 to 1,000; 100 where absent."),
    ],
    output: [
      OperationField("tools", .list, "As tool.inspect."),
      OperationField("next", .text, "The next page's after, or null."),
    ], errors: naming
  ) { engine, input throws(Failure) in
    let limit = try Paging.limit(input)
    return try engine.read { ledger, now throws(Rejection) in
      var index: UInt32 = 0
      if let after = input.text("after") { index = try ledger.tool(after).tool + 1 }
      var rows: [JSON] = []
      var last: UInt32 = 0
      var isMore = false
      while index < ledger.state.catalog.tools.count, !isMore {
        let isWanted =
          (input.text("skill").map { ledger.state.catalog.identities[Int(index)].skill == $0 } ?? true)
          && (input.text("category").map { ledger.category(index) == $0 } ?? true)
        if isWanted, rows.count == limit {
          isMore = true
        } else if isWanted {
          rows.append(.object(ledger.row(NamedTool(index), ledger.declared(index), at: now)))
          last = index
        }
        index += 1
      }
      return ["tools": .array(rows), "next": isMore ? .string(ledger.state.catalog.fullName(last)) : .null]
    }
  }

  static let inspectTool = Operation(
    "tool.inspect", "Tells everything about a tool, its input schema included.", input: [tool],
    output: toolRow + [
      OperationField("input_schema", .any, "The JSON Schema of its input, or null."),
      OperationField("split", .list, "Who gets what of a charge."), access,
    ], errors: naming
  ) { engine, input throws(Failure) in
    let name = input.text("tool") ?? ""
    return try engine.look { ledger, context throws(Rejection) in
      let named = try ledger.tool(name)
      let declared: SkillManifest.Tool?
      if named.price != nil {
        declared = try ledger.declared(ToolName(name), in: context.store)
      } else {
        declared = ledger.declared(named.tool)
      }
      var row = ledger.row(
        named, declared, version: named.price.flatMap { _ in ToolName(name).version }, at: context.time)
      row.append("input_schema", declared?.inputSchema ?? .null)
      row.append("split", declared?.split.json ?? .null)
      row.append("access", ledger.json(access: ledger.state.catalog.tools[Int(named.tool)].access))
      return .object(row)
    }
  }

  static let enableTool = toolSwitch("tool.enable", "Lets a tool be charged for again.", true)
  static let disableTool = toolSwitch("tool.disable", "Stops new charges and holds for a tool.", false)

  private static func toolSwitch(_ name: String, _ doc: String, _ isEnabled: Bool) -> Operation {
    Operation(name, doc, input: [tool, account], output: toolRow, errors: naming + [.accountNotFound]) {
      engine, input throws(Failure) in
      try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
        let name = input.text("tool") ?? ""
        let named = try ledger.tool(name)
        if input.value("account") == nil {
          try ledger.enableTool(name, isEnabled, at: context.time)
        } else {
          try ledger.setAccess(tool: named.tool, account: ledger.account(input), isEnabled, at: context.time)
        }
        return .object(ledger.row(named, ledger.declared(named.tool), at: context.time))
      }
    }
  }

  private static let unknown = Failure(.skillNotFound, field: "skill", "There is no skill of this id.")

  /// As many versions as are listed, the newest first.
  static func newest(_ versions: [String]) -> JSON {
    .array(versions.suffix(Limits.listedVersions).reversed().map { .string($0) })
  }

  private static func json(_ skill: Skill) -> JSON {
    [
      "skill": .string(skill.manifest.id), "version": .string(skill.manifest.version),
      "versions": newest(skill.order),
      "name": .string(skill.manifest.name), "description": .string(skill.manifest.description),
      "category": .string(skill.manifest.category), "owner": skill.manifest.owner.map { .string($0) } ?? .null,
      "enabled": .bool(skill.isEnabled), "tools": .array(skill.manifest.tools.map { .string($0.name) }),
      "registered": .int(skill.registered),
    ]
  }
}

extension Ledger {
  /// What the current manifest says of a tool, or nil for a rate and for a tool that it no longer has.
  fileprivate func declared(_ tool: UInt32) -> SkillManifest.Tool? {
    let entry = state.catalog.identities[Int(tool)]
    guard let skill = entry.skill else { return nil }
    return state.catalog.skills[skill]?.manifest.tools.first { $0.name == entry.name }
  }

  /// What a version's manifest says of a tool: the journal has it, because only current ones are in memory.
  fileprivate func declared(
    _ name: ToolName, in store: any Store
  ) throws(Rejection) -> SkillManifest.Tool? {
    guard let skill = name.skill, let version = name.version,
      let known = state.catalog.skills[skill]?.versions[version]
    else { return nil }
    let assets = state.catalog.assets
    do throws(Failure) {
      let manifest = try withRecord(known.record, in: store) { _, heap throws(Failure) in
        try SkillManifest.parse(state.definition(heap), asset: { code in assets.first { $0.code == code } })
      }
      return manifest?.tools.first { $0.name == name.tool }
    } catch {
      throw .failed(error)
    }
  }

  fileprivate func json(access: [UInt32: Bool]) -> JSON {
    .array(
      access.sorted { $0.key < $1.key }.map { entry in
        ["account": .string(state.accountNames[entry.key]), "enabled": .bool(entry.value)]
      })
  }

  fileprivate func category(_ tool: UInt32) -> String {
    declared(tool)?.category ?? ""
  }

  /// A tool as it is listed.
  ///
  /// - Parameters:
  ///   - declared: what the version's manifest says of it.
  ///   - version: of the skill; nil is the current one.
  fileprivate func row(
    _ named: NamedTool, _ declared: SkillManifest.Tool?, version: String? = nil, at time: Int64
  ) -> JSONObject {
    let entry = state.catalog.identities[Int(named.tool)]
    let price = state.catalog.priceIndex(named, customer: nil, at: time)
    let current = entry.skill.flatMap { state.catalog.skills[$0]?.manifest.version }
    let rest: [(String, JSON)] = [
      ("full_name", .string(state.catalog.fullName(named.tool))),
      ("version", (version ?? current).map { .string($0) } ?? .null),
      ("versions", SkillOperations.newest(entry.versions)),
      ("enabled", .bool(state.catalog.isForSale(named))), ("description", .string(declared?.description ?? "")),
      ("category", .string(declared?.category ?? "")),
      ("pricing", price.map { state.catalog.prices[Int($0)].price.json } ?? .null),
      ("price_version", price.map { .int(Int64($0) + 1) } ?? .null),
    ]
    return JSONObject(toolMembers(named.tool) + rest)
  }
}
