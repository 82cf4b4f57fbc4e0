internal import CWorker
package import Farebox
package import FareboxCore
internal import Synchronization

/// Calls of tools: the engine is told when one begins, how it ended and what it used, and decides what that costs.
extension PluginHost {
  /// Runs a tool of a plugin for its payer.
  ///
  /// - Throws: what stood against it; then nobody was charged, except where the failure is one of the charge itself,
  ///   whose status says what may have happened.
  package func call(_ engine: Engine, _ request: ToolRequest) throws(Failure) -> ToolResult {
    try engine.checkUsable()
    // Where somebody pays, the engine does this.
    if request.isUncharged { try request.checkTexts() }
    return try whileOpen { () throws(Failure) in
      while true {
        let (plugin, tool) = try find(engine, request.tool)
        do throws(Failure) {
          return try call(engine, request, plugin, tool)
        } catch {
          // Another version may have taken its place since it was found: the call goes to that one.
          guard error.status == .pluginInactive, let now = self.tool(tool.fullName), now.plugin !== plugin else {
            throw error
          }
        }
      }
    }
  }

  private func call(
    _ engine: Engine, _ request: ToolRequest, _ plugin: Plugin, _ tool: Plugin.Tool
  ) throws(Failure) -> ToolResult {
    plugin.metrics.calls.add(1, ordering: .relaxed)
    do throws(Failure) {
      let supervisor = try plugin.checkActive()
      do throws(Failure) {
        try plugin.checkPolicy()
      } catch {
        stopForGood(engine, plugin, why: error.message)
        throw error
      }
      let prepared = try PreparedCall(plugin, tool, request)
      let result =
        request.isUncharged
        ? ToolResult(
          output: try run(engine, plugin, supervisor, tool, prepared, request).output, kind: tool.declared.output,
          receipt: nil, attribution: plugin.attribution)
        : try charge(engine, plugin, supervisor, tool, prepared, request)
      plugin.metrics.succeeded.add(1, ordering: .relaxed)
      plugin.metrics.outputBytes.add(result.output.count, ordering: .relaxed)
      return result
    } catch {
      plugin.metrics.countFailure(error.status)
      throw error
    }
  }

  /// Cancels the calls of an id that are under way, all or those of one payer or run; returns how many there were.
  package func cancel(_ call: String, payer: String? = nil, run: String? = nil) -> Int {
    calls.cancel(call, payer: payer, run: run)
  }

  /// The plugin and tool of a name; a tool that no plugin answers to says so.
  private func find(_ engine: Engine, _ name: BorrowedText) throws(Failure) -> (Plugin, Plugin.Tool) {
    guard name.count <= Limits.toolReference else {
      throw Failure(.tooLong, field: "tool", "A name has at most \(Limits.toolReference) bytes.")
    }
    guard let text = name.string, !text.isEmpty else {
      throw name.isEmpty
        ? Failure(.missingField, field: "tool", "It must name a tool.")
        : Failure(.invalidUTF8, field: "tool", "It is not UTF-8 text.")
    }
    if let found = tool(text) {
      // The skill of another process may have a tool of this name, too.
      if found.tool.declared.name == text { try engine.checkUnambiguous(name) }
      return found
    }
    // It is nobody's tool, one that another plugin has too, or one whose plugin is not loaded.
    let row = try engine.call("tool.inspect", ["tool": .string(text)])
    guard let skill = row.object?["skill"]?.string, let plain = row.object?["tool"]?.string else {
      throw Failure(.toolNotFound, field: "tool", "'\(text)' is a rate and not a tool that can be run.")
    }
    if let found = tool(ToolName(skill: skill, tool: plain).text) {
      guard let version = ToolName(text).version else { return found }
      throw Failure(
        .pluginInactive, field: "tool",
        "Version \(version) of plugin '\(skill)' is not active here; version \(found.plugin.version) is.",
        details: ["plugin": .string(skill), "state": "absent"])
    }
    throw Failure(
      .pluginInactive, field: "tool",
      "Tool '\(text)' is one of skill '\(skill)', and no plugin of that id is loaded here.",
      details: ["plugin": .string(skill), "state": "absent"])
  }

  // MARK: Money

