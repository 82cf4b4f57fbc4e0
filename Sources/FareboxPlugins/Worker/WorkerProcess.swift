internal import CWorker
internal import Farebox
package import FareboxCore
internal import Glibc

/// How long the parts of a worker's life may take, in nanoseconds.
package struct WorkerTimes: Sendable {
  /// Each step of a start, and a new configuration.
  package var start: Int64 = 10_000_000_000
  package var health: Int64 = 2_000_000_000
  /// What a worker is given to end by itself.
  package var stop: Int64 = 500_000_000

  package init() {}
}

/// What a worker that has to end is given, in nanoseconds.
enum WorkerTime {
  /// Between asking a call to stop, because it was cancelled or wrote too much, and ending its process.
  static let grace: Int64 = 100_000_000
  /// For a process that has closed its channel to say how it ended, and for one that was killed to be gone.
  static let reaping: Int64 = 20_000_000
}

/// A plugin in a process of its own, as the host holds it.
///
/// Nothing that the worker says is believed: what does not follow the protocol to the letter ends it. So does a crash, a
/// deadline that has passed, and an output without end; after that every method throws, and `isAlive` is false.
@safe
package final class WorkerProcess: PluginInstance, @unchecked Sendable {
  // Sound because whoever uses the rest has entered `state`.
  let child: WorkerChild
  /// What keeps the worker in its place.
  package private(set) var sandbox = SandboxReport()
  /// Whether the worker asks to be replaced, because it has too many descriptors open.
  package private(set) var wantsReplacement = false
  let channel: Channel
  let state = InstanceState()
  let measured: [String: MeterSet]
  let grants: PluginPermissions
  private let gate: LogGate
  private let times: WorkerTimes
  private let limits: OutputLimit
  var writer = WireWriter()
  private var request: UInt32 = 0

  /// How many bytes an answer's output may have now.
  final class OutputLimit: Sendable {
    private let bytes = Lock(0)
    var value: Int {
      get { bytes.withLock { $0 } }
      set { bytes.withLock { $0 = newValue } }
    }
  }

  /// Starts a worker and has it load a plugin that was verified.
  ///
  /// - Parameter worker: the path of the program farebox-worker.
  /// - Throws: `pluginUnavailable` where it cannot be started, `unsupported` where the kernel cannot keep it in its place,
  ///   `pluginABI`, `pluginBroken`, `pluginCrashed`, `pluginDeadline`.
  package convenience init(
    _ plugin: VerifiedPlugin, worker: String, times: WorkerTimes = WorkerTimes(), logs: @escaping PluginLogs
  ) throws(Failure) {
    try self.init(
      manifest: plugin.manifest, image: plugin.image.descriptor, grants: plugin.grants, worker: worker, times: times,
      logs: logs)
  }

  init(
    manifest: PluginManifest, image: Int32, grants: PluginPermissions, worker: String,
    times: WorkerTimes = WorkerTimes(), logs: @escaping PluginLogs
  ) throws(Failure) {
    let limits = OutputLimit()
    self.limits = limits
    self.grants = grants
    self.times = times
    gate = LogGate(logs)
    measured = Dictionary(manifest.tools.map { ($0.name, $0.measured) }, uniquingKeysWith: { first, _ in first })
    child = try WorkerChild(program: worker, image: image, environment: WorkerProcess.environment(grants))
    channel = Channel(child.socket) { Wire.fromWorker($0, output: limits.value) }
    let json = Array(grants.json.serialized().utf8)
    writer.integer(UInt32(json.count))
    writer.text(grants.json.serialized())
    writer.text(manifest.json.serialized())
    do throws(Failure) {
      try exchange(.load, until: farebox_worker_steady_clock() + times.start)
    } catch {
      child.end()
      state.leave(.ended)
      throw error
    }
  }

  /// The variables that are granted and set, and one for the start of the program.
  private static func environment(_ grants: PluginPermissions) -> [String] {
    let granted = grants.environment.compactMap { name -> String? in
      guard let value = unsafe getenv(name) else { return nil }
      return unsafe "\(name)=\(String(cString: value))"
    }
    return granted + ["\(PluginWorker.ownVariable)=enable=no"]
  }

  /// Whether the worker can still be asked.
  package var isAlive: Bool { state.current != .ended && child.isRunning }

  package var isUsable: Bool { isAlive && !wantsReplacement }
  package var processID: Int32? { isAlive ? child.processID : nil }

  /// Bytes of memory that the process has now, or nil where nobody says.
  var residentBytes: Int64? {
    guard let processID, let folder = try? PlainFile.folder("/proc/\(processID)"),
      let bytes = try? PlainFile.read("statm", in: folder, "statm", limit: 1_024)
    else { return nil }
    let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    return words.count > 1 ? Int64(words[1]).map { $0 * Int64(sysconf(Int32(_SC_PAGESIZE))) } : nil
  }

  /// Ends the process at once, whatever it is doing; a call that is under way throws `pluginCrashed`.
  package func terminate() {
    guard child.isOurs else { return }
    child.kill()
  }

  // MARK: Life

  package func initialise(config: String) throws(Failure) {
    try pass(from: .loaded, to: .initialised, failed: .ended) { () throws(Failure) in
      writer.text(config)
      try exchange(.initialise, until: farebox_worker_steady_clock() + times.start)
    }
  }

  package func activate() throws(Failure) {
    try pass(from: .initialised, to: .active, failed: .initialised) { () throws(Failure) in
      try exchange(.activate, until: farebox_worker_steady_clock() + times.start)
    }
  }

  package func health() throws(Failure) {
    try pass(from: .active, to: .active, failed: .active) { () throws(Failure) in
      try exchange(.health, until: farebox_worker_steady_clock() + times.health)
    }
  }

  package func configure(_ config: String) throws(Failure) {
    try pass(from: .active, to: .active, failed: .active) { () throws(Failure) in
      writer.text(config)
      try exchange(.configure, until: farebox_worker_steady_clock() + times.start)
    }
  }

  package func deactivate() {
    try? pass(from: .active, to: .initialised, failed: .initialised) { () throws(Failure) in
      try exchange(.deactivate, until: farebox_worker_steady_clock() + times.stop)
    }
  }

  /// Has the plugin shut down, and ends the process whether it did or not.
  package func shutdown() {
    guard child.isOurs, state.enter(.initialised) else { return }
    writer.reset()
    try? exchange(.shutdown, until: farebox_worker_steady_clock() + times.stop)
    child.end(waiting: times.stop)
    state.leave(.ended)
  }

  package func call(_ call: ToolCall) throws(Failure) -> ToolOutcome {
    try pass(from: .active, to: .active, failed: .active) { () throws(Failure) in
      var running = WorkerCall(self, call)
      return try running.run()
    }
  }

  /// Runs a body in a state; a worker that has died in it is in none any more.
  private func pass<Result>(
    from: InstanceState.State, to: InstanceState.State, failed: InstanceState.State,
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard child.isOurs else {
      throw Failure(.forked, "The plugin's process belongs to the parent of this process.")
    }
    guard state.enter(from) else { throw state.refusal(from) }
    writer.reset()
    do throws(Failure) {
      let result = try body()
      state.leave(to)
      return result
    } catch {
      if failed == .ended { child.end() }
      state.leave(child.hasEnded ? .ended : failed)
      throw error
    }
  }

  // MARK: Requests

  /// Sends what the writer has and waits for the answer.
  private func exchange(_ kind: MessageKind, until: Int64) throws(Failure) {
    let request = nextRequest(outputLimit: 0)
    try send(kind, request, until: until)
    while true {
      // A worker that sends without end must not keep its caller.
      guard farebox_wait_for(child.socket, 0, -1, until) > 0, farebox_worker_steady_clock() < until else {
        throw late(kind)
      }
      switch unsafe channel.receive(waits: false) {
      case .message(.hello, request, let body) where kind == .load: try unsafe greet(body)
      case .message(.log, _, let body): try unsafe log(body)
      case .message(.done, request, let body): return try unsafe finish(body)
      case .message: throw crash("sent a message out of turn")
      case .nothing: continue
      case .ended: throw crash()
      case .violation(let what): throw crash("sent \(what)")
      }
    }
  }

  /// The number of a new request, whose answer may have so much output.
  func nextRequest(outputLimit: Int) -> UInt32 {
    limits.value = outputLimit
    request &+= 1
    return request
  }

  /// Sends a request that has no rest.
  func send(_ kind: MessageKind, _ request: UInt32, until: Int64) throws(Failure) {
    let socket = child.socket
    let sent = channel.send(kind, request, &writer) { farebox_wait_for(socket, 1, -1, until) > 0 }
    switch sent {
    case .all: return
    case .full: throw late(kind)
    case .ended: throw crash()
    }
  }

  private func greet(_ body: UnsafeRawBufferPointer) throws(Failure) {
    guard let json = try? JSON.parse(unsafe Array(body)), let report = SandboxReport(json) else {
      throw crash("said hello in other words than ours")
    }
    sandbox = report
  }

  private func finish(_ body: UnsafeRawBufferPointer) throws(Failure) {
    var reader = unsafe WireReader(body)
    guard let front = Answer.front(&reader, measured: .all, storeIsGranted: false) else {
      throw crash("sent an answer that is none")
    }
    if let failure = try failure(front, &reader) { throw failure }
    guard reader.count == 0 else { throw crash("sent an answer that is none") }
  }

  /// The failure that an answer is, or nil.
  func failure(_ front: Answer.Front, _ reader: inout WireReader) throws(Failure) -> Failure? {
    if front.wantsReplacement { wantsReplacement = true }
    guard let status = front.failure else { return nil }
    guard reader.count <= Wire.sentence else { throw crash("sent an answer that is none") }
    return Failure(status, unsafe String(decoding: reader.remainder(), as: UTF8.self))
  }

  /// Takes a line of the plugin's log.
  func log(_ body: UnsafeRawBufferPointer) throws(Failure) {
    var reader = unsafe WireReader(body)
    guard let level = reader.integer(Int32.self) else { throw crash("sent a line of log without a level") }
    unsafe gate.write(level, reader.remainder())
  }

  // MARK: Ends

  /// Ends a worker that has broken the protocol or closed its channel, and says so.
  func crash(_ misdeed: String? = nil) -> Failure {
    let how = child.end(waiting: misdeed == nil ? WorkerTime.grace : 0)
    guard let misdeed else { return Failure(.pluginCrashed, "The plugin's process \(how).") }
    return Failure(.pluginCrashed, "The plugin's process \(misdeed), and was ended.")
  }

  private func late(_ kind: MessageKind) -> Failure {
    child.end()
    return Failure(.pluginDeadline, "The plugin did not \(kind) in time, and its process was ended.")
  }
}
