import FareboxCore
import Testing

@testable import FareboxPlugins

/// The table of Tests/Plugins: what a worker answers for each plugin and tool that misbehaves. No case may end this
/// process, or leave a worker that can still be used after it has crashed.
@Suite struct ContainmentTests {
  /// Tools that the worker leaves to others: it does not look at outputs, because schemas and JSON are the caller's
  /// business.
  private static let looksRightHere: Set<String> = ["PLUGIN_OUTPUT"]

  @Test(arguments: PluginFixtures.shared.all.filter { $0.name == "hostile" }.flatMap(\.tools))
  func hostileTool(_ tool: PluginFixtures.Tool) throws {
    // Its parent is this process, and it may succeed only where nothing stops it.
    let worker = try makeWorker("hostile")
    let call = ToolCall(
      tool: tool.name, input: tool.input, deadline: steadyNow() + 1_500_000_000, outputLimit: 1 << 20)
    var outcome: ToolOutcome?
    let status = status { outcome = try worker.call(call) }
    let allowed = Set(tool.expect).union(
      ContainmentTests.looksRightHere.isDisjoint(with: tool.expect) ? [] : ["OK"])
    #expect(allowed.contains(status.name), "\(tool.name) gave \(status.name)")
    for member in tool.denied where outcome != nil {
      #expect(outcome?[member] != .int(0) && outcome?[member] != nil, "\(tool.name): \(member) was allowed")
    }
    if status == .pluginCrashed || status == .pluginDeadline && !worker.isAlive {
      #expect(!worker.isAlive)
      #expect(throws: Failure.self) { try worker.call(makeCall(tool.name)) }
    }
  }
}
