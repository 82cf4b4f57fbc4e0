internal import CFarebox
internal import Farebox
internal import FareboxCore

/// Structs that begin with `struct_size` and grow only at the end.
///
/// A caller compiled against a shorter struct gives a shorter one: what it lacks is read as zero, and nothing past its
/// end is written. All lengths that a released header has had, and nothing else, are accepted.
enum Structs {
  /// Copies a caller's struct.
  static func read<Value: BitwiseCopyable>(
    _ pointer: UnsafePointer<Value>?, _ name: String, sizes: [Int] = []
  ) throws(Failure) -> Value {
    guard let pointer = unsafe pointer else {
      throw Failure(.invalidArgument, field: name, "The pointer is null.")
    }
    let size = Int(unsafe UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self))
    if size == MemoryLayout<Value>.size { return unsafe pointer.pointee }
    guard sizes.contains(size) else {
      throw Failure(.structSize, field: "\(name).struct_size", "\(size) is not a size of this struct.")
    }
    return unsafe withUnsafeTemporaryAllocation(of: Value.self, capacity: 1) { buffer in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for index in raw.indices { unsafe raw[index] = 0 }
      unsafe raw.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: size))
      return unsafe raw.loadUnaligned(as: Value.self)
    }
  }

  /// Refuses an output struct of an unknown size; null is allowed where nothing is to be written.
  static func check<Value: BitwiseCopyable>(_ pointer: UnsafeMutablePointer<Value>?, _ name: String) throws(Failure) {
    guard let pointer = unsafe pointer else { return }
    let size = Int(unsafe UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self))
    guard size == MemoryLayout<Value>.size else {
      throw Failure(.structSize, field: "\(name).struct_size", "\(size) is not a size of this struct.")
    }
  }

  /// Refuses reserved bytes that are not zero: a later version may give them a meaning.
  static func checkZero<Reserved: BitwiseCopyable>(_ reserved: Reserved, _ name: String) throws(Failure) {
    let isZero = unsafe withUnsafeBytes(of: reserved) { bytes in unsafe bytes.allSatisfy { $0 == 0 } }
    guard isZero else { throw Failure(.reserved, field: name, "A reserved byte is not zero.") }
  }

  /// A number of which 0 counts only where a flag says so; nil is absent.
  static func number(_ value: Int64, _ flags: UInt32, _ flag: UInt32) -> Int64? {
    value == 0 && flags & flag == 0 ? nil : value
  }

  /// Refuses flags that this version does not know.
  static func checkFlags(_ flags: UInt32, known: UInt32, _ name: String) throws(Failure) {
    guard flags & ~known == 0 else { throw Failure(.reserved, field: name, "A flag is unknown.") }
  }
}

extension BorrowedText {
  /// A text that the caller lends; a length without a pointer is an absent text.
  ///
  /// A size_t beyond Int.max arrives as a negative number; no limit allows the length that it becomes here.
  init(_ text: farebox_str) {
    unsafe self.init(
      UnsafeRawPointer(text.ptr)?.assumingMemoryBound(to: UInt8.self), count: text.len < 0 ? Int.max : text.len)
  }
}

extension farebox_usage {
  /// Whether no meter but `requests` is set.
  fileprivate var isRequestsOnly: Bool {
    units | input_tokens | output_tokens | cache_read_tokens | cache_write_tokens | reasoning_tokens
      | input_audio_tokens | output_audio_tokens | images | value | Int64(units_micro) == 0
  }

  /// Whether no meter is set at all.
  fileprivate var isZero: Bool { isRequestsOnly && requests == 0 }
}

extension Usage {
  init(_ usage: farebox_usage) throws(Failure) {
    let reserved = usage.reserved_meters
    guard usage.reserved == 0, reserved.0 | reserved.1 | reserved.2 | reserved.3 == 0 else {
      throw Failure(.reserved, field: "usage.reserved", "A reserved field is not zero.")
    }
    guard usage.units_micro < 1_000_000 else {
      throw Failure(.invalidArgument, field: "usage.units_micro", "It is less than a million.")
    }
    // Most calls are one request and nothing else.
    if usage.isRequestsOnly, usage.requests == 0 || usage.requests == 1 {
      self = .oneRequest
      return
    }
    try self.init(
      requests: usage.requests, units: usage.units, unitsMicro: usage.units_micro, inputTokens: usage.input_tokens,
      outputTokens: usage.output_tokens, cacheReadTokens: usage.cache_read_tokens,
      cacheWriteTokens: usage.cache_write_tokens, reasoningTokens: usage.reasoning_tokens,
      inputAudioTokens: usage.input_audio_tokens, outputAudioTokens: usage.output_audio_tokens, images: usage.images,
      value: usage.value)
  }
}

extension Durability {
  /// nil is what the engine was opened with.
  static func read(_ value: farebox_durability, _ field: String) throws(Failure) -> Durability? {
    if value == FAREBOX_DURABILITY_DEFAULT { return nil }
    guard let durability = Durability(rawValue: value) else {
      throw Failure(.invalidArgument, field: field, "\(value) is not a durability.")
    }
    return durability
  }
}

