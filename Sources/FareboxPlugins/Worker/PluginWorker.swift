internal import CFareboxPlugin
internal import CWorker
internal import FareboxCore
internal import Glibc

/// The worker's side: takes one plugin, puts the process into its place, and runs what the host asks for.
///
/// Whatever the plugin does to this process, the host believes nothing that comes out of it.
@safe
package final class PluginWorker {
  /// How a worker ends that the host or the kernel does not end.
  package enum ExitStatus: Int32 {
    case done = 0
    /// It was not started by a host.
    case usage = 2
    /// The host broke the protocol.
    case violation = 3
  }

  private let channel = Channel(Int32(FAREBOX_WORKER_SOCKET)) { Wire.fromHost($0) }
  private let page: UnsafeMutablePointer<UInt32>
  private var writer = WireWriter()
  private var plugin: (any LocalPlugin)?
  private var outputLimit: Int64 = 0
  private var request: UInt32 = 0
  /// The number that the lowest free descriptor must not reach.
  private var descriptorBound: Int32 = .max

  /// Runs until the host has no more to ask.
  package static func main() -> ExitStatus {
    guard let worker = PluginWorker() else { return .usage }
    return worker.serve()
  }

  private init?() {
    guard farebox_is_channel(Int32(FAREBOX_WORKER_SOCKET)) != 0,
      let memory = unsafe farebox_map_page(Int32(FAREBOX_WORKER_PAGE), 0)
    else { return nil }
    unsafe page = memory.assumingMemoryBound(to: UInt32.self)
    close(Int32(FAREBOX_WORKER_PAGE))
    farebox_close_others()
    // The host may be gone when something is sent; that is not worth a signal.
    signal(SIGPIPE, SIG_IGN)
    // It was for the start of this process, and is not among what the plugin was granted.
    unsafe unsetenv(PluginWorker.ownVariable)
    guard farebox_tie_to_lifeline() == 0 else { return nil }
  }

  /// The variable by which the host keeps the runtime of this library from writing reports of crashes.
  static let ownVariable = "SWIFT_BACKTRACE"

  private func serve() -> ExitStatus {
    while true {
      switch unsafe channel.receive(waits: true) {
      case .message(let kind, let request, let body):
        self.request = request
        guard unsafe handle(kind, body) else { return kind == .shutdown ? .done : .violation }
      case .ended: return .done
      case .nothing, .violation: return .violation
      }
    }
  }

  /// Does what a message asks for; false ends the worker.
  private func handle(_ kind: MessageKind, _ body: UnsafeRawBufferPointer) -> Bool {
    if kind == .load { return unsafe plugin == nil && load(body) }
    guard let plugin else { return false }
    switch kind {
    case .call: return unsafe call(plugin, body)
    case .initialise: return answer { () throws(Failure) in try plugin.initialise(config: unsafe text(body)) }
    case .activate: return answer { () throws(Failure) in try plugin.activate() }
    case .health: return answer { () throws(Failure) in try plugin.health() }
    case .configure: return answer { () throws(Failure) in try plugin.configure(unsafe text(body)) }
    case .deactivate: return answer { () throws(Failure) in plugin.deactivate() }
    case .shutdown:
      _ = answer { () throws(Failure) in plugin.shutdown() }
      return false
    case .load, .stored, .hello, .done, .get, .log, .full, .more: return false
    }
  }

  private func text(_ body: UnsafeRawBufferPointer) -> String {
    unsafe String(decoding: body, as: UTF8.self)
  }

  // MARK: Loading

  private func load(_ body: UnsafeRawBufferPointer) -> Bool {
    var reader = unsafe WireReader(body)
    guard let count = reader.integer(UInt32.self), let grants = unsafe reader.bytes(Int(count)) else { return false }
    let manifest = unsafe Array(reader.remainder())
    return answer { () throws(Failure) in
      let grants = try PluginPermissions.parse(JSON.parse(unsafe text(grants)), path: "grants", defaults: .none)
      let manifest = try PluginManifest.parse(manifest)
      let report = Sandbox.apply(grants)
      writer.reset()
      writer.text(report.json.serialized())
      send(.hello)
      if let missing = report.missing {
        throw Failure(.unsupported, "This kernel cannot keep a plugin in its place: there is no \(missing).")
      }
      outputLimit = grants.outputBytes
      descriptorBound = Int32(FAREBOX_WORKER_FIRST_FREE) + Int32(clamping: grants.descriptors * 3 / 4)
      plugin = try makePlugin(manifest, grants)
      close(Int32(FAREBOX_WORKER_IMAGE))
    }
  }

  private func makePlugin(
    _ manifest: PluginManifest, _ grants: PluginPermissions
  ) throws(Failure) -> any LocalPlugin {
    let channel = channel
    let logs: PluginLogs = { level, message in
      var writer = WireWriter()
      writer.integer(level.rawValue)
      writer.text(message)
      // What the host does not fetch in time is lost, so that no thread of the plugin ever waits for it.
      _ = channel.send(.log, 0, &writer) { false }
    }
    let image = Int32(FAREBOX_WORKER_IMAGE)
    switch manifest.kind {
    case .native: return try NativePlugin(image: image, manifest: manifest, grants: grants, logs: logs)
    case .foreign: return try ForeignPlugin(image: image, manifest: manifest)
    }
  }

  // MARK: Calls

  private func call(_ plugin: any LocalPlugin, _ body: UnsafeRawBufferPointer) -> Bool {
    var reader = unsafe WireReader(body)
    guard let deadline = reader.integer(Int64.self), let limit = reader.integer(Int64.self) else { return false }
    guard let tool = unsafe reader.text(), let account = unsafe reader.text(), let run = unsafe reader.text(),
      let id = unsafe reader.text()
    else { return false }
    var request = unsafe BorrowedCall(
      tool: tool, input: reader.remainder(), outputLimit: Int(clamping: min(limit, outputLimit)), cancelWord: page)
    unsafe request.account = farebox_plugin_str(account)
    unsafe request.run = farebox_plugin_str(run)
    unsafe request.call = farebox_plugin_str(id)
    unsafe request.deadline = deadline
    do throws(Failure) {
      // This object lives as long as the process, so that nobody minds who holds it.
      let whenFull: () -> Void = { self.notify() }
      try unsafe plugin.run(request, fetch: { self.fetch($0) }, whenFull: whenFull) { slot in
        writer.reset()
        Answer.write(
          &writer, status: .ok, wantsReplacement: hasTooManyDescriptors, usage: slot.usage, writes: slot.writes)
        unsafe send(.done, rest: slot.output.written)
      }
    } catch {
      refuse(error)
    }
    return true
  }

  /// Asks the host for a stored value.
  private func fetch(_ key: String) -> [UInt8]? {
    writer.reset()
    writer.text(key)
    send(.get)
    guard case .message(.stored, let answered, let body) = unsafe channel.receive(waits: true), answered == request,
      let isThere = unsafe body.first
    else { exit(.violation) }
    return isThere == 1 ? unsafe Array(body.dropFirst()) : nil
  }

  /// Tells the host that the output does not fit, because the plugin may not tell.
  private func notify() {
    writer.reset()
    send(.full)
  }

  private var hasTooManyDescriptors: Bool {
    let free = farebox_lowest_free_descriptor()
    return free < 0 || free >= descriptorBound
  }

  // MARK: Answers

  private func answer(_ body: () throws(Failure) -> Void) -> Bool {
    do throws(Failure) {
      try body()
    } catch {
      refuse(error)
      return true
    }
    writer.reset()
    Answer.write(&writer, status: .ok, wantsReplacement: false)
    send(.done)
    return true
  }

  private func refuse(_ failure: Failure) {
    writer.reset()
    Answer.write(&writer, status: Answer.allowed(failure.status), wantsReplacement: hasTooManyDescriptors)
    writer.text(Answer.cut(failure.message))
    send(.done)
  }

  private func send(_ kind: MessageKind) {
    unsafe send(kind, rest: UnsafeRawBufferPointer(start: nil, count: 0))
  }

  private func send(_ kind: MessageKind, rest: UnsafeRawBufferPointer) {
    let socket = channel.socket
    let sent = unsafe channel.send(kind, request, &writer, rest: rest) {
      farebox_wait_for(socket, 1, -1, farebox_worker_steady_clock() + 1_000_000_000) >= 0
    }
    // Without a host there is nobody to go on for.
    guard case .all = sent else { exit(.done) }
  }

  /// Ends the process without running what the plugin has left to be run at its end.
  private func exit(_ status: ExitStatus) -> Never {
    _exit(status.rawValue)
  }
}
