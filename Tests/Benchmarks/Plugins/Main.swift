internal import FareboxCore
internal import FareboxPlugins
internal import Glibc

/// Calls of a plugin, without a ledger and without the checks of its schemas: in this process and in a worker.
///
///     farebox-plugin-bench --manifest FILE --worker FILE [--rounds N]
///
/// Prints `in_process_ns`, a call on borrowed bytes; `in_process_copy_ns`, one that copies in and out; `worker_rate`,
/// calls of a worker a second; `worker_us`, the same as a time; `start_us`, from nothing to a worker that is active.
@main
enum PluginBenchmark {
  private static let input = Array(#"{"text":"abc"}"#.utf8)

  static func main() throws {
    var options: [String: String] = [:]
    for index in stride(from: 1, to: CommandLine.arguments.count - 1, by: 2) {
      options[CommandLine.arguments[index]] = CommandLine.arguments[index + 1]
    }
    guard let manifest = options["--manifest"], let program = options["--worker"] else {
      print("usage: farebox-plugin-bench --manifest FILE --worker FILE [--rounds N]")
      exit(2)
    }
    let rounds = options["--rounds"].flatMap(Int.init) ?? 1_000_000
    let folder = manifest.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
    let policy: JSON = ["directories": [.string(folder)], "trust": "unsigned"]
    let plugin = try Verification.verify(
      manifestAt: manifest, under: PluginPolicy.parse(Array(policy.serialized().utf8)))
    let local = try NativePlugin(
      image: plugin.image.descriptor, manifest: plugin.manifest, grants: plugin.grants, logs: { _, _ in })
    try local.initialise(config: "{}")
    try local.activate()
    try inProcess(local, rounds)
    try worker(plugin, program, rounds / 10)
  }

  private static func inProcess(_ plugin: NativePlugin, _ rounds: Int) throws {
    let cancel = CancelFlag()
    let tool = Array("echo".utf8)
    let start = now()
    var failures = 0
    unsafe input.withUnsafeBytes { input in
      unsafe tool.withUnsafeBytes { tool in
        let request = unsafe BorrowedCall(tool: tool, input: input, outputLimit: 1 << 20, cancelWord: cancel.word)
        for _ in 0..<rounds {
          do throws(Failure) {
            let count = try unsafe plugin.run(request, fetch: nil, whenFull: nil) { unsafe $0.output.written.count }
            if count != input.count { failures += 1 }
          } catch {
            failures += 1
          }
        }
      }
    }
    report("in_process_ns", Double(now() - start) / Double(rounds), failures)
    let copied = now()
    for _ in 0..<rounds / 4 {
      let call = ToolCall(tool: "echo", input: input, deadline: now() + 1_000_000_000, outputLimit: 1 << 20)
      if try plugin.call(call).output.count != input.count { failures += 1 }
    }
    report("in_process_copy_ns", Double(now() - copied) / Double(rounds / 4), failures)
  }

  private static func worker(_ plugin: VerifiedPlugin, _ program: String, _ rounds: Int) throws {
    let starting = now()
    let worker = try WorkerProcess(plugin, worker: program, logs: { _, _ in })
    try worker.initialise(config: "{}")
    try worker.activate()
    report("start_us", Double(now() - starting) / 1_000, 0)
    var failures = 0
    let start = now()
    for _ in 0..<rounds {
      let call = ToolCall(tool: "echo", input: input, deadline: now() + 1_000_000_000, outputLimit: 1 << 20)
      if try worker.call(call).output.count != input.count { failures += 1 }
    }
    let elapsed = Double(now() - start)
    report("worker_rate", Double(rounds) / elapsed * 1e9, failures)
    report("worker_us", elapsed / Double(rounds) / 1_000, failures)
    worker.deactivate()
    worker.shutdown()
  }

  private static func report(_ name: String, _ value: Double, _ failures: Int) {
    guard failures == 0 else {
      print("\(failures) calls failed")
      exit(1)
    }
    print(name, value)
  }

  private static func now() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
