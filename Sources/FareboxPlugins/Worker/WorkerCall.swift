internal import CWorker
internal import FareboxCore

/// One call of a tool in a worker, on the caller's thread: from its request to its answer, or to the end of the worker.
struct WorkerCall: ~Copyable {
  private let worker: WorkerProcess
  private let call: ToolCall
  private let began = farebox_worker_steady_clock()
  private let outputLimit: Int
  private let request: UInt32
  /// When the worker is ended.
  private var hardDeadline: Int64
  /// When the plugin is asked to stop.
  private let softDeadline: Int64
  private var isAsked = false
  /// Why it has been asked or will be ended, when it is not the deadline.
  private var cause: Failure?

  init(_ worker: WorkerProcess, _ call: ToolCall) {
    self.worker = worker
    self.call = call
    outputLimit = min(call.outputLimit, Int(clamping: worker.grants.outputBytes))
    request = worker.nextRequest(outputLimit: outputLimit)
    hardDeadline = call.deadline
    softDeadline = call.deadline - CallTime.notice(from: began, to: call.deadline)
  }

  /// Sends the request and waits for its end.
  mutating func run() throws(Failure) -> ToolOutcome {
    guard !call.cancel.isCancelled else { throw WorkerCall.cancelled }
    guard began < call.deadline else { throw CallTime.passed }
    unsafe farebox_word_store(worker.child.cancelWord, 0)
    try send()
    call.cancel.beginWaiting(worker.child.event)
    defer { call.cancel.endWaiting(worker.child.event) }
    while true {
      try wait()
      if let outcome = try receive() { return outcome }
    }
  }

  private func send() throws(Failure) {
    worker.writer.integer(call.deadline)
    worker.writer.integer(Int64(outputLimit))
    for text in [call.tool, call.account, call.run, call.call] {
      worker.writer.integer(UInt32(text.utf8.count))
      worker.writer.text(text)
    }
    guard call.input.count <= Limits.jsonBytes, worker.writer.bytes.count <= 32 << 10 else {
      throw Failure(.tooLong, field: "input", "A call's input has at most \(Limits.jsonBytes) bytes.")
    }
    let socket = worker.child.socket
    let deadline = hardDeadline
    let sent = unsafe call.input.withUnsafeBytes { input in
      unsafe worker.channel.send(.call, request, &worker.writer, rest: input) {
        farebox_wait_for(socket, 1, -1, deadline) > 0
      }
    }
    switch sent {
    case .all: return
    case .full: throw end()
    case .ended: throw worker.crash()
    }
  }

  /// Waits until something has come; asks the plugin to stop and ends it when it is time.
  private mutating func wait() throws(Failure) {
    while true {
      let found = farebox_wait_for(
        worker.child.socket, 0, isAsked ? -1 : worker.child.event, isAsked ? hardDeadline : softDeadline)
      if found & 2 != 0 || (found == 0 && !isAsked) {
        ask(found == 0 ? nil : WorkerCall.cancelled)
        continue
      }
      // A worker that sends without end must not keep its caller.
      guard found & 1 != 0, !isAsked || farebox_worker_steady_clock() < hardDeadline else { throw end() }
      return
    }
  }

  /// Asks the plugin to stop; without a reason, because its deadline is near.
  private mutating func ask(_ reason: Failure?) {
    isAsked = true
    unsafe farebox_word_store(worker.child.cancelWord, 1)
    guard let reason else { return }
    cause = reason
    hardDeadline = min(hardDeadline, farebox_worker_steady_clock() + WorkerTime.grace)
  }

  /// Takes one message; an outcome is the end of the call.
  private mutating func receive() throws(Failure) -> ToolOutcome? {
    let request = request
    switch unsafe worker.channel.receive(waits: false) {
    case .message(.done, request, let body): return try unsafe finish(body)
    case .message(.log, _, let body): try unsafe worker.log(body)
    case .message(.get, request, let body): try unsafe answer(body)
    case .message(.full, request, _): ask(outputIsFull)
    case .message: throw worker.crash("sent a message out of turn")
    case .nothing: break
    case .ended: throw worker.crash()
    case .violation(let what): throw worker.crash("sent \(what)")
    }
    return nil
  }

  private func finish(_ body: UnsafeRawBufferPointer) throws(Failure) -> ToolOutcome {
    var reader = unsafe WireReader(body)
    guard
      let front = Answer.front(
        &reader, measured: worker.measured[call.tool] ?? .all, storeIsGranted: worker.grants.store)
    else { throw worker.crash("sent an answer that is none") }
    if let failure = try worker.failure(front, &reader) {
      if let cause { throw cause }
      throw CallTime.explain(failure, call, now: farebox_worker_steady_clock(), began: began)
    }
    if let cause { throw cause }
    guard reader.count <= outputLimit else { throw outputIsFull }
    return ToolOutcome(output: unsafe Array(reader.remainder()), usage: front.usage, writes: front.writes)
  }

  /// Gives the plugin a stored value.
  private func answer(_ body: UnsafeRawBufferPointer) throws(Failure) {
    guard worker.grants.store, let key = unsafe StoreSession.key(body) else {
      throw worker.crash("asked for a value that it cannot ask for")
    }
    let value = call.stored(key)
    worker.writer.reset()
    worker.writer.integer(UInt8(value == nil ? 0 : 1))
    if let value { unsafe value.withUnsafeBytes { unsafe worker.writer.raw($0) } }
    try worker.send(.stored, request, until: hardDeadline)
  }

  /// Ends the worker and says why.
  private func end() -> Failure {
    worker.child.end()
    return cause ?? CallTime.passed
  }

  private static let cancelled = Failure(.pluginCancelled, "The call was cancelled.")

  private var outputIsFull: Failure {
    Failure(.pluginOutputLimit, "The call wrote more than \(outputLimit) bytes.")
  }
}
