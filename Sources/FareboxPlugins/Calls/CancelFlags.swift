internal import Farebox
internal import FareboxCore

/// The tool calls that are under way, by the ids that their callers gave them, or else their idempotency keys, so that
/// another thread can cancel one.
final class CancelFlags: Sendable {
  private struct Entry: Sendable {
    let flag: CancelFlag
    let payer: String
    let run: String
  }

  private let entries = Lock<[String: [Entry]]>([:])

  /// Runs a call that can be cancelled while it runs: by its id, if it has one, and with all others.
  func with<Result>(
    _ call: String, payer: String, run: String, _ body: (CancelFlag) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let flag = CancelFlag()
    entries.withLock { $0[call, default: []].append(Entry(flag: flag, payer: payer, run: run)) }
    defer {
      entries.withLock { entries in
        entries[call]?.removeAll { $0.flag === flag }
        if entries[call]?.isEmpty == true { entries[call] = nil }
      }
    }
    return try body(flag)
  }

  /// Cancels the calls of an id, all of them or those of one payer or run; returns how many there were.
  ///
  /// Two agents may well count their calls alike.
  func cancel(_ call: String, payer: String? = nil, run: String? = nil) -> Int {
    let found = entries.withLock { call.isEmpty ? [] : $0[call] ?? [] }.filter { entry in
      (payer == nil || entry.payer == payer) && (run == nil || entry.run == run)
    }
    for entry in found { entry.flag.cancel() }
    return found.count
  }

  /// Cancels all calls, those without an id too.
  func cancelAll() {
    let found = entries.withLock { $0.values.flatMap { $0 } }
    for entry in found { entry.flag.cancel() }
  }
}
