internal import CPostgres
internal import FareboxCore

/// A connection to a server, in pipeline mode: statements are sent ahead, and their answers are read at the next
/// `receive`.
///
/// No wait is longer than the patience since the last sign of life. A connection that has failed stays broken.
@safe
final class PostgreSQLConnection {
  /// What the server still has to answer.
  private enum Expected {
    case prepared(name: String)
    case statement(keep: Bool)
    case synced
  }

  private let libpq: Libpq
  private let handle: OpaquePointer
  /// The process that made it; a child after a fork must leave it alone.
  private let process: Int32
  /// Milliseconds without a sign of life after which the server counts as lost.
  private let patience: Int64
  /// Whether the session is the connection's alone, so that statements may be prepared in it.
  ///
  /// Behind a pooler of transactions it is not: the next transaction may be in another session, and others are in this
  /// one. Then each statement is sent whole, and no stretch of the pipeline before the last one's end is read, because a
  /// pooler may pass the server on between two.
  private(set) var ownsSession = false
  /// What prepared statements are called in the session: not as another connection calls its own, which may have had the
  /// session before.
  private var preparedNames: [String: String] = [:]
  private let namePrefix: String
  private var expected: [Expected] = []
  /// How many of the answers expected are of a transaction that was given up, so that its failures no longer matter.
  private var disregarded = 0
  private(set) var isBroken = false
  /// What the server has warned of.
  private let notices: UnsafeMutablePointer<farebox_notices>

  /// Connects; waits for each host a third of the patience, unless the address says otherwise.
  init(_ address: PostgreSQLAddress, _ libpq: Libpq, patienceMilliseconds: Int64) throws(Failure) {
    // Of each host: one that is silent must not use up the time of the others.
    let seconds = String(max(2, (patienceMilliseconds + 2_999) / 3_000))
    let settings = [
      // Before the address, so that it decides where it says anything.
      ("connect_timeout", seconds), ("tcp_user_timeout", String(max(1_000, patienceMilliseconds))),
      ("keepalives_idle", "30"), ("fallback_application_name", "farebox"), ("dbname", address.connection),
      ("client_encoding", "UTF8"),
    ]
    let began = farebox_monotonic_milliseconds()
    let opened = unsafe withCStrings(settings.map(\.0)) { names in
      unsafe withCStrings(settings.map(\.1)) { values in unsafe libpq.functions.connect(names, values, 1) }
    }
    guard let opened = unsafe opened else { throw Failure(.noMemory, "libpq has no memory left.") }
    if unsafe libpq.functions.status(opened) != CONNECTION_OK {
      let wasQuick = farebox_monotonic_milliseconds() - began < PostgreSQLConnection.quickMilliseconds
      if let failure = unsafe PostgreSQLConnection.refusal(opened, libpq, mayAskAgain: wasQuick) {
        unsafe libpq.functions.finish(opened)
        throw failure
      }
    }
    namePrefix = "farebox_\(String(UInt64.random(in: 0 ... .max), radix: 36))_"
    unsafe notices = .allocate(capacity: 1)
    unsafe notices.initialize(to: farebox_notices(unreplicated: 0, field: libpq.functions.result_field))
    unsafe handle = opened
    self.libpq = libpq
    process = getpid()
    patience = patienceMilliseconds
    // libpq prints notices unless somebody takes them.
    _ = unsafe libpq.functions.set_notice_receiver(handle, farebox_take_notice, notices)
    guard unsafe libpq.functions.set_nonblocking(handle, 1) == 0, unsafe libpq.functions.enter_pipeline(handle) == 1
    else {
      throw Failure(.storeUnreachable, "The connection cannot be used in pipeline mode.")
    }
  }

  /// Refusals that come faster than this are the server's own, and not the network's.
  private static let quickMilliseconds: Int64 = 1_000

  /// Why a server could not be connected to, or nil where asking again has connected.
  @unsafe
  private static func refusal(_ handle: OpaquePointer, _ libpq: Libpq, mayAskAgain: Bool) -> Failure? {
    let message = line(unsafe libpq.text(libpq.functions.error_message(handle)))
    if let failure = PostgreSQLFailure.connecting(message) { return failure }
    // The words may be in any language. libpq gives no code for a connection that was refused, but writes it where it is
    // asked to be verbose.
    if mayAskAgain {
      _ = unsafe libpq.functions.set_verbosity(handle, PQERRORS_VERBOSE)
      unsafe libpq.functions.reset(handle)
      _ = unsafe libpq.functions.set_verbosity(handle, PQERRORS_DEFAULT)
      if unsafe libpq.functions.status(handle) == CONNECTION_OK { return nil }
      let verbose = line(unsafe libpq.text(libpq.functions.error_message(handle)))
      if let failure = PostgreSQLFailure.connecting(verbose) { return failure }
    }
    return Failure(.storeUnreachable, field: "url", "The server cannot be reached: \(message)")
  }

