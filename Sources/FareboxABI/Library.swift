public import CFarebox
internal import Farebox
internal import FareboxCore
internal import FareboxPlugins
internal import Glibc

/// Names of statuses as C strings that live as long as the process.
private let statusNames: [Int32: StaticName] = Dictionary(
  uniqueKeysWithValues: Status.table.map { ($0.status.rawValue, StaticName($0.name)) })
private let unknownName = StaticName("UNKNOWN")

/// A C string that is never released.
@safe
private struct StaticName: @unchecked Sendable {
  // Sound because it is written once, here, and only read afterwards.
  let characters: UnsafePointer<CChar>

  init(_ text: String) {
    let bytes = text.utf8CString
    let memory = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    for (index, byte) in bytes.enumerated() { unsafe memory[index] = byte }
    unsafe characters = UnsafePointer(memory)
  }
}

@_cdecl("farebox_status_name") @implementation
public func farebox_status_name(_ status: farebox_status) -> UnsafePointer<CChar>? {
  unsafe (statusNames[status] ?? unknownName).characters
}

@_cdecl("farebox_version_number") @implementation
public func farebox_version_number() -> UInt32 {
  UInt32(FAREBOX_VERSION_NUMBER)
}

@_cdecl("farebox_text_free") @implementation
public func farebox_text_free(_ text: UnsafeMutablePointer<farebox_text>?) {
  guard let text = unsafe text else { return }
  unsafe free(text.pointee.ptr)
  unsafe text.pointee = farebox_text(ptr: nil, len: 0)
}

@_cdecl("farebox_open") @implementation
public func farebox_open(
  _ out: UnsafeMutablePointer<OpaquePointer?>?, _ url: farebox_str, _ options: UnsafePointer<farebox_options>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    guard let out = unsafe out else { throw Failure(.invalidArgument, field: "out", "The pointer is null.") }
    // The scheme and a path of the length that Linux allows.
    guard unsafe (0...4_103).contains(url.len) else {
      throw Failure(.invalidArgument, field: "url", "The address is longer than a path may be.")
    }
    guard let address = unsafe BorrowedText(url).string else {
      throw Failure(.invalidUTF8, field: "url", "It is not UTF-8 text.")
    }
    Handles.leaveToParent()
    let engine = try Engine(url: address, options: unsafe readOptions(options))
    do throws(Failure) {
      unsafe out.pointee = try Handles.add(engine)
    } catch {
      try? engine.close()
      throw error
    }
  }
}

private func readOptions(_ pointer: UnsafePointer<farebox_options>?) throws(Failure) -> EngineOptions {
  var options = EngineOptions()
  guard let pointer = unsafe pointer else { return options }
  let given = try unsafe Structs.read(pointer, "options")
  let exclusive = UInt32(FAREBOX_OPEN_EXCLUSIVE)
  let existing = UInt32(FAREBOX_OPEN_EXISTING)
  try unsafe Structs.checkFlags(given.flags, known: exclusive | existing, "options.flags")
  try unsafe Structs.checkZero(given.reserved, "options.reserved")
  try unsafe Structs.checkZero(given.reserved0, "options.reserved0")
  options.isExclusive = unsafe given.flags & exclusive != 0
  options.mustExist = unsafe given.flags & existing != 0
  options.durability = try unsafe Durability.read(given.durability, "options.durability") ?? .full
  options.holdDurability = try unsafe Durability.read(given.hold_durability, "options.hold_durability")
  if unsafe given.key_memory_bytes > 0 { options.keyMemoryBytes = unsafe Int(clamping: given.key_memory_bytes) }
  if unsafe given.busy_timeout_ms > 0 { options.busyTimeoutMilliseconds = unsafe given.busy_timeout_ms }
  if unsafe given.relaxed_records > 0 { options.relaxedRecords = unsafe Int(given.relaxed_records) }
  if unsafe given.relaxed_ms > 0 { options.relaxedMilliseconds = unsafe Int64(given.relaxed_ms) }
  let paymentURL = unsafe BorrowedText(given.payment_url)
  if !paymentURL.isEmpty {
    guard paymentURL.count <= Limits.paymentURL else {
      throw Failure(
        .tooLong, field: "options.payment_url", "A payment URL has at most \(Limits.paymentURL) bytes.")
    }
    guard let text = paymentURL.string else {
      throw Failure(.invalidUTF8, field: "options.payment_url", "It is not UTF-8 text.")
    }
    options.paymentURL = text
  }
  if let clock = unsafe given.clock {
    // The caller keeps the context alive as long as the engine, and says that any thread may call the clock.
    let context = unsafe UInt(bitPattern: given.clock_context)
    options.clock = { unsafe clock(UnsafeMutableRawPointer(bitPattern: context)) }
  }
  return options
}

@_cdecl("farebox_close") @implementation
public func farebox_close(
  _ engine: OpaquePointer?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    try open.checkNotInCallback()
    _ = try unsafe Handles.remove(engine)
    try open.close()
  }
}

@_cdecl("farebox_tick") @implementation
public func farebox_tick(
  _ engine: OpaquePointer?, _ out: UnsafeMutablePointer<farebox_tick_result>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    try unsafe Structs.check(out, "out")
    let report = try open.tick()
    guard let out = unsafe out else { return }
    unsafe out.pointee.expired_holds = UInt32(clamping: report.expiredHolds)
    unsafe out.pointee.committed = UInt32(clamping: report.committed)
    unsafe out.pointee.sealed = UInt32(clamping: report.sealed)
  }
}

@_cdecl("farebox_describe") @implementation
public func farebox_describe(
  _ out: UnsafeMutablePointer<farebox_text>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    try unsafe give(Description.json(version: UInt32(FAREBOX_VERSION_NUMBER), .complete).serialized(), to: out)
  }
}

@_cdecl("farebox_call") @implementation
public func farebox_call(
  _ engine: OpaquePointer?, _ operation: farebox_str, _ input: farebox_str, _ out: UnsafeMutablePointer<farebox_text>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    guard unsafe out != nil else { throw Failure(.invalidArgument, field: "out", "The pointer is null.") }
    let result = try open.call(unsafe BorrowedText(operation), unsafe BorrowedText(input), of: .complete)
    try unsafe give(result, to: out)
  }
}
