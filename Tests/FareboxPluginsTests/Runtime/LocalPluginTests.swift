import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

/// Plugins in this process: the ones that behave, for nothing contains the others.
@Suite struct LocalPluginTests {
  private func plugin(_ name: String, logs: @escaping PluginLogs = { _, _ in }) throws -> NativePlugin {
    let verified = try PluginFixtures.shared.verified(PluginFixtures.shared.fixture(name))
    return try NativePlugin(
      image: verified.image.descriptor, manifest: verified.manifest, grants: verified.grants, logs: logs)
  }

  @Test func answersAsInAWorker() throws {
    let fixture = try PluginFixtures.shared.fixture("good-1.0.0")
    let plugin = try plugin(fixture.name)
    try plugin.initialise(config: "{}")
    try plugin.activate()
    for tool in fixture.tools {
      var outcome: ToolOutcome?
      let status = status {
        outcome = try plugin.call(
          ToolCall(tool: tool.name, input: tool.input, deadline: steadyNow() + 5_000_000_000, outputLimit: 1 << 20))
      }
      #expect(tool.expect.contains(status.name), "\(tool.name) gave \(status.name)")
      for member in tool.output?.object?.members ?? [] where outcome != nil {
        #expect(outcome?[member.key] == member.value, "\(tool.name): \(member.key)")
      }
    }
    plugin.deactivate()
    plugin.shutdown()
  }

  /// Descriptors are numbered again, and the dynamic linker remembers paths.
  @Test func loadsEachImageAnew() throws {
    for name in ["good-1.0.0", "good-1.1.0", "truth", "good-1.0.0"] {
      let plugin = try plugin(name)
      try plugin.initialise(config: "{}")
      try plugin.activate()
    }
  }

  @Test func allowsNoTransitionThatTheHeaderDoesNotDraw() throws {
    let plugin = try plugin("good-1.0.0")
    #expect(status { try plugin.activate() } == .pluginInactive)
    #expect(status { try plugin.call(makeCall("good.echo")) } == .pluginInactive)
    #expect(status { try plugin.initialise(config: #"{"greeting":"refuse"}"#) } == .pluginBroken)
    // After a failed init nothing else is called.
    #expect(status { try plugin.initialise(config: "{}") } == .pluginInactive)
  }

  @Test func refusesASecondCallerAtOnce() throws {
    let plugin = try plugin("good-1.0.0")
    try plugin.initialise(config: "{}")
    try plugin.activate()
    let cancel = CancelFlag()
    let first = Beside { _ = try? plugin.call(makeCall("good.sleep", ["ms": 300], cancel: cancel)) }
    var refusals = 0
    while refusals == 0 {
      if status({ try plugin.health() }) == .pluginUnavailable { refusals += 1 }
      sched_yield()
    }
    first.join()
    _ = try plugin.call(makeCall("good.echo"))
  }

  @Test func givesNothingAfterItsTime() throws {
    let plugin = try plugin("good-1.0.0")
    try plugin.initialise(config: "{}")
    try plugin.activate()
    #expect(status { try plugin.call(makeCall("good.echo", milliseconds: -1)) } == .pluginDeadline)
    let cancel = CancelFlag()
    cancel.cancel()
    #expect(status { try plugin.call(makeCall("good.echo", cancel: cancel)) } == .pluginCancelled)
    #expect(
      status { try plugin.call(makeCall("good.bytes", ["count": 300], outputLimit: 299)) } == .pluginOutputLimit)
    #expect(try plugin.call(makeCall("good.bytes", ["count": 300], outputLimit: 300)).output.count == 300)
  }
}

@Suite struct LogGateTests {
  @Test func cutsLongLinesBetweenCharacters() {
    let logs = LogCollector()
    let gate = LogGate(logs.sink)
    let text = Array((String(repeating: "x", count: Limits.pluginLogLine - 1) + "ü").utf8)
    unsafe text.withUnsafeBytes { unsafe gate.write(1, $0) }
    #expect(logs.lines.map(\.message.utf8.count) == [Limits.pluginLogLine - 1])
  }

  @Test func dropsAndCountsWhatIsTooMuch() {
    let logs = LogCollector()
    let gate = LogGate(logs.sink)
    for _ in 0..<Limits.pluginLogLines + 50 { unsafe gate.write(9, UnsafeRawBufferPointer(start: nil, count: 0)) }
    // A slow machine may have begun another second.
    #expect(logs.lines.count < Limits.pluginLogLines + 50)
    #expect(logs.lines.allSatisfy { $0.level == .warning })
    usleep(1_050_000)
    unsafe gate.write(1, UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(logs.lines.contains { $0.message.hasSuffix("were dropped.") })
  }
}