  deinit {
    // A child's goodbye would end its parent's session.
    if process == getpid() { unsafe libpq.functions.finish(handle) }
    unsafe notices.deallocate()
  }

  /// How often the server has given up waiting for its replica.
  var unreplicatedCount: Int32 { unsafe notices.pointee.unreplicated }

  /// The number of the server's process, as it was told when connecting: a pooler tells one that it has made up.
  var backendNumber: Int64 { Int64(unsafe libpq.functions.backend_pid(handle)) }

  /// Says that the session is the connection's alone.
  func takeSession() {
    ownsSession = true
  }

  // MARK: Sending

  /// Sends a statement; in a session of the connection's own it is prepared when it is first used.
  ///
  /// - Parameter keep: whether `receive` returns its answer.
  func send(
    _ statement: PostgreSQLStatement, _ parameters: PostgreSQLParameters = PostgreSQLParameters(), keep: Bool = false
  ) throws(Failure) {
    try checkUsable()
    if ownsSession {
      try sendPrepared(statement, parameters)
    } else {
      if case .synced? = expected.last { try readDisregarded() }
      let types = statement.parameters.map(\.rawValue)
      let isSent = unsafe types.withUnsafeBufferPointer { types in
        unsafe withParameters(parameters) { count, values, lengths, formats in
          unsafe libpq.functions.send_params(
            handle, statement.sql, count, types.baseAddress, values, lengths, formats, 1)
        }
      }
      guard isSent == 1 else { throw lost("sending a statement") }
    }
    expected.append(.statement(keep: keep))
    // Let the server work meanwhile.
    guard unsafe libpq.functions.flush(handle) >= 0 else { throw lost("sending a statement") }
  }

  private func sendPrepared(_ statement: PostgreSQLStatement, _ parameters: PostgreSQLParameters) throws(Failure) {
    let name: String
    if let known = preparedNames[statement.name] {
      name = known
    } else {
      name = namePrefix + statement.name
      preparedNames[statement.name] = name
      let types = statement.parameters.map(\.rawValue)
      let isSent = unsafe types.withUnsafeBufferPointer { types in
        unsafe libpq.functions.send_prepare(
          handle, name, statement.sql, Int32(clamping: types.count), types.baseAddress)
      }
      guard isSent == 1 else { throw lost("sending a statement") }
      expected.append(.prepared(name: statement.name))
    }
    let isSent = unsafe withParameters(parameters) { count, values, lengths, formats in
      unsafe libpq.functions.send_prepared(handle, name, count, values, lengths, formats, 1)
    }
    guard isSent == 1 else { throw lost("sending a statement") }
  }

  /// Reads answers of which nothing is wanted, before anything more is sent.
  private func readDisregarded() throws(Failure) {
    disregard()
    _ = try receiveAll()
  }

  private func withParameters(
    _ parameters: PostgreSQLParameters,
    _ send: (
      Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
    ) -> Int32
  ) -> Int32 {
    let count = parameters.places.count
    return unsafe parameters.bytes.withUnsafeBytes { bytes in
      // An empty parameter needs an address too, or it would be a null.
      let base = unsafe bytes.baseAddress ?? UnsafeRawPointer(handle)
      let values = unsafe parameters.places.map { place in
        unsafe Optional(base.advanced(by: place.lowerBound).assumingMemoryBound(to: CChar.self))
      }
      let lengths = parameters.places.map { Int32(truncatingIfNeeded: $0.count) }
      let formats = [Int32](repeating: 1, count: count)
      return unsafe values.withUnsafeBufferPointer { values in
        unsafe lengths.withUnsafeBufferPointer { lengths in
          unsafe formats.withUnsafeBufferPointer { formats in
            unsafe send(Int32(clamping: count), values.baseAddress, lengths.baseAddress, formats.baseAddress)
          }
        }
      }
    }
  }

  /// Ends a stretch of the pipeline: after an error the server goes on behind it.
  func sync() throws(Failure) {
    try checkUsable()
    guard unsafe libpq.functions.sync(handle) == 1 else { throw lost("sending a statement") }
    expected.append(.synced)
    guard unsafe libpq.functions.flush(handle) >= 0 else { throw lost("sending a statement") }
  }

  /// Whether answers are due.
  var isExpecting: Bool { !expected.isEmpty }

  /// Takes no notice of how the statements sent so far turn out.
  func disregard() {
    disregarded = expected.count
  }

  // MARK: Receiving

  /// One answer that was kept.
  typealias Answer = Result<PostgreSQLResult, Failure>

  /// Reads all answers that are due; the pipeline must end with a `sync`.
  ///
  /// - Returns: those that were to be kept, in order.
  /// - Throws: the first failure of any statement, when all are read.
  func receive() throws(Failure) -> [PostgreSQLResult] {
    var results: [PostgreSQLResult] = []
    var first: Failure?
    for answer in try receiveAll() {
      switch answer {
      case .success(let result): results.append(result)
      case .failure(let failure): first = first ?? failure
      }
    }
    if let first { throw first }
    return results
  }

