internal import CWorker
internal import Farebox
internal import FareboxCore

/// Puts any plugin through its paces, each test in a process of its own: conformance to `farebox_plugin.h` and to its
/// manifest, and generated inputs.
///
/// What is generated follows from the seed; a test that failed says what it takes to see it again.
struct PluginValidator {
  let path: String
  let policy: PluginPolicy
  let seed: UInt64
  /// Generated inputs for each tool.
  let rounds: Int
  /// The configuration that instances are started with.
  let configuration: JSON

  static let defaultRounds = 200
  static let mostRounds = 1_000_000
  /// A call of the validator may take this long, in milliseconds, whatever its manifest says.
  private static let callMilliseconds: Int64 = 2_000

  func run() -> ValidationReport {
    var report = ValidationReport(seed: seed)
    var found: VerifiedPlugin?
    report.test("manifest") { test throws(Failure) in
      let (manifest, _) = try PluginManifest.read(path)
      describe(manifest, in: &test)
    }
    report.test("verification") { _ throws(Failure) in
      found = try Verification.verify(manifestAt: path, under: policy)
    }
    guard let found else { return report }
    report.plugin = found.manifest.id
    report.version = found.manifest.version
    var sandbox: JSON?
    report.test("life.start") { _ throws(Failure) in
      let process = try start(found)
      try process.health()
      sandbox = process.sandbox.json
      end(process)
    }
    guard let sandbox else { return report }
    report.sandbox = sandbox
    life(found, &report)
    for tool in found.manifest.tools { self.tool(found, tool, &report) }
    return report
  }

  private func describe(_ manifest: PluginManifest, in test: inout ValidationReport.Test) {
    let undescribed = (manifest.skill.object?["tools"]?.array ?? []).filter { tool in
      (tool.object?["description"]?.string ?? "").isEmpty
    }
    let unschemed = manifest.tools.filter { $0.inputSchema == nil && $0.foreign == nil }
    guard !undescribed.isEmpty || !unschemed.isEmpty else { return }
    test.outcome = .warned
    test.message =
      undescribed.isEmpty
      ? "Tools without an input schema: \(unschemed.map(\.name).joined(separator: ", "))."
      : "Tools without a description: "
        + undescribed.compactMap { $0.object?["name"]?.string }.joined(separator: ", ") + "."
  }

  // MARK: Life

  private func life(_ found: VerifiedPlugin, _ report: inout ValidationReport) {
    report.test("life.repeat") { _ throws(Failure) in
      for _ in 0..<3 { end(try start(found)) }
    }
    report.test("life.restart") { _ throws(Failure) in
      // Back to loaded and up again, in one process.
      let process = try start(found)
      defer { end(process) }
      process.deactivate()
      try process.activate()
      try process.health()
    }
    report.test("life.configure") { test throws(Failure) in
      let process = try start(found)
      defer { end(process) }
      do throws(Failure) {
        try process.configure(configuration.serialized())
      } catch {
        guard error.status == .unsupported else { throw error }
        test.outcome = .skipped
        test.message = "The plugin takes a new configuration in a new instance only."
      }
      try process.health()
    }
    guard found.manifest.kind == .native else { return }
    report.test("life.unknown_tool") { test throws(Failure) in
      let process = try start(found)
      defer { end(process) }
      do throws(Failure) {
        _ = try process.call(call("farebox.no.such.tool", [UInt8]("{}".utf8), found))
        test.outcome = .failed
        test.message = "A tool that the plugin does not have was run."
      } catch {
        // That it knows no such tool is the right answer here, and a fault only of a tool that its manifest lists.
        if error.status != .pluginBroken, PluginValidator.isHarmful(error.status) { throw error }
      }
    }
  }

  // MARK: Tools

  private func tool(_ found: VerifiedPlugin, _ tool: PluginTool, _ report: inout ValidationReport) {
    let name = "tool.\(tool.name)"
    var inputs = Inputs(tool, seed: seed)
    guard let first = inputs.next() else {
      report.test("\(name).generated") { test in
        test.outcome = .skipped
        test.message = "No input that its schema allows could be generated."
      }
      return
    }
    var answers = 0
    report.test("\(name).generated") { test throws(Failure) in
      answers = try generated(found, tool, first, &inputs, &test)
      guard answers == 0, test.outcome == .passed else { return }
      test.outcome = .warned
      test.message = "None of \(rounds) generated inputs was answered; give its schema bounds, or examples."
    }
    report.test("\(name).bounded") { test throws(Failure) in
      try withProcess(found, tool, first, &test) { process throws(Failure) in
        _ = try process.call(call(tool.name, PluginValidator.bytes(first), found, outputLimit: 1))
      }
    }
    report.test("\(name).cancelled") { test throws(Failure) in
      try withProcess(found, tool, first, &test) { process throws(Failure) in
        let call = call(tool.name, PluginValidator.bytes(first), found)
        call.cancel.cancel()
        _ = try process.call(call)
      }
    }
    report.test("\(name).leaks") { test throws(Failure) in try leaks(found, tool, first, &test) }
  }

