import FareboxCore
import Testing

@testable import FareboxPlugins

/// The table of Tests/Plugins: what a worker answers for each plugin and tool that misbehaves. No case may end this
/// process, or leave a worker that can still be used after it has crashed.
@Suite struct ContainmentTests {
  /// A worker looks at no outputs, because schemas and JSON are the caller's business, and no price is near.
  private static let callersBusiness: Set<String> = ["PLUGIN_OUTPUT", "OVERFLOW"]
  private static let names = ["good-1.0.0", "hostile", "foreign"]

  private static func isRight(_ status: Status, _ expected: [String]) -> Bool {
    expected.contains(status.name) || (status == .ok && !callersBusiness.isDisjoint(with: expected))
  }

  @Test(arguments: PluginFixtures.shared.all.filter { names.contains($0.name) })
  func tools(_ fixture: PluginFixtures.Fixture) throws {
    for tool in fixture.tools {
      let worker = try makeWorker(fixture.name)
      // What may run into its deadline does; for the rest a busy machine is given time.
      let seconds: Int64 = tool.expect.contains("PLUGIN_DEADLINE") ? 1 : 20
      let call = ToolCall(
        tool: tool.name, input: tool.input, deadline: steadyNow() + seconds * 500_000_000, outputLimit: 1 << 20)
      var outcome: ToolOutcome?
      let status = status { outcome = try worker.call(call) }
      #expect(ContainmentTests.isRight(status, tool.expect), "\(tool.name) gave \(status.name)")
      for member in tool.denied where outcome != nil {
        #expect(outcome?[member] != .int(0) && outcome?[member] != nil, "\(tool.name): \(member) was allowed")
      }
      if let outcome, let members = tool.output?.object?.members {
        for member in members { #expect(outcome[member.key] == member.value, "\(tool.name): \(member.key)") }
      }
      guard status == .pluginCrashed else { continue }
      #expect(!worker.isAlive)
      #expect(throws: Failure.self) { try worker.call(makeCall(tool.name)) }
    }
  }

  /// Fixtures whose files the verification refuses are its tests' business.
  private static let loadable = PluginFixtures.shared.all.filter { fixture in
    let refused: Set = ["PLUGIN_MANIFEST", "PLUGIN_UNTRUSTED", "PLUGIN_POLICY", "PLUGIN_INACTIVE", "PLUGIN_NOT_FOUND"]
    return refused.isDisjoint(with: fixture.expect["load"] ?? []) && fixture.name != "hostile"
  }

  @Test(arguments: loadable)
  func steps(_ fixture: PluginFixtures.Fixture) throws {
    let isHanging = fixture.name.hasSuffix("-hang")
    var brief = WorkerTimes()
    (brief.start, brief.health, brief.stop) = (400_000_000, 400_000_000, 200_000_000)
    var worker: WorkerProcess?
    let loaded = status {
      let plugin = try PluginFixtures.shared.verified(fixture)
      worker = try WorkerProcess(
        plugin, worker: PluginFixtures.worker, times: isHanging ? brief : WorkerTimes(),
        logs: { _, _ in })
      try worker?.initialise(config: "{}")
      try worker?.activate()
    }
    #expect(fixture.expect["load", default: ["OK"]].contains(loaded.name), "load gave \(loaded.name)")
    guard loaded == .ok, let worker else { return }
    let health = status { try worker.health() }
    #expect(fixture.expect["health", default: ["OK"]].contains(health.name), "health gave \(health.name)")
    guard worker.isAlive else { return }
    let configured = status { try worker.configure("{}") }
    let isConfigureRight = fixture.expect["configure", default: ["OK"]].contains(configured.name)
    #expect(isConfigureRight || configured == .unsupported, "configure gave \(configured.name)")
    worker.deactivate()
    worker.shutdown()
    #expect(!worker.isAlive)
  }
}
