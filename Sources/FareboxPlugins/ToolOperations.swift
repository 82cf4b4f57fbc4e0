package import Farebox
internal import FareboxCore

/// Calls of plugins' tools through the JSON door.
enum ToolOperations {
  static let all: [Operation] = [call, cancel]

  static let call = Operation(
    "tool.call",
    "Runs a tool of a plugin as one metered call: nobody pays where it fails, and a repeat of the call is charged once.",
    input: [
      OperationField("payer", .text, "The account that is charged; its wallet pays.", required: true),
      OperationField("tool", .text, "The tool: `skill#tool`, or its plain name where that is unique.", required: true),
      OperationField("input", .object, "What the tool is given; `{}` where absent."),
      OperationField("idempotency_key", .text, "The same key and request run the tool again and charge once."),
      OperationField("run", .text, "The run that the call belongs to, for per-run caps."),
      OperationField("call", .text, "The id of the call; `tool.cancel` takes it, or else the key."),
      OperationField("max_cost", .amount, "Charge at most this."),
      OperationField(
        "charge_afterwards", .flag, "Allow a price by usage that nothing bounds: hold nothing, and charge afterwards."),
      OperationField("release_unreported", .flag, "A call whose usage is never reported costs nothing."),
      OperationField("deadline_ms", .integer, "Give up after this; the tool's own time where absent or more."),
      Shapes.durability,
    ],
    output: [
      OperationField("output", .any, "JSON, or text, or `{\"base64\": ...}`, as the tool's manifest says."),
      OperationField("receipt", .object, "The charge's receipt."),
      OperationField("plugin", .object, "Id, version and SHA-256 of the plugin that ran."),
    ],
    errors: [
      .toolNotFound, .toolAmbiguous, .toolDisabled, .accountNotFound, .insufficientFunds, .overBudget, .overCallCap,
      .overRunCap,
      .rateLimited, .unpriceable, .keyConflict, .pluginInactive, .pluginPolicy, .pluginCrashed, .pluginDeadline,
      .pluginCancelled, .pluginOutputLimit, .pluginFailed, .pluginInput, .pluginOutput, .pluginUnavailable,
    ]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    var request = ToolRequest()
    request.payer = arena.add(input.text("payer"))
    request.tool = arena.add(input.text("tool"))
    request.input = arena.add(input.value("input")?.serialized())
    request.key = arena.add(input.text("idempotency_key"))
    request.run = arena.add(input.text("run"))
    request.call = arena.add(input.text("call"))
    request.maxCost = try engine.units(input, "max_cost")
    if input.flag("charge_afterwards") { request.terms.insert(.chargesAfterwards) }
    if input.flag("release_unreported") { request.terms.insert(.releasesUnreported) }
    request.durability = try Shapes.durability(input)
    if let deadline = input.integer("deadline_ms") {
      guard deadline > 0 else { throw Failure(.invalidArgument, field: "deadline_ms", "It must be more than 0.") }
      request.deadlineMilliseconds = deadline
    }
    let result = try PluginHost.of(engine).call(engine, request)
    withExtendedLifetime(arena) {}
    return [
      "output": try output(result),
      "receipt": try result.receipt.map { receipt throws(Failure) in try engine.json(receipt) } ?? .null,
      "plugin": try JSON.parse(result.attribution),
    ]
  }

  private static func output(_ result: ToolResult) throws(Failure) -> JSON {
    switch result.kind {
    case .json: try JSON.parse(result.output)
    case .text: .string(String(decoding: result.output, as: UTF8.self))
    case .bytes: ["base64": .string(Base64.text(result.output))]
    }
  }

  static let cancel = Operation(
    "tool.cancel", "Cancels the calls of a plugin's tools that are under way with an id; any thread may.",
    input: [
      OperationField("call", .text, "The id that the call was given, or else its idempotency key.", required: true),
      OperationField("payer", .text, "Only those of this account."),
      OperationField("run", .text, "Only those of this run."),
    ],
    output: [OperationField("cancelled", .integer, "How many calls there were.")]
  ) { engine, input throws(Failure) in
    let cancelled = try PluginHost.of(engine).cancel(
      input.text("call") ?? "", payer: input.text("payer"), run: input.text("run"))
    return ["cancelled": .int(Int64(cancelled))]
  }
}

extension OperationTable {
  /// The engine's operations and those of plugins.
  package static let complete = OperationTable(
    OperationTable.engine.all + PluginOperations.all + AuthorOperations.all + ToolOperations.all)
}
