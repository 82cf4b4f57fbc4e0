internal import CFFI
internal import Farebox
internal import FareboxCore
internal import Glibc

/// A C function and what its calls cost. It tells the engine when a call begins, how it ended and what it used.
@safe
final class MeteredFunction: @unchecked Sendable {
  // Sound because all of it is written once, in init; the pointers lead to what libffi and the host only read.
  let function: UnsafeRawPointer
  let terms: MeteredTerms
  /// Does not keep a closed ledger in memory.
  private weak let engine: Engine?

  init(_ function: UnsafeRawPointer, _ terms: MeteredTerms, engine: Engine) {
    unsafe self.function = function
    self.terms = terms
    self.engine = engine
  }

  /// One call, from the values that libffi has collected.
  ///
  /// - Parameters:
  ///   - call: makes the call of the function itself.
  ///   - stands: is given a price that the next calls need not look up again, and the number of who pays, 0 for anybody.
  func call(
    _ arguments: ArgumentList, result: UnsafeMutableRawPointer, _ call: () -> Void,
    stands: (CheckedPrice, UInt64) -> Void
  ) {
    let thread = MeteringThread.current
    // What the function sees and leaves is the host's; what the ledger does in between is not.
    var number = errno
    var wasCalled = false
    do throws(Failure) {
      let begun = try unsafe begin(thread, arguments, stands)
      errno = number
      call()
      number = errno
      wasCalled = true
      let word = unsafe result.loadUnaligned(as: UInt64.self)
      if let begun {
        thread.note(try unsafe finish(begun, arguments, word))
      } else {
        thread.note(nil)
      }
    } catch {
      if !wasCalled { unsafe result.storeBytes(of: terms.refused, as: UInt64.self) }
      thread.note(error)
    }
    errno = number
  }

  // MARK: Before the call

  private struct Begun {
    let engine: Engine
    let call: MeteredCall
  }

  /// Lets a call begin.
  ///
  /// - Returns: nil where nothing is written.
  private func begin(
    _ thread: MeteringThread, _ arguments: ArgumentList, _ stands: (CheckedPrice, UInt64) -> Void
  ) throws(Failure) -> Begun? {
    let counted = try unsafe units(arguments, written: nil)
    guard let engine else { throw Failure(.closed, "The engine was closed.") }
    try engine.checkUsable()
    let caller = try unsafe caller(thread, engine, arguments)
    if terms.isCheckOnly {
      try check(engine, caller, counted, stands)
      return nil
    }
    var request = BeginRequest()
    request.tool = terms.tool.text
    request.payer = caller.payer.text
    request.terms = terms.call
    request.maxCost = terms.maxCost
    if let counted { request.expected = try MeteredFunction.tally(counted) }
    guard let context = caller.context else {
      if let run = caller.run { request.run = run.text }
      return Begun(engine: engine, call: try engine.begin(request))
    }
    request.run = context.run.text
    request.call = context.call.text
    request.parent = context.parent.text
    request.ordinal = context.ordinal
    let call = try context.arguments.withBorrowedText { digest throws(Failure) in
      request.arguments = digest
      return try engine.begin(request)
    }
    return Begun(engine: engine, call: call)
  }

  private func check(
    _ engine: Engine, _ caller: Caller, _ counted: Int64?, _ stands: (CheckedPrice, UInt64) -> Void
  ) throws(Failure) {
    var request = ChargeRequest()
    request.tool = terms.tool.text
    request.payer = caller.payer.text
    request.maxCost = terms.maxCost
    if let counted { try request.usage.set(.units, count: counted) }
    let price = try engine.check(request)
    if counted == nil, let number = caller.number { stands(price, number) }
  }

  // MARK: Who pays

  private struct Caller {
    let payer: OwnedText
    /// Of the thread.
    var run: OwnedText?
    /// What the caller's context says, where that names the payer.
    var context: ContextPayer?
    /// The number under which a price may be kept: 0 for anybody; nil is none.
    let number: UInt64?
  }

  /// The payer that the terms name, else the one of the caller's context, else the thread's.
  private func caller(
    _ thread: MeteringThread, _ engine: Engine, _ arguments: ArgumentList
  ) throws(Failure) -> Caller {
    if !terms.payer.text.isEmpty { return Caller(payer: terms.payer, number: 0) }
    let digest = terms.isCheckOnly ? nil : { unsafe self.digest(arguments) }
    if let context = try PayerContext.payer(for: terms.tool.text, arguments: digest) {
      guard !context.payer.text.isEmpty else { throw nobody() }
      guard context.engine == nil || context.engine === engine else {
        let name = terms.tool.text.string ?? ""
        throw Failure(
          .missingField, field: "payer",
          "The payer of this context has its account in another ledger than tool '\(name)'.")
      }
      return Caller(payer: context.payer, context: context, number: nil)
    }
    guard !thread.payer.text.isEmpty else { throw nobody() }
    return Caller(payer: thread.payer, run: thread.run, number: MeteringThread.payerNumber)
  }

  private func nobody() -> Failure {
    let name = terms.tool.text.string ?? ""
    return Failure(
      .missingField, field: "payer",
      "This call of tool '\(name)' has no payer, so its function did not run. Name one: `payer` of "
        + "farebox_meter, farebox_pay on this thread, or engine.paying(account) in Python and Node.")
  }

  // MARK: After the call