  /// As `receive`, with each statement's own outcome: those to be kept, and all that have failed.
  func receiveAll() throws(Failure) -> [Answer] {
    var answers: [Answer] = []
    for (index, next) in expected.enumerated() {
      switch next {
      case .prepared(let name):
        let (result, failure) = try answer()
        // Passed over or refused, it has to be prepared again.
        if result == nil { preparedNames.removeValue(forKey: name) }
        if let failure, index >= disregarded { answers.append(.failure(failure)) }
      case .statement(let keep):
        let (result, failure) = try answer()
        guard index >= disregarded else { continue }
        if let failure {
          answers.append(.failure(failure))
        } else if let result, keep {
          answers.append(.success(result))
        }
      case .synced: try readSync()
      }
    }
    expected.removeAll(keepingCapacity: true)
    disregarded = 0
    return answers
  }

  /// Reads the answer to one statement; both are nil where it was passed over because of an earlier error.
  private func answer() throws(Failure) -> (result: PostgreSQLResult?, failure: Failure?) {
    guard let raw = unsafe try next() else { throw lost("reading an answer") }
    let result = unsafe PostgreSQLResult(raw, libpq)
    let status = unsafe libpq.functions.result_status(raw)
    // Each answer ends with a null.
    if let rest = unsafe try next() {
      unsafe libpq.functions.clear(rest)
      throw lost("reading an answer")
    }
    switch status {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return (result, nil)
    case PGRES_PIPELINE_ABORTED: return (nil, nil)
    default: return withExtendedLifetime(result) { (nil, unsafe failure(raw)) }
    }
  }

  private func readSync() throws(Failure) {
    guard let raw = unsafe try next() else { throw lost("reading an answer") }
    let status = unsafe libpq.functions.result_status(raw)
    unsafe libpq.functions.clear(raw)
    guard status == PGRES_PIPELINE_SYNC else { throw lost("reading an answer") }
  }

  /// The next result, or nil at the end of an answer; waits for the server.
  private func next() throws(Failure) -> OpaquePointer? {
    var deadline = farebox_monotonic_milliseconds() + patience
    while unsafe libpq.functions.is_busy(handle) == 1 {
      let isWriting = unsafe libpq.functions.flush(handle)
      let left = deadline - farebox_monotonic_milliseconds()
      guard isWriting >= 0, left > 0 else { throw lost(left > 0 ? "sending a statement" : "waiting for an answer") }
      let socket = unsafe libpq.functions.socket(handle)
      let ready = farebox_wait_socket(socket, isWriting == 1, Int32(clamping: left))
      guard ready >= 0, unsafe libpq.functions.consume(handle) == 1 else { throw lost("waiting for an answer") }
      if ready > 0 { deadline = farebox_monotonic_milliseconds() + patience }
    }
    return unsafe libpq.functions.result(handle)
  }

  // MARK: Failures

  private func checkUsable() throws(Failure) {
    if isBroken { throw Failure(.storeUnreachable, "The connection to the server was lost.") }
  }

  private func lost(_ doing: String) -> Failure {
    isBroken = true
    expected.removeAll()
    disregarded = 0
    let message = unsafe libpq.text(libpq.functions.error_message(handle))
    return Failure(
      .storeUnreachable, "The connection to the server was lost while \(doing). \(PostgreSQLConnection.line(message))")
  }

  @unsafe
  private func failure(_ result: OpaquePointer) -> Failure {
    func field(_ code: Character) -> String? {
      let field = unsafe libpq.functions.result_field(result, Int32(code.asciiValue ?? 0))
      return unsafe field.map { unsafe String(cString: $0) }
    }
    // Without a code it is libpq that speaks, of a connection that is gone.
    guard unsafe libpq.functions.status(handle) == CONNECTION_OK, let code = field("C") else {
      return lost("waiting for an answer")
    }
    let failure = PostgreSQLFailure(code: code, message: field("M") ?? "")
    if failure.endsConnection { isBroken = true }
    return failure.failure
  }

  /// A message of the server on one line.
  private static func line(_ message: String) -> String {
    message.split(whereSeparator: \.isNewline).joined(separator: " ")
  }
}

/// Lends texts as an array of C strings that ends with a null.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
  var bytes: [CChar] = []
  var starts: [Int] = []
  for text in texts {
    starts.append(bytes.count)
    bytes.append(contentsOf: text.utf8CString)
  }
  return unsafe bytes.withUnsafeBufferPointer { bytes in
    let pointers = unsafe starts.map { start in unsafe bytes.baseAddress.map { unsafe $0.advanced(by: start) } } + [nil]
    return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
  }
}