  /// Runs a call for its payer: the engine decides what is held before it and what its end costs.
  private func charge(
    _ engine: Engine, _ plugin: Plugin, _ supervisor: Supervisor, _ tool: Plugin.Tool,
    _ prepared: PreparedCall, _ request: ToolRequest
  ) throws(Failure) -> ToolResult {
    let call = try begin(engine, tool, prepared, request)
    let outcome: ToolOutcome
    var end = FinishRequest()
    do throws(Failure) {
      outcome = try run(engine, plugin, supervisor, tool, prepared, request)
      if !outcome.writes.isEmpty { try engine.setSkillValues(plugin.id, outcome.writes) }
      end.recorded = try prepared.used(outcome, tool, scale: call.scale)
    } catch {
      end.ending = error.status == .pluginCancelled ? .left : .failed
      do throws(Failure) {
        _ = try engine.finish(call, end, durability: request.durability)
      } catch {
        // The store is gone: what was held returns to the payer when its time is over.
      }
      throw error
    }
    let attribution = plugin.attribution
    let receipt = try attribution.withBorrowedText { metadata throws(Failure) in
      end.metadata = metadata
      return try engine.finish(call, end, durability: request.durability)
    }
    return ToolResult(output: outcome.output, kind: tool.declared.output, receipt: receipt, attribution: attribution)
  }

  private func begin(
    _ engine: Engine, _ tool: Plugin.Tool, _ prepared: PreparedCall, _ request: ToolRequest
  ) throws(Failure) -> MeteredCall {
    var begin = BeginRequest()
    begin.payer = request.payer
    begin.tool = tool.pinned.text
    begin.run = request.run
    begin.call = request.call
    begin.parent = request.parent
    begin.ordinal = request.ordinal
    begin.key = request.key
    begin.terms = request.terms
    begin.maxCost = request.maxCost
    begin.expected = prepared.expected
    // Not the caller's deadline, which may be another in a repeat of the call.
    begin.expiresInMilliseconds = max(begin.expiresInMilliseconds, prepared.longest + PluginHost.holdMargin)
    return try prepared.arguments.withBorrowedText { arguments throws(Failure) in
      begin.arguments = arguments
      return try engine.begin(begin)
    }
  }

  /// A hold outlives the longest call of its tool by this many milliseconds.
  private static let holdMargin: Int64 = 60_000

  // MARK: Running

  /// Runs the tool and checks what it gave.
  private func run(
    _ engine: Engine, _ plugin: Plugin, _ supervisor: Supervisor, _ tool: Plugin.Tool,
    _ prepared: PreparedCall, _ request: ToolRequest
  ) throws(Failure) -> ToolOutcome {
    let id = plugin.id
    let (account, run, name) = (request.payer.string ?? "", request.run.string ?? "", request.call.string ?? "")
    let handle = name.isEmpty ? request.key.string ?? "" : name
    return try calls.with(handle, payer: account, run: run) { flag throws(Failure) in
      let call = ToolCall(
        tool: tool.declared.name, input: prepared.input, account: account, run: run, call: name,
        deadline: prepared.deadline, outputLimit: Int(clamping: plugin.grants.outputBytes),
        stored: { key in try? engine.skillValue(id, key) }, cancel: flag)
      let began = farebox_worker_steady_clock()
      defer {
        plugin.metrics.time.add(Int(clamping: farebox_worker_steady_clock() - began), ordering: .relaxed)
      }
      let outcome = try supervisor.withInstance(until: prepared.deadline) { instance throws(Failure) in
        try instance.call(call)
      }
      try PluginHost.check(outcome.output, tool.declared)
      return outcome
    }
  }

  /// Refuses an output that is not what the manifest says.
  static func check(_ output: [UInt8], _ tool: PluginTool) throws(Failure) {
    switch tool.output {
    case .bytes: return
    case .text:
      guard String(validating: output, as: UTF8.self) != nil else {
        throw Failure(.pluginOutput, field: "output", "The tool's output is not UTF-8 text.")
      }
    case .json:
      let json: JSON
      do throws(Failure) {
        json = try JSON.parse(output)
      } catch {
        throw Failure(.pluginOutput, field: "output", "The tool's output is not JSON: \(error.message)")
      }
      try tool.outputSchema?.check(json, path: "output", status: .pluginOutput)
    }
  }
}
