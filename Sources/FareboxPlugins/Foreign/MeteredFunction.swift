internal import CFFI
internal import Farebox
internal import FareboxCore
internal import Glibc

/// A C function and what its calls cost: quotes, reserves, calls, and captures or releases.
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
      let usage = try unsafe units(arguments, written: nil)
      let hold = try admit(thread, usage, stands)
      errno = number
      call()
      number = errno
      wasCalled = true
      let word = unsafe result.loadUnaligned(as: UInt64.self)
      if let hold {
        thread.note(try unsafe settle(hold, arguments, word))
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

  /// Lets a call begin.
  ///
  /// - Returns: its hold, or nil where nothing is written.
  private func admit(
    _ thread: MeteringThread, _ usage: Usage, _ stands: (CheckedPrice, UInt64) -> Void
  ) throws(Failure) -> Hold? {
    guard let engine else { throw Failure(.closed, "The engine was closed.") }
    try engine.checkUsable()
    let isNamed = !terms.payer.text.isEmpty
    let payer = isNamed ? terms.payer : thread.payer
    guard !payer.text.isEmpty else {
      throw Failure(.missingField, field: "payer", "Neither farebox_meter nor farebox_pay has named a payer.")
    }
    let call = Call(engine: engine, payer: payer, run: isNamed ? nil : thread.run, usage: usage)
    guard terms.isCheckOnly else { return try reserve(call) }
    let price = try engine.check(request(call))
    if case .request = terms.usage { stands(price, isNamed ? 0 : MeteringThread.payerNumber) }
    return nil
  }

  private struct Call {
    let engine: Engine
    let payer: OwnedText
    let run: OwnedText?
    let usage: Usage
  }

  private struct Hold {
    let call: Call
    let number: UInt64
  }

  private func request(_ call: Call) -> ChargeRequest {
    var request = ChargeRequest()
    request.tool = terms.tool.text
    request.payer = call.payer.text
    if let run = call.run { request.run = run.text }
    request.maxCost = terms.maxCost
    request.usage = call.usage
    return request
  }

  private func reserve(_ call: Call) throws(Failure) -> Hold {
    var hold = HoldTerms()
    hold.overCapture = .cap
    return Hold(call: call, number: try call.engine.reserve(request(call), hold).hold)
  }

  // MARK: After the call

  /// Charges what was used, or gives the hold back where the result means failure.
  ///
  /// - Returns: the receipt of the charge, or nil.
  private func settle(_ hold: Hold, _ arguments: ArgumentList, _ word: UInt64) throws(Failure) -> Receipt? {
    if let rule = terms.failure, let scalar = terms.signature.result, rule.applies(to: word, scalar) {
      do throws(Failure) {
        _ = try hold.call.engine.release(hold: hold.number)
      } catch {
        // Where the hold's time is over the money is back with the payer already.
        guard error.status == .holdExpired else { throw error }
      }
      return nil
    }
    let usage = try unsafe units(arguments, written: word)
    do throws(Failure) {
      return try capture(hold, usage)
    } catch {
      // The call took longer than its hold lasts: what it did is charged now, like a call that begins now.
      guard error.status == .holdExpired else { throw error }
    }
    return try capture(try reserve(hold.call), usage)
  }

  private func capture(_ hold: Hold, _ usage: Usage) throws(Failure) -> Receipt {
    var request = CaptureRequest()
    request.hold = hold.number
    request.amount = .usage(usage)
    do throws(Failure) {
      return try hold.call.engine.capture(request, durability: terms.durability)
    } catch {
      // Usage that nothing prices costs what the caller was ready to pay for it.
      guard error.status == .unpriceable, terms.maxCost != nil else { throw error }
    }
    request.amount = .rest
    return try hold.call.engine.capture(request, durability: terms.durability)
  }

  // MARK: Usage

  /// What a call uses.
  ///
  /// - Parameter written: the function's result; nil before the call, when an out buffer counts with its capacity.
  private func units(_ arguments: ArgumentList, written word: UInt64?) throws(Failure) -> Usage {
    switch terms.usage {
    case .request: return .oneRequest
    case .value(let scalar, let place):
      let number = unsafe scalar.integer(arguments.word(at: place, bytes: scalar.bytes))
      guard number >= 0 else {
        throw scalar == .u64
          ? Failure(.overflow, field: "usage", "The units do not fit into 64 bits of millionths.")
          : Failure(.invalidArgument, field: "usage", "The units of a call are not negative.")
      }
      return try MeteredFunction.usage(number)
    case .bytes(let type, let place):
      return try MeteredFunction.usage(Int64(clamping: unsafe bytes(arguments, type, place, written: word)))
    }
  }

  private static func usage(_ units: Int64) throws(Failure) -> Usage {
    var usage = Usage.oneRequest
    try usage.set(.units, count: units)
    return usage
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
