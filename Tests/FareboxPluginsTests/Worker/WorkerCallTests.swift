import FareboxCore
import Glibc
import Synchronization
import Testing

@testable import FareboxPlugins

/// Calls of a worker that behaves, and of one that does not stop in time.
@Suite struct WorkerCallTests {
  @Test func carriesTextsUsageStoreAndLog() throws {
    let logs = LogCollector()
    let worker = try makeWorker("good-1.0.0", logs: logs.sink)
    let context = try worker.call(makeCall("good.context"))
    let said = String(decoding: context.output, as: UTF8.self)
    for text in ["user:ana", "run-1", "call-1"] { #expect(said.contains(text)) }

    let counted = try worker.call(makeCall("good.count", ["count": 12, "micro": 500_000]))
    #expect(counted.usage.map(\.meter) == [.units])
    #expect(counted.usage.map(\.micro) == [12_500_000])

    let tallied = try worker.call(
      makeCall("good.tally", ["key": "calls"], stored: { $0 == "calls" ? Array("41".utf8) : nil }))
    #expect(tallied["value"] == .int(42))
    #expect(tallied.writes.map(\.key) == ["calls"])
    #expect(tallied.writes.first?.value == Array("42".utf8))

    _ = try worker.call(makeCall("good.log", ["level": 2, "message": "look"]))
    #expect(logs.lines.contains { $0.level == .warning && $0.message == "look" })
  }

  @Test func carriesMessagesOfManyPackets() throws {
    let worker = try makeWorker("good-1.0.0")
    for count in [65_000, 65_520, 65_536, 131_040, 900_000] {
      let input: JSON = ["text": .string(String(repeating: "x", count: count))]
      let outcome = try worker.call(makeCall("good.echo", input))
      #expect(outcome.output == Array(input.serialized().utf8))
    }
  }

  @Test func givesTheConfigurationAndTakesAnother() throws {
    let plugin = try PluginFixtures.shared.verified(PluginFixtures.shared.fixture("good-1.0.0"))
    let worker = try WorkerProcess(plugin, worker: PluginFixtures.worker, logs: { _, _ in })
    try worker.initialise(config: #"{"greeting":"hello"}"#)
    try worker.activate()
    #expect(try worker.call(makeCall("good.config")).json == ["greeting": "hello"])
    #expect(throws: Failure.self) { try worker.configure(#"{"greeting":"refuse"}"#) }
    #expect(try worker.call(makeCall("good.config")).json == ["greeting": "hello"])
    try worker.configure(#"{"greeting":"servus"}"#)
    #expect(try worker.call(makeCall("good.config")).json == ["greeting": "servus"])
  }

  @Test func allowsNoTransitionThatTheHeaderDoesNotDraw() throws {
    let plugin = try PluginFixtures.shared.verified(PluginFixtures.shared.fixture("good-1.0.0"))
    let worker = try WorkerProcess(plugin, worker: PluginFixtures.worker, logs: { _, _ in })
    #expect(status { try worker.activate() } == .pluginInactive)
    #expect(status { try worker.call(makeCall("good.echo")) } == .pluginInactive)
    try worker.initialise(config: "{}")
    #expect(status { try worker.initialise(config: "{}") } == .pluginInactive)
    #expect(status { try worker.health() } == .pluginInactive)
    try worker.activate()
    worker.shutdown()
    #expect(worker.isAlive)
    worker.deactivate()
    try worker.activate()
    #expect(try worker.call(makeCall("good.add", ["a": 2, "b": 40]))["sum"] == .int(42))
    worker.deactivate()
    worker.shutdown()
    #expect(!worker.isAlive)
    #expect(status { try worker.activate() } == .pluginInactive)
  }

  @Test func refusesASecondCallerAtOnce() throws {
    let worker = try makeWorker("good-1.0.0")
    let first = Beside { _ = try? worker.call(makeCall("good.sleep", ["ms": 400])) }
    while worker.state.enter(.active) {
      worker.state.leave(.active)
      sched_yield()
    }
    #expect(status { try worker.call(makeCall("good.echo")) } == .pluginUnavailable)
    first.join()
    _ = try worker.call(makeCall("good.echo"))
  }

  @Test func endsACallThatPassesItsDeadline() throws {
    let worker = try makeWorker("hostile")
    let call = makeCall("hostile.loop", milliseconds: 200)
    #expect(status { try worker.call(call) } == .pluginDeadline)
    #expect(steadyNow() >= call.deadline)
    #expect(!worker.isAlive)
  }

  @Test func asksAPluginToStopBeforeItsDeadline() throws {
    let worker = try makeWorker("hostile")
    #expect(status { try worker.call(makeCall("hostile.loop_until_cancelled", milliseconds: 300)) } == .pluginDeadline)
    #expect(worker.isAlive)
    _ = try worker.call(makeCall("hostile.bytes_any"))
  }

  @Test(arguments: [("hostile.loop_until_cancelled", true), ("hostile.loop", false)])
  func cancelsFromAnotherThread(_ tool: String, _ survives: Bool) throws {
    let worker = try makeWorker("hostile")
    let cancel = CancelFlag()
    let other = Beside {
      usleep(50_000)
      cancel.cancel()
    }
    #expect(status { try worker.call(makeCall(tool, milliseconds: 60_000, cancel: cancel)) } == .pluginCancelled)
    other.join()
    #expect(worker.isAlive == survives)
    let again = status { try worker.call(makeCall(tool, cancel: cancel)) }
    #expect(again == (survives ? .pluginCancelled : .pluginInactive))
    if survives { _ = try worker.call(makeCall("hostile.bytes_any")) }
  }

  @Test func saysHowAProcessEnded() throws {
    for (tool, how) in [
      ("hostile.segfault", "SIGSEGV"), ("hostile.trap", "SIGILL"), ("hostile.abort", "SIGABRT"),
      ("hostile.exit", "status 0"),
    ] {
      let worker = try makeWorker("hostile")
      do throws(Failure) {
        _ = try worker.call(makeCall(tool))
        Issue.record("\(tool) came back")
      } catch {
        let failure = error
        #expect(failure.status == .pluginCrashed)
        #expect(failure.message.contains(how), "\(failure.message)")
      }
    }
  }

  @Test func endsWhenTheHostSaysSo() throws {
    let worker = try makeWorker("hostile")
    let other = Beside {
      usleep(50_000)
      worker.terminate()
    }
    #expect(status { try worker.call(makeCall("hostile.loop", milliseconds: 60_000)) } == .pluginCrashed)
    other.join()
    #expect(!worker.isAlive)
  }

  @Test func asksToBeReplacedWhenDescriptorsAreLeftOpen() throws {
    let worker = try makeWorker("hostile")
    for _ in 0..<4 {
      _ = try worker.call(makeCall("hostile.leak_descriptors", ["count": 10]))
      #expect(!worker.wantsReplacement)
    }
    for _ in 0..<2 { _ = try worker.call(makeCall("hostile.leak_descriptors", ["count": 10])) }
    #expect(worker.wantsReplacement)
  }

  @Test func countsDroppedLines() throws {
    let logs = LogCollector()
    let worker = try makeWorker("hostile", logs: logs.sink)
    _ = try worker.call(makeCall("hostile.flood_logs", ["count": 5_000]))
    #expect(logs.lines.count <= 3 * Limits.pluginLogLines)
    #expect(logs.lines.allSatisfy { $0.message.utf8.count <= Limits.pluginLogLine })
  }

  @Test func refusesInputsThatAreTooLong() throws {
    let worker = try makeWorker("good-1.0.0")
    let call = ToolCall(
      tool: "good.echo", input: [UInt8](repeating: 0x20, count: Limits.jsonBytes + 1),
      deadline: steadyNow() + 5_000_000_000, outputLimit: 1 << 20)
    #expect(status { try worker.call(call) } == .tooLong)
    _ = try worker.call(makeCall("good.echo"))
  }
}

/// A thread that runs a body beside the test.
final class Beside {
  private let thread: Mutex<pthread_t>

  init(_ body: @escaping @Sendable () -> Void) {
    let argument = unsafe Unmanaged.passRetained(Start(body)).toOpaque()
    var made = pthread_t()
    unsafe pthread_create(
      &made, nil,
      { argument in
        if let argument = unsafe argument { unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, argument)
    thread = Mutex(made)
  }

  private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  func join() {
    thread.withLock { _ = pthread_join($0, nil) }
  }
}
