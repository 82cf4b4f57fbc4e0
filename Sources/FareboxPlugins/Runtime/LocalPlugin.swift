internal import CFareboxPlugin
internal import CWorker
internal import FareboxCore

/// A plugin whose code is in this process, whether that is the host's or a worker's.
protocol LocalPlugin: PluginInstance {
  /// Runs a tool on what is borrowed, and lends what it gave.
  ///
  /// - Parameters:
  ///   - fetch: gives the plugin's stored value of a key.
  ///   - whenFull: runs as soon as the output does not fit.
  ///   - body: takes the slot of a call that succeeded, which nobody else uses until it returns.
  /// - Throws: why the call did not succeed.
  func run<Result>(
    _ request: borrowing BorrowedCall, fetch: ((String) -> [UInt8]?)?, whenFull: (() -> Void)?,
    _ body: (CallSlot) -> Result
  ) throws(Failure) -> Result
}

extension LocalPlugin {
  package var isUsable: Bool { true }
  package var processID: Int32? { nil }

  package func call(_ call: ToolCall) throws(Failure) -> ToolOutcome {
    let now = farebox_worker_steady_clock()
    guard !call.cancel.isCancelled else { throw Failure(.pluginCancelled, "The call was cancelled.") }
    guard now < call.deadline else { throw CallTime.passed }
    let outcome: ToolOutcome
    do throws(Failure) {
      outcome = try lend(call, now: now)
    } catch {
      throw CallTime.explain(error, call, now: farebox_worker_steady_clock(), began: now)
    }
    // Nobody could stop it, but nobody pays for it either.
    guard farebox_worker_steady_clock() < call.deadline else { throw CallTime.passed }
    return outcome
  }

  private func lend(_ call: ToolCall, now: Int64) throws(Failure) -> ToolOutcome {
    let texts = [call.tool, call.account, call.run, call.call].map { Array($0.utf8) }
    let result: Swift.Result<ToolOutcome, Failure> = unsafe call.input.withUnsafeBytes { input in
      unsafe texts[0].withUnsafeBytes { tool in
        unsafe texts[1].withUnsafeBytes { account in
          unsafe texts[2].withUnsafeBytes { run in
            unsafe texts[3].withUnsafeBytes { id in
              var request = unsafe BorrowedCall(
                tool: tool, input: input, outputLimit: call.outputLimit, cancelWord: call.cancel.word)
              unsafe request.account = farebox_plugin_str(account)
              unsafe request.run = farebox_plugin_str(run)
              unsafe request.call = farebox_plugin_str(id)
              unsafe request.deadline = call.deadline
              unsafe request.softDeadline = call.deadline - CallTime.notice(from: now, to: call.deadline)
              do throws(Failure) {
                return .success(
                  try unsafe self.run(request, fetch: call.stored, whenFull: nil) { slot in
                    ToolOutcome(output: slot.outputBytes, usage: slot.usage, writes: slot.writes)
                  })
              } catch {
                return .failure(error)
              }
            }
          }
        }
      }
    }
    return try result.get()
  }
}

/// What a call's deadline means.
enum CallTime {
  static let passed = Failure(.pluginDeadline, "The call did not end by its deadline.")

  /// How long before the deadline a plugin is asked to stop: a quarter of the time, and no more than 50 milliseconds.
  static func notice(from now: Int64, to deadline: Int64) -> Int64 {
    min(max(deadline - now, 0) / 4, 50_000_000)
  }

  /// Says why a plugin that stopped on request was asked to.
  static func explain(_ failure: Failure, _ call: ToolCall, now: Int64, began: Int64) -> Failure {
    guard failure.status == .pluginCancelled else { return failure }
    if call.cancel.isCancelled { return failure }
    guard now >= call.deadline - notice(from: began, to: call.deadline) else {
      return Failure(.pluginFailed, "The plugin says that it was cancelled, and nobody asked it to stop.")
    }
    return passed
  }
}

extension CallSlot {
  /// A copy of what the tool has written.
  var outputBytes: [UInt8] { unsafe Array(output.written) }
}
