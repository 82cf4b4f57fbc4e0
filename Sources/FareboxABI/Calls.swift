public import CFarebox
internal import Farebox
internal import FareboxCore

@_cdecl("farebox_begin") @implementation
public func farebox_begin(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_begin_args>?,
  _ out: UnsafeMutablePointer<farebox_metered_call>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(out, "out")
    guard let out = unsafe out else { throw Failure(.invalidArgument, field: "out", "The pointer is null.") }
    let durability = try unsafe Durability.read(given.durability, "args.durability")
    let call = try open.begin(unsafe BeginRequest(given), durability: durability)
    unsafe out.pointee.fill(call)
  }
}

@_cdecl("farebox_record") @implementation
public func farebox_record(
  _ tally: UnsafeMutablePointer<farebox_tally>?, _ usage: farebox_str, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    try unsafe Structs.check(tally, "tally")
    guard let tally = unsafe tally else { throw Failure(.invalidArgument, field: "tally", "The pointer is null.") }
    var sum = try unsafe Tally(tally.pointee)
    let text = unsafe BorrowedText(usage)
    if let json = try JSON.usage(text, "usage") { try sum.add(json) }
    unsafe tally.pointee.fill(sum)
  }
}

@_cdecl("farebox_finish") @implementation
public func farebox_finish(
  _ engine: OpaquePointer?, _ call: UnsafePointer<farebox_metered_call>?, _ args: UnsafePointer<farebox_finish_args>?,
  _ out: UnsafeMutablePointer<farebox_receipt>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let begun = try unsafe MeteredCall(Structs.read(call, "call"))
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(out, "out")
    let durability = try unsafe Durability.read(given.durability, "args.durability")
    let receipt = try open.finish(begun, unsafe FinishRequest(given), durability: durability)
    unsafe out?.pointee.fill(receipt)
  }
}

extension JSON {
  /// Reads usage that a caller gives as text; nil where there is none.
  fileprivate static func usage(_ text: BorrowedText, _ field: String) throws(Failure) -> JSON? {
    if text.isEmpty { return nil }
    guard text.count <= Limits.usage else {
      throw Failure(.tooLong, field: field, "Usage has at most \(Limits.usage) bytes.")
    }
    do throws(Failure) {
      return try JSON.parse(unsafe [UInt8](text.bytes))
    } catch {
      throw Failure(error.status, field: field, error.message)
    }
  }
}

extension BeginRequest {
  fileprivate init(_ args: farebox_begin_args) throws(Failure) {
    unsafe try Structs.checkFlags(args.flags, known: CallTerms.callers.rawValue, "args.flags")
    unsafe try Structs.checkZero(args.reserved, "args.reserved")
    self.init()
    terms = unsafe CallTerms(rawValue: args.flags)
    payer = unsafe BorrowedText(args.payer)
    tool = unsafe BorrowedText(args.tool)
    run = unsafe BorrowedText(args.run)
    call = unsafe BorrowedText(args.call)
    parent = unsafe BorrowedText(args.parent)
    arguments = unsafe BorrowedText(args.arguments)
    key = unsafe BorrowedText(args.idempotency_key)
    ordinal = unsafe args.ordinal
    if let json = try unsafe JSON.usage(BorrowedText(args.expected), "args.expected") {
      var tally = Tally()
      try tally.add(json, path: "expected")
      expected = tally
    }
    if terms.contains(.amountGiven) {
      amount = unsafe args.amount
    } else if unsafe args.amount != 0 {
      throw Failure(.invalidArgument, field: "args.amount", "An amount needs the flag FAREBOX_CALL_AMOUNT_GIVEN.")
    }
    if unsafe terms.contains(.maxCostGiven) || args.max_cost != 0 { maxCost = unsafe args.max_cost }
    if unsafe args.expires_in_ms != 0 { expiresInMilliseconds = unsafe args.expires_in_ms }
  }
}

extension MeteredCall {
  /// A call as its host has kept it.
  fileprivate init(_ call: farebox_metered_call) throws(Failure) {
    let known = UInt32(FAREBOX_CALL_PAID) | UInt32(FAREBOX_CALL_SHARED)
    try Structs.checkFlags(call.flags, known: known, "call.flags")
    try Structs.checkFlags(call.terms, known: CallTerms.all.rawValue, "call.terms")
    try Structs.checkZero(call.reserved, "call.reserved")
    self.init()
    hold = call.hold
    held = call.held
    maximum = call.maximum == .max ? nil : call.maximum
    guard held >= 0, maximum ?? 0 >= 0 else {
      throw Failure(.invalidArgument, field: "call", "The call holds what farebox_begin never writes.")
    }
    priceVersion = call.price_version
    amount = call.amount
    terms = CallTerms(rawValue: call.terms)
    if terms.contains(.expected) {
      var usage = call.expected
      // A usage of no requests is one of one request.
      usage.requests = max(usage.requests, 0)
      expected = try Usage(usage)
    }
    isPaid = call.flags & UInt32(FAREBOX_CALL_PAID) != 0
    isShared = call.flags & UInt32(FAREBOX_CALL_SHARED) != 0
  }
}

