internal import FareboxCore

/// Skills and tools through the JSON door.
enum SkillOperations {
  static let all: [Operation] = [
    register, list, inspect, enable, disable, listTools, inspectTool, enableTool, disableTool,
  ]

  private static let skill = OperationField("skill", .text, "The skill's id.", required: true)
  private static let tool = OperationField("tool", .text, "The tool's name.", required: true)
  private static let account = OperationField(
    "account", .text,
    "Only for this account and those below it; the nearest account of which something was said decides."
  )
  private static let access = OperationField(
    "access", .list, "Accounts of which something was said, each with account and enabled.")
  private static let row = [
    OperationField("skill", .text, "The id."), OperationField("version", .text, "The newest version."),
    OperationField("name", .text, "For people."), OperationField("enabled", .flag, "Whether it can be charged for."),
    OperationField("tools", .list, "The names of its tools."), OperationField("registered", .integer, "When."),
  ]

  static let register = Operation(
    "skill.register", "Registers a skill with its tools and prices, or a new version of one.",
    input: [OperationField("manifest", .object, "The skill's manifest.", required: true)],
    output: row + [OperationField("changed", .flag, "False where the same manifest was registered before.")],
    errors: [.skillExists, .assetNotFound, .unrepresentable, .tooPrecise, .accountClosed]
  ) { engine, input throws(Failure) in
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      let (manifest, isNew) = try ledger.registerSkill(input.value("manifest") ?? .null, at: context.time)
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
          try ledger.setAccess("skill", id, account: ledger.account(input), isEnabled, at: context.time)
        }
        return json(ledger.state.catalog.skills[id] ?? skill)
      }
    }
  }

  private static let toolRow = [
    OperationField("tool", .text, "The name."), OperationField("skill", .text, "Its skill, or null for a rate."),
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
    ], errors: [.toolNotFound]
  ) { engine, input throws(Failure) in
    let limit = try Paging.limit(input)
    return try engine.read { ledger, now throws(Rejection) in
      var index: UInt32 = 0
      if let after = input.text("after") {
        guard let found = ledger.state.catalog.toolNames.find(after) else { throw .failed(unknownTool) }
        index = found + 1
      }
      var rows: [JSON] = []
      var last: UInt32 = 0
      var isMore = false
      while index < ledger.state.catalog.tools.count, !isMore {
        let isWanted =
          (input.text("skill").map { ledger.state.catalog.tools[Int(index)].skill == $0 } ?? true)
          && (input.text("category").map { ledger.category(index) == $0 } ?? true)
        if isWanted, rows.count == limit {
          isMore = true
        } else if isWanted {
          rows.append(ledger.json(tool: index, at: now))
          last = index
        }
        index += 1
      }
      return ["tools": .array(rows), "next": isMore ? .string(ledger.state.catalog.toolNames[last]) : .null]
    }
  }

  static let inspectTool = Operation(
    "tool.inspect", "Tells everything about a tool, its input schema included.", input: [tool],
    output: toolRow + [
      OperationField("input_schema", .any, "The JSON Schema of its input, or null."),
      OperationField("split", .list, "Who gets what of a charge."), access,
    ], errors: [.toolNotFound]
  ) { engine, input throws(Failure) in
    try engine.read { ledger, now throws(Rejection) in
      guard let index = ledger.state.catalog.toolNames.find(input.text("tool") ?? "") else {
        throw .failed(unknownTool)
      }
      var row = JSONObject((ledger.json(tool: index, at: now).object?.members ?? []).map { ($0.key, $0.value) })
      let declared = ledger.declared(index)
      row.append("input_schema", declared?.inputSchema ?? .null)
      row.append("split", declared?.split.json ?? .null)
      row.append("access", ledger.json(access: ledger.state.catalog.tools[Int(index)].access))
      return .object(row)
    }
  }

  static let enableTool = toolSwitch("tool.enable", "Lets a tool be charged for again.", true)
  static let disableTool = toolSwitch("tool.disable", "Stops new charges and holds for a tool.", false)

  private static func toolSwitch(_ name: String, _ doc: String, _ isEnabled: Bool) -> Operation {
    Operation(name, doc, input: [tool, account], output: toolRow, errors: [.toolNotFound, .accountNotFound]) {
      engine, input throws(Failure) in
      try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
        let name = input.text("tool") ?? ""
        guard ledger.state.catalog.toolNames.find(name) != nil else { throw .failed(unknownTool) }
        if input.value("account") == nil {
          try ledger.enableTool(name, isEnabled, at: context.time)
        } else {
          try ledger.setAccess("tool", name, account: ledger.account(input), isEnabled, at: context.time)
        }
        return ledger.state.catalog.toolNames.find(name).map { ledger.json(tool: $0, at: context.time) } ?? .null
      }
    }
  }

  private static let unknown = Failure(.skillNotFound, field: "skill", "There is no skill of this id.")
  private static let unknownTool = Failure(.toolNotFound, field: "tool", "There is no tool of this name.")

  private static func json(_ skill: Skill) -> JSON {
    [
      "skill": .string(skill.manifest.id), "version": .string(skill.manifest.version),
      "name": .string(skill.manifest.name), "description": .string(skill.manifest.description),
      "category": .string(skill.manifest.category), "owner": skill.manifest.owner.map { .string($0) } ?? .null,
      "enabled": .bool(skill.isEnabled), "tools": .array(skill.manifest.tools.map { .string($0.name) }),
      "registered": .int(skill.registered),
    ]
  }
}

extension Ledger {
  /// What the manifest says of a tool, or nil for a rate.
  fileprivate func declared(_ tool: UInt32) -> SkillManifest.Tool? {
    guard let skill = state.catalog.tools[Int(tool)].skill else { return nil }
    let name = state.catalog.toolNames[tool]
    return state.catalog.skills[skill]?.manifest.tools.first { $0.name == name }
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

  fileprivate func json(tool index: UInt32, at time: Int64) -> JSON {
    let entry = state.catalog.tools[Int(index)]
    let price = state.catalog.priceIndex(index, customer: nil, at: time)
    let declared = declared(index)
    return [
      "tool": .string(state.catalog.toolNames[index]), "skill": entry.skill.map { .string($0) } ?? .null,
      "enabled": .bool(state.catalog.isEnabled(index)), "description": .string(declared?.description ?? ""),
      "category": .string(declared?.category ?? ""),
      "pricing": price.map { state.catalog.prices[Int($0)].price.json } ?? .null,
      "price_version": price.map { .int(Int64($0) + 1) } ?? .null,
    ]
  }
}
