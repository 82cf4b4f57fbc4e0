internal import CWorker
internal import Farebox
internal import FareboxCore
internal import Glibc

/// A worker's process as its host holds it: the process, this side of the channel, the shared page and the lifeline.
///
/// Only the process that started it ends it, waits for it and closes its descriptors; a child of a fork has them closed
/// at once, so that it keeps no worker alive.
@safe
final class WorkerChild: @unchecked Sendable {
  // Sound because all is constant but what `ending` locks.
  let socket: Int32
  /// What `CancelFlag` signals to the thread that waits.
  let event: Int32
  /// The shared word that asks the worker's call to stop.
  let cancelWord: UnsafeMutablePointer<UInt32>
  private let page: UnsafeMutableRawPointer
  private let lifeline: Int32
  private let process: Int32
  /// Its number, for those who look into /proc.
  var processID: Int32 { process }
  private let descriptor: Int32
  private let generation: UInt32
  private let ending = Lock<String?>(nil)

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - image: the descriptor of what the worker is to load.
  ///   - environment: `NAME=value`.
  /// - Throws: `pluginUnavailable`.
  init(program: String, image: Int32, environment: [String]) throws(Failure) {
    Reaper.sweep()
    var parts = SpawnParts()
    let started = parts.start(program, image, environment)
    parts.closeTheirs()
    guard started > 0, let page = unsafe farebox_map_page(parts.page, 1) else {
      parts.closeOurs()
      if started > 0 {
        farebox_kill_process(Int32(started), -1)
        Reaper.bury(Int32(started), -1)
      }
      let reason = unsafe String(cString: farebox_error_text(Int32(clamping: started > 0 ? 0 : -started)))
      throw Failure(.pluginUnavailable, "The worker '\(program)' cannot be started: \(reason).")
    }
    parts.closePage()
    unsafe self.page = page
    unsafe cancelWord = page.assumingMemoryBound(to: UInt32.self)
    socket = parts.socket.ours
    lifeline = parts.lifeline.ours
    event = parts.event
    process = Int32(started)
    descriptor = farebox_raise_descriptor(farebox_open_process(process))
    generation = HostDescriptors.generation
    HostDescriptors.add([socket, lifeline, event, descriptor])
  }

  deinit {
    if isOurs { end() }
    // Not before: until its caller has gone, somebody may cancel the call.
    HostDescriptors.close([event])
    unsafe farebox_unmap_page(page)
  }

  /// Whether this is the process that started the worker.
  var isOurs: Bool { HostDescriptors.generation == generation }

  /// Whether `end` has been called.
  var hasEnded: Bool { ending.withLock { $0 != nil } }

  /// Whether the process still runs.
  var isRunning: Bool {
    guard isOurs else { return false }
    return ending.withLock { ending in
      var found = farebox_ending()
      return unsafe ending == nil && farebox_look_at_process(process, descriptor, 0, &found) == 0
    }
  }

  /// Kills the process if it still runs, and gives back what the host holds of it.
  ///
  /// - Returns: how it ended, as the end of a sentence.
  @discardableResult
  func end(waiting nanoseconds: Int64 = 0) -> String {
    ending.withLock { ending in
      if let ending { return ending }
      let how = reaped(until: farebox_worker_steady_clock() + nanoseconds) ?? killAndWait()
      ending = how
      HostDescriptors.close([socket, lifeline])
      return how
    }
  }

  /// Kills the process and leaves the rest to whoever is waiting for it.
  func kill() {
    ending.withLock { if $0 == nil { farebox_kill_process(process, descriptor) } }
  }

  private func killAndWait() -> String {
    farebox_kill_process(process, descriptor)
    // A killed process is gone at once, unless it has much memory to give back.
    if reaped(until: farebox_worker_steady_clock() + WorkerTime.reaping) == nil {
      Reaper.bury(process, descriptor)
    }
    return "did not end by itself"
  }

  /// How the process has ended, or nil where it runs on until some time of the steady clock.
  private func reaped(until: Int64) -> String? {
    var ending = farebox_ending()
    guard unsafe farebox_await_process(process, descriptor, until, &ending) != 0 else { return nil }
    HostDescriptors.close([descriptor])
    guard ending.is_known != 0 else { return "ended, and something else in this process has taken its status" }
    guard ending.signal != 0 else { return "exited with status \(ending.status)" }
    guard let name = unsafe farebox_signal_name(ending.signal) else { return "was killed by signal \(ending.signal)" }
    return unsafe "was killed by SIG\(String(cString: name))"
  }
}