extension farebox_metered_call {
  /// Writes a call; the struct size stays the caller's.
  fileprivate mutating func fill(_ call: MeteredCall) {
    flags =
      (call.isPaid ? UInt32(FAREBOX_CALL_PAID) : 0) | (call.isShared ? UInt32(FAREBOX_CALL_SHARED) : 0)
    hold = call.hold
    held = call.held
    maximum = call.maximum ?? .max
    price_version = call.priceVersion
    amount = call.amount
    expected = call.terms.contains(.expected) ? farebox_usage(call.expected) : farebox_usage()
    terms = call.terms.rawValue
    scale = UInt32(call.scale)
    setCode(&asset, call.assetCode)
    unsafe withUnsafeMutableBytes(of: &key) { bytes in
      for index in bytes.indices { unsafe bytes[index] = call.key[index] }
    }
    unsafe withUnsafeMutableBytes(of: &reserved) { bytes in
      for index in bytes.indices { unsafe bytes[index] = 0 }
    }
  }
}

extension farebox_usage {
  fileprivate init(_ usage: Usage) {
    self.init()
    requests = usage[.requests] / Usage.micro
    units = usage[.units] / Usage.micro
    units_micro = UInt32(truncatingIfNeeded: usage[.units] % Usage.micro)
    input_tokens = usage[.inputTokens] / Usage.micro
    output_tokens = usage[.outputTokens] / Usage.micro
    cache_read_tokens = usage[.cacheReadTokens] / Usage.micro
    cache_write_tokens = usage[.cacheWriteTokens] / Usage.micro
    reasoning_tokens = usage[.reasoningTokens] / Usage.micro
    input_audio_tokens = usage[.inputAudioTokens] / Usage.micro
    output_audio_tokens = usage[.outputAudioTokens] / Usage.micro
    images = usage[.images] / Usage.micro
    value = usage[.value]
  }
}

extension Tally {
  fileprivate init(_ tally: farebox_tally) throws(Failure) {
    let (micro, fraction) = (tally.micro, tally.fraction)
    // Both are sixteen words of plain data.
    try unsafe self.init(
      given: tally.meters, micro: unsafeBitCast(micro, to: InlineArray<16, Int64>.self),
      fraction: unsafeBitCast(fraction, to: InlineArray<16, Int64>.self))
  }

  /// A tally that the caller lends; null is an empty one.
  fileprivate init(_ tally: UnsafePointer<farebox_tally>?, _ field: String) throws(Failure) {
    guard unsafe tally != nil else {
      self.init()
      return
    }
    try unsafe self.init(Structs.read(tally, field))
  }
}

extension farebox_tally {
  fileprivate mutating func fill(_ tally: Tally) {
    meters = UInt32(tally.given.rawValue)
    unsafe withUnsafeMutableBytes(of: &micro) { bytes in
      for index in tally.micro.indices {
        unsafe bytes.storeBytes(of: tally.micro[index], toByteOffset: index * 8, as: Int64.self)
      }
    }
    unsafe withUnsafeMutableBytes(of: &fraction) { bytes in
      for index in tally.fraction.indices {
        unsafe bytes.storeBytes(of: tally.fraction[index], toByteOffset: index * 8, as: Int64.self)
      }
    }
  }
}

extension FinishRequest {
  fileprivate init(_ args: farebox_finish_args) throws(Failure) {
    let delivered = UInt32(FAREBOX_FINISH_DELIVERED)
    let amountFlag = UInt32(FAREBOX_FINISH_AMOUNT)
    try unsafe Structs.checkFlags(args.flags, known: delivered | amountFlag, "args.flags")
    unsafe try Structs.checkZero(args.reserved, "args.reserved")
    self.init()
    guard let ending = unsafe CallEnding(rawValue: args.ending) else {
      throw Failure(.invalidArgument, field: "args.ending", unsafe "\(args.ending) is not an ending.")
    }
    self.ending = ending
    self.delivered = unsafe args.flags & delivered != 0
    recorded = try unsafe Tally(args.recorded, "args.recorded")
    if unsafe args.flags & amountFlag != 0 { amount = unsafe args.amount }
    description = unsafe BorrowedText(args.description)
    metadata = unsafe BorrowedText(args.metadata)
    guard unsafe (0...Limits.captureLines).contains(args.line_count), unsafe args.lines != nil || args.line_count == 0
    else {
      throw Failure(
        .tooLong, field: "args.lines", "A call has at most \(Limits.captureLines) lines, and a pointer to them.")
    }
    for index in 0..<Int(unsafe args.line_count) {
      if let given = unsafe args.lines { lines.append(try unsafe CallLine(given[index], "args.lines[\(index)]")) }
    }
  }
}

extension CallLine {
  fileprivate init(_ line: farebox_call_line, _ field: String) throws(Failure) {
    let amountFlag = UInt32(FAREBOX_CALL_LINE_AMOUNT)
    try unsafe Structs.checkFlags(line.flags, known: amountFlag, "\(field).flags")
    try unsafe Structs.checkZero(line.reserved, "\(field).reserved")
    self.init()
    tool = unsafe BorrowedText(line.tool)
    payee = unsafe BorrowedText(line.payee)
    description = unsafe BorrowedText(line.description)
    recorded = try unsafe Tally(line.recorded, "\(field).recorded")
    if unsafe line.flags & amountFlag != 0 {
      amount = unsafe line.amount
    } else if unsafe line.amount != 0 {
      throw Failure(.invalidArgument, field: "\(field).amount", "An amount needs the flag FAREBOX_CALL_LINE_AMOUNT.")
    }
  }
}