  /// Ends a call.
  ///
  /// - Returns: the receipt of the charge, or nil where nothing was charged.
  private func finish(
    _ begun: Begun, _ arguments: ArgumentList, _ word: UInt64
  ) throws(Failure) -> Receipt? {
    var end = FinishRequest()
    if let rule = terms.failure, let scalar = terms.signature.result, rule.applies(to: word, scalar) {
      end.ending = .reportedFailure
    } else if let counted = try? unsafe units(arguments, written: word), let tally = try? MeteredFunction.tally(counted)
    {
      // A length that nobody can have written is none: then the estimate counts.
      end.recorded = tally
    }
    let receipt = try begun.engine.finish(begun.call, end, durability: terms.durability)
    return receipt.isReleased ? nil : receipt
  }

  // MARK: Usage

  private static func tally(_ units: Int64) throws(Failure) -> Tally {
    let (micro, overflow) = units.multipliedReportingOverflow(by: Usage.micro)
    guard !overflow else {
      throw Failure(.overflow, field: "usage", "The units do not fit into 64 bits of millionths.")
    }
    return Tally(.units, micro: micro)
  }

  /// The units that a call uses; nil where nothing is counted.
  ///
  /// - Parameter written: the function's result; nil before the call, when an out buffer counts with its capacity.
  private func units(_ arguments: ArgumentList, written word: UInt64?) throws(Failure) -> Int64? {
    switch terms.usage {
    case .request: return nil
    case .value(let scalar, let place):
      let number = unsafe scalar.integer(arguments.word(at: place, bytes: scalar.bytes))
      guard number >= 0 else {
        throw scalar == .u64
          ? Failure(.overflow, field: "usage", "The units do not fit into 64 bits of millionths.")
          : Failure(.invalidArgument, field: "usage", "The units of a call are not negative.")
      }
      return number
    case .bytes(let type, let place):
      return Int64(clamping: unsafe bytes(arguments, type, place, written: word))
    }
  }

  private func bytes(
    _ arguments: ArgumentList, _ type: Signature.ParameterType, _ place: Int, written word: UInt64?
  ) -> UInt64 {
    switch type {
    case .scalar:
      let text = unsafe UnsafePointer<CChar>(bitPattern: UInt(arguments.word(at: place, bytes: 8)))
      return unsafe text.map { text in UInt64(unsafe strlen(text)) } ?? 0
    case .bytes(let width): return unsafe arguments.word(at: place + 1, bytes: width.bytes)
    case .out(let width):
      let capacity = unsafe arguments.word(at: place + 1, bytes: width.bytes)
      return word.map { UInt64(terms.signature.written($0, atMost: Int(clamping: capacity))) } ?? capacity
    case .outByReference(let width):
      // What it points to is the capacity before the call and what was written after it.
      let capacity = unsafe UnsafeRawPointer(bitPattern: UInt(arguments.word(at: place + 1, bytes: 8)))
      return unsafe capacity.map { unsafe ArgumentList.word($0, bytes: width.bytes) } ?? 0
    }
  }

  /// A digest of the arguments: equal for a repeat of the call, also in another process. Addresses are no part of it.
  private func digest(_ arguments: ArgumentList) -> String {
    var hasher = SHA256Hasher()
    var place = 0
    for parameter in terms.signature.parameters {
      switch parameter.type {
      case .scalar(.pointer): break
      case .scalar(.string):
        let text = unsafe UnsafeRawPointer(bitPattern: UInt(arguments.word(at: place, bytes: 8)))
        let count = unsafe text.map { unsafe strlen($0.assumingMemoryBound(to: CChar.self)) } ?? 0
        unsafe hasher.add(UnsafeRawBufferPointer(start: text, count: count))
      case .scalar(let scalar): hasher.add(unsafe arguments.word(at: place, bytes: scalar.bytes))
      case .bytes(let width):
        let source = unsafe UnsafeRawPointer(bitPattern: UInt(arguments.word(at: place, bytes: 8)))
        let count = Int(clamping: unsafe arguments.word(at: place + 1, bytes: width.bytes))
        unsafe hasher.add(UnsafeRawBufferPointer(start: source, count: source == nil ? 0 : count))
      case .out, .outByReference: hasher.add(unsafe bytes(arguments, parameter.type, place, written: nil))
      }
      place += parameter.type.count
    }
    return hasher.finish().hex
  }
}

extension SHA256Hasher {
  /// Adds a part and its length.
  fileprivate mutating func add(_ bytes: UnsafeRawBufferPointer) {
    unsafe withUnsafeBytes(of: UInt64(bytes.count)) { unsafe update($0) }
    unsafe update(bytes)
  }

  fileprivate mutating func add(_ word: UInt64) { unsafe withUnsafeBytes(of: word) { unsafe add($0) } }
}

/// The addresses of the C arguments of a call.
@unsafe
struct ArgumentList {
  let places: UnsafeMutablePointer<UnsafeMutableRawPointer?>

  /// The bits of an argument, as many bytes of it as its type has.
  func word(at place: Int, bytes: Int) -> UInt64 {
    guard let address = unsafe places[place] else { return 0 }
    return unsafe ArgumentList.word(address, bytes: bytes)
  }

  static func word(_ address: UnsafeRawPointer, bytes: Int) -> UInt64 {
    switch bytes {
    case 1: UInt64(unsafe address.loadUnaligned(as: UInt8.self))
    case 2: UInt64(unsafe address.loadUnaligned(as: UInt16.self))
    case 4: UInt64(unsafe address.loadUnaligned(as: UInt32.self))
    default: unsafe address.loadUnaligned(as: UInt64.self)
    }
  }
}

extension Signature.Scalar {
  /// Its size in C.
  var bytes: Int {
    switch self {
    case .i8, .u8: 1
    case .i16, .u16: 2
    case .i32, .u32: 4
    case .i64, .u64, .double, .string, .pointer: 8
    }
  }
}
