internal import Farebox
internal import FareboxCore

/// The tool calls that are under way, by the ids that their callers gave them, so that another thread can cancel one.
final class CancelFlags: Sendable {
  /// Those without an id are together under the empty one.
  private let flags = Lock<[String: [CancelFlag]]>([:])

  /// Runs a call that can be cancelled while it runs: by its id, if it has one, and with all others.
  func with<Result>(_ call: String, _ body: (CancelFlag) throws(Failure) -> Result) throws(Failure) -> Result {
    let flag = CancelFlag()
    flags.withLock { $0[call, default: []].append(flag) }
    defer {
      flags.withLock { flags in
        flags[call]?.removeAll { $0 === flag }
        if flags[call]?.isEmpty == true { flags[call] = nil }
      }
    }
    return try body(flag)
  }

  /// Cancels the calls of an id; returns how many there were.
  func cancel(_ call: String) -> Int {
    guard !call.isEmpty else { return 0 }
    let found = flags.withLock { $0[call] ?? [] }
    for flag in found { flag.cancel() }
    return found.count
  }

  /// Cancels all calls.
  func cancelAll() {
    let found = flags.withLock { $0.values.flatMap { $0 } }
    for flag in found { flag.cancel() }
  }
}