  /// Calls a tool with what was generated; returns how many calls it answered.
  private func generated(
    _ found: VerifiedPlugin, _ tool: PluginTool, _ first: JSON, _ inputs: inout Inputs,
    _ test: inout ValidationReport.Test
  ) throws(Failure) -> Int {
    var process = try start(found)
    defer { end(process) }
    var answers = 0
    var input: JSON? = first
    for round in 0..<rounds {
      guard let value = input else { break }
      do throws(Failure) {
        let outcome = try process.call(call(tool.name, PluginValidator.bytes(value), found))
        try PluginHost.check(outcome.output, tool)
        for (meter, micro) in outcome.usage where micro < 0 {
          throw Failure(.pluginOutput, field: "usage.\(meter.name)", "The usage is negative.")
        }
        answers += 1
      } catch {
        // A double that JSON does not have is what such a function gives where its arguments ask for it.
        let isWrong = error.status == .pluginOutput && tool.foreign?.signature.result != .double
        if PluginValidator.isHarmful(error.status) || isWrong {
          test.reproduction = [
            "tool": .string(tool.name), "input": value, "round": .int(Int64(round)), "seed": .string(String(seed)),
          ]
          throw error
        }
        // The plugin may refuse what its schema cannot say; only its process must stay.
        if !process.isUsable { process = try start(found) }
      }
      input = inputs.next()
    }
    return answers
  }

  /// Runs one call that need not succeed but must do no harm.
  private func withProcess(
    _ found: VerifiedPlugin, _ tool: PluginTool, _ input: JSON, _ test: inout ValidationReport.Test,
    _ body: (WorkerProcess) throws(Failure) -> Void
  ) throws(Failure) {
    let process = try start(found)
    defer { end(process) }
    do throws(Failure) {
      try body(process)
    } catch {
      guard PluginValidator.isHarmful(error.status), error.status != .pluginOutputLimit else { return }
      test.reproduction = ["tool": .string(tool.name), "input": input]
      throw error
    }
    try process.health()
  }

  /// Whether memory or descriptors grow with each call.
  private func leaks(
    _ found: VerifiedPlugin, _ tool: PluginTool, _ input: JSON, _ test: inout ValidationReport.Test
  ) throws(Failure) {
    let process = try start(found)
    defer { end(process) }
    func callSome(_ count: Int) throws(Failure) {
      for _ in 0..<count where process.isUsable {
        do throws(Failure) {
          _ = try process.call(call(tool.name, PluginValidator.bytes(input), found))
        } catch {
          if PluginValidator.isHarmful(error.status) { throw error }
        }
      }
    }
    try callSome(50)
    let before = process.residentBytes
    try callSome(200)
    guard process.isUsable else {
      test.outcome = .failed
      test.message = "The worker had to be replaced: the plugin leaves descriptors open."
      return
    }
    guard let before, let after = process.residentBytes, after > before + PluginValidator.growth else { return }
    test.outcome = .warned
    test.message = "200 calls with one input grew the process by \((after - before) >> 10) KiB."
  }

  /// Growth of a process over 200 calls that is no chance any more.
  private static let growth: Int64 = 8 << 20

  // MARK: Processes

  private func start(_ found: VerifiedPlugin) throws(Failure) -> WorkerProcess {
    let process = try WorkerProcess(found, worker: WorkerProgram.path(policy), logs: { _, _ in })
    do throws(Failure) {
      let resolved = try Secrets.resolve(configuration, found.manifest.configSchema)
      try found.manifest.checkConfig(resolved, path: "config")
      try process.initialise(config: resolved.serialized())
      try process.activate()
    } catch {
      process.shutdown()
      throw error
    }
    return process
  }

  private func end(_ process: WorkerProcess) {
    process.deactivate()
    process.shutdown()
  }

  private func call(
    _ tool: String, _ input: [UInt8], _ found: VerifiedPlugin, outputLimit: Int? = nil
  ) -> ToolCall {
    let milliseconds = min(found.grants.deadlineMilliseconds, PluginValidator.callMilliseconds)
    return ToolCall(
      tool: tool, input: input, account: "user:validator", run: "validation",
      deadline: farebox_worker_steady_clock() + milliseconds * 1_000_000,
      outputLimit: outputLimit ?? Int(clamping: found.grants.outputBytes))
  }

  private static func bytes(_ input: JSON) -> [UInt8] {
    Array(input.serialized().utf8)
  }

  private static func isHarmful(_ status: Status) -> Bool {
    status == .pluginCrashed || status == .pluginDeadline || status == .pluginOutputLimit || status == .pluginBroken
  }
}

/// Inputs for a tool: by its schema, or by its signature where it is foreign.
private struct Inputs {
  private var generator: ValueGenerator?
  private let signature: Signature?
  private var random: SeededRandom

  init(_ tool: PluginTool, seed: UInt64) {
    // Each tool has numbers of its own, and a new tool does not change those of the others.
    let own = tool.name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    random = SeededRandom(seed: own)
    signature = tool.foreign?.signature
    generator = tool.inputSchema.map { ValueGenerator($0, seed: own) }
  }

  mutating func next() -> JSON? {
    if generator != nil { return generator?.next() }
    guard let signature else { return .object(JSONObject()) }
    return ForeignInputs.next(signature, &random)
  }
}
