import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

/// A worker with a fixture's plugin, active unless told otherwise.
func makeWorker(
  _ name: String, permissions: JSON = [:], logs: @escaping PluginLogs = { _, _ in }
) throws -> WorkerProcess {
  let fixtures = PluginFixtures.shared
  let plugin = try fixtures.verified(fixtures.fixture(name), permissions: permissions)
  let worker = try WorkerProcess(plugin, worker: PluginFixtures.worker, logs: logs)
  try worker.initialise(config: "{}")
  try worker.activate()
  return worker
}

/// A call with a deadline so many milliseconds from now.
func makeCall(
  _ tool: String, _ input: JSON = [:], milliseconds: Int64 = 10_000, outputLimit: Int = 1 << 20,
  stored: @escaping @Sendable (String) -> [UInt8]? = { _ in nil }, cancel: CancelFlag = CancelFlag()
) -> ToolCall {
  ToolCall(
    tool: tool, input: Array(input.serialized().utf8), account: "user:ana", run: "run-1", call: "call-1",
    deadline: steadyNow() + milliseconds * 1_000_000, outputLimit: outputLimit, stored: stored, cancel: cancel)
}

/// Nanoseconds of the clock that deadlines are in.
func steadyNow() -> Int64 {
  var now = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &now)
  return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}

/// The status with which a body fails, or OK.
func status(_ body: () throws -> Void) -> Status {
  do {
    try body()
    return .ok
  } catch let failure as Failure {
    return failure.status
  } catch {
    return .internal
  }
}

extension Status {
  /// The name in the table.
  var name: String { entry?.name ?? String(rawValue) }
}

extension ToolOutcome {
  /// The output as JSON; null where it is none.
  var json: JSON { (try? JSON.parse(output)) ?? .null }

  subscript(_ member: String) -> JSON? { json.object?[member] }
}
