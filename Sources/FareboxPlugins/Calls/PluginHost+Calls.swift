internal import CWorker
package import Farebox
package import FareboxCore
internal import Synchronization

/// Metered calls: quote, reserve, run, capture; and release where the call did not succeed.
extension PluginHost {
  /// Runs a tool of a plugin for its payer.
  ///
  /// - Throws: what stood against it; then nobody was charged, except where the failure is one of the capture itself,
  ///   whose status says what may have happened.
  package func call(_ engine: Engine, _ request: ToolRequest) throws(Failure) -> ToolResult {
    try engine.checkUsable()
    // Who pays has this done by the reservation.
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

  private func charge(
    _ engine: Engine, _ plugin: Plugin, _ supervisor: Supervisor, _ tool: Plugin.Tool,
    _ prepared: PreparedCall, _ request: ToolRequest
  ) throws(Failure) -> ToolResult {
    let hold = try reserve(engine, tool, prepared, request)
    let outcome: ToolOutcome
    do throws(Failure) {
      outcome = try run(engine, plugin, supervisor, tool, prepared, request)
      if !outcome.writes.isEmpty { try engine.setSkillValues(plugin.id, outcome.writes) }
    } catch {
      throw giveUp(engine, hold, error)
    }
    var receipt: Receipt?
    do throws(Failure) {
      receipt = try capture(engine, plugin, hold, prepared, outcome, tool, request)
    } catch {
      // Another try of the same call shared the hold, and failed: this one did not, and pays for itself.
      guard error.status == .holdReleased || error.status == .holdExpired else { throw error }
      let next = try reserve(engine, tool, prepared, request)
      receipt = try capture(engine, plugin, next, prepared, outcome, tool, request)
    }
    return ToolResult(
      output: outcome.output, kind: tool.declared.output, receipt: receipt, attribution: plugin.attribution)
  }

  /// Holds the money of a call.
  ///
  /// A repeat with the same key finds the hold of the first try. Where that try failed, and so was released, the next
  /// one gets a key of its own that follows from it, so that however many tries there are one of them is charged.
  private func reserve(
    _ engine: Engine, _ tool: Plugin.Tool, _ prepared: PreparedCall, _ request: ToolRequest
  ) throws(Failure) -> Receipt {
    var reservation = ChargeRequest()
    reservation.payer = request.payer
    reservation.tool = tool.pinned.text
    reservation.run = request.run
    reservation.call = request.call
    reservation.maxCost = request.maxCost
    reservation.usage = prepared.usage
    var terms = HoldTerms()
    terms.overCapture = request.maxCost == nil ? .overflow : .cap
    // Not the caller's deadline, or a repeat that has another would be another request.
    terms.expiresInMilliseconds = max(terms.expiresInMilliseconds, prepared.longest + PluginHost.holdMargin)
    guard !request.key.isEmpty else { return try engine.reserve(reservation, terms) }
    for attempt in 0..<PluginHost.mostAttempts {
      let key = attempt == 0 ? nil : AttemptKey(request.key, attempt)
      reservation.key = key?.text ?? request.key
      let receipt = try engine.reserve(reservation, terms)
      guard receipt.isReplayed else { return receipt }
      let state = try engine.call("hold.get", ["hold": .int(Int64(clamping: receipt.hold))])
      switch state.object?["state"]?.string {
      case "released", "expired": withExtendedLifetime(key) {}
      default: return receipt
      }
    }
    throw Failure(
      .pluginUnavailable, field: "idempotency_key",
      "\(PluginHost.mostAttempts) tries with this key have failed; use another one.")
  }

  /// A hold outlives the longest call of its tool by this many milliseconds.
  private static let holdMargin: Int64 = 60_000
  private static let mostAttempts = 64

  /// Gives the money of a call that did not succeed back, and says why it did not.
  private func giveUp(_ engine: Engine, _ hold: Receipt, _ failure: Failure) -> Failure {
    do throws(Failure) {
      _ = try engine.release(hold: hold.hold)
    } catch {
      // Another try of the same call has ended the hold, or the store is gone: then the hold expires by itself.
    }
    return failure
  }

  private func capture(
    _ engine: Engine, _ plugin: Plugin, _ hold: Receipt, _ prepared: PreparedCall, _ outcome: ToolOutcome,
    _ tool: Plugin.Tool, _ request: ToolRequest
  ) throws(Failure) -> Receipt {
    let attribution = plugin.attribution
    do throws(Failure) {
      let used = try prepared.used(outcome, tool)
      return try attribution.withBorrowedText { metadata throws(Failure) in
        var capture = CaptureRequest()
        capture.hold = hold.hold
        // Not what was held: that may be a max_cost, or what was expected before the call.
        capture.amount = .usage(used)
        capture.metadata = metadata
        do throws(Failure) {
          return try engine.capture(capture, durability: request.durability)
        } catch {
          switch error.status.entry?.family {
          case .refused where error.status != .unpriceable:
            // What goes beyond the hold cannot be paid: what was held is taken.
            capture.amount = .rest
            return try engine.capture(capture, durability: request.durability)
          default: throw error
          }
        }
      }
    } catch {
      // An earlier try of the same call, or one at the same time, has paid: its receipt is this one's.
      if error.status == .holdCaptured, hold.isReplayed { return try engine.closingCapture(hold: hold.hold) }
      if error.status == .unpriceable || error.status == .overflow { throw giveUp(engine, hold, error) }
      throw error
    }
  }

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

/// The key of a further try: the caller's, cut to fit, and the number of the try.
private final class AttemptKey {
  private let arena = TextArena()
  let text: BorrowedText

  init(_ key: BorrowedText, _ attempt: Int) {
    let suffix = "#\(attempt)"
    let bytes = unsafe [UInt8](key.bytes)
    guard bytes.count + suffix.utf8.count > Limits.key else {
      text = arena.add(bytes: bytes + suffix.utf8)
      return
    }
    // What does not fit is named by its hash.
    text = arena.add(bytes: Array(SHA256Hasher.hash(bytes.span).hex.utf8) + suffix.utf8)
  }
}