extension ChargeRequest {
  init(_ args: farebox_charge_args) throws(Failure) {
    let amountFlag = UInt32(FAREBOX_AMOUNT_GIVEN)
    let maximumFlag = UInt32(FAREBOX_MAX_COST_GIVEN)
    try unsafe Structs.checkFlags(args.flags, known: amountFlag | maximumFlag, "args.flags")
    unsafe try Structs.checkZero(args.reserved, "args.reserved")
    self.init()
    payer = unsafe BorrowedText(args.payer)
    tool = unsafe BorrowedText(args.tool)
    payee = unsafe BorrowedText(args.payee)
    asset = unsafe BorrowedText(args.asset)
    key = unsafe BorrowedText(args.idempotency_key)
    run = unsafe BorrowedText(args.run)
    call = unsafe BorrowedText(args.call)
    description = unsafe BorrowedText(args.description)
    metadata = unsafe BorrowedText(args.metadata)
    amount = unsafe Structs.number(args.amount, args.flags, amountFlag)
    maxCost = unsafe Structs.number(args.max_cost, args.flags, maximumFlag)
    usage = unsafe try Usage(args.usage)
  }

  init(_ args: farebox_reserve_args) throws(Failure) {
    let amountFlag = UInt32(FAREBOX_AMOUNT_GIVEN)
    let maximumFlag = UInt32(FAREBOX_MAX_COST_GIVEN)
    try unsafe Structs.checkFlags(args.flags, known: amountFlag | maximumFlag, "args.flags")
    unsafe try Structs.checkZero(args.reserved, "args.reserved")
    self.init()
    payer = unsafe BorrowedText(args.payer)
    tool = unsafe BorrowedText(args.tool)
    payee = unsafe BorrowedText(args.payee)
    asset = unsafe BorrowedText(args.asset)
    key = unsafe BorrowedText(args.idempotency_key)
    run = unsafe BorrowedText(args.run)
    call = unsafe BorrowedText(args.call)
    description = unsafe BorrowedText(args.description)
    metadata = unsafe BorrowedText(args.metadata)
    amount = unsafe Structs.number(args.amount, args.flags, amountFlag)
    maxCost = unsafe Structs.number(args.max_cost, args.flags, maximumFlag)
    usage = unsafe try Usage(args.usage)
  }
}

extension HoldTerms {
  init(_ args: farebox_reserve_args) throws(Failure) {
    self.init()
    if unsafe args.expires_in_ms != 0 { expiresInMilliseconds = unsafe Int64(clamping: args.expires_in_ms) }
    guard let policy = unsafe UInt8(exactly: args.over_capture).flatMap({ OverCapture(rawValue: $0) }) else {
      throw Failure(
        .invalidArgument, field: "args.over_capture", unsafe "\(args.over_capture) is not an over-capture policy.")
    }
    overCapture = policy
  }
}

extension IncreaseRequest {
  init(_ args: farebox_increase_args) throws(Failure) {
    try unsafe Structs.checkFlags(args.flags, known: 0, "args.flags")
    unsafe try Structs.checkZero(args.reserved, "args.reserved")
    self.init()
    hold = unsafe args.hold
    amount = unsafe args.amount
    key = unsafe BorrowedText(args.idempotency_key)
    description = unsafe BorrowedText(args.description)
    metadata = unsafe BorrowedText(args.metadata)
  }
}

extension CaptureRequest {
  init(_ args: farebox_capture_args) throws(Failure) {
    let amountFlag = UInt32(FAREBOX_CAPTURE_AMOUNT)
    let usageFlag = UInt32(FAREBOX_CAPTURE_USAGE)
    let partialFlag = UInt32(FAREBOX_CAPTURE_PARTIAL)
    unsafe try Structs.checkFlags(args.flags, known: amountFlag | usageFlag | partialFlag, "args.flags")
    unsafe try Structs.checkZero(args.reserved, "args.reserved")
    try unsafe Structs.checkZero(args.usage.reserved_meters, "args.usage.reserved_meters")
    try unsafe Structs.checkZero(args.usage.reserved, "args.usage.reserved")
    self.init()
    hold = unsafe args.hold
    isFinal = unsafe args.flags & partialFlag == 0
    key = unsafe BorrowedText(args.idempotency_key)
    description = unsafe BorrowedText(args.description)
    metadata = unsafe BorrowedText(args.metadata)
    if unsafe args.amount != 0 && args.flags & amountFlag == 0 {
      throw Failure(.invalidArgument, field: "args.amount", "An amount needs the flag FAREBOX_CAPTURE_AMOUNT.")
    }
    if unsafe args.flags & usageFlag == 0 && !args.usage.isZero {
      throw Failure(.invalidArgument, field: "args.usage", "A usage needs the flag FAREBOX_CAPTURE_USAGE.")
    }
    switch unsafe args.flags & (amountFlag | usageFlag) {
    case 0: amount = .rest
    case amountFlag: amount = unsafe .units(args.amount)
    case usageFlag: amount = unsafe .usage(try Usage(args.usage))
    default: throw Failure(.invalidArgument, field: "args.flags", "A capture takes an amount or a usage, not both.")
    }
  }
}
