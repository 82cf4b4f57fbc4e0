package import Farebox
package import FareboxCore

/// The metered functions of the process.
package enum MeteredSlots {
  /// The slots of one shape of signature.
  @unsafe
  private struct Shape {
    let frame: CallFrame
    /// Those given back, the longest first, so that a late call has the longest time.
    var free: [MeteredSlot.Pointer] = unsafe []
  }

  @unsafe
  private struct Table {
    var shapes: [Signature: Shape] = unsafe [:]
    /// By the address of their code.
    var slots: [UInt: (slot: MeteredSlot.Pointer, shape: Signature)] = unsafe [:]
    var live = 0
  }

  /// Only reached through `withLock`, which makes it safe, also across a fork.
  private nonisolated(unsafe) static var table = unsafe Table()

  static func withLock<Result>(_ body: () -> Result) -> Result { Fork.withLock(body) }

  /// Gives a function of the signature of another that meters its calls.
  ///
  /// - Parameters:
  ///   - function: what is called; it must live as long as the metered function.
  /// - Returns: the function's address, for `unmeter`.
  package static func meter(
    _ function: UnsafeRawPointer, _ terms: MeteredTerms, on engine: Engine
  ) throws(Failure) -> UnsafeMutableRawPointer {
    try engine.checkUsable()
    guard terms.durability != .relaxed || engine.isExclusive else {
      throw Failure(
        .invalidArgument, field: "args.durability", "Only a process that holds the ledger alone may be relaxed.")
    }
    try engine.checkTool(terms.tool.text)
    let metered = unsafe MeteredFunction(function, terms, engine: engine)
    let shape = terms.signature.shape
    let isAllowed = withLock {
      guard unsafe table.live < Limits.meteredFunctions else { return false }
      unsafe table.live += 1
      return true
    }
    guard isAllowed else {
      throw Failure(.tooLong, "A process has at most \(Limits.meteredFunctions) metered functions.")
    }
    if let code = unsafe reuse(shape, metered) { return unsafe code }
    do throws(Failure) {
      return unsafe try add(shape, metered)
    } catch {
      withLock { unsafe table.live -= 1 }
      throw error
    }
  }

  private static func reuse(_ shape: Signature, _ metered: MeteredFunction) -> UnsafeMutableRawPointer? {
    unsafe withLock {
      guard var known = unsafe table.shapes[shape], let slot = unsafe known.free.first else { return nil }
      unsafe known.free.removeFirst()
      unsafe table.shapes[shape] = known
      unsafe slot.pointee.take(metered)
      return unsafe slot.pointee.code
    }
  }

  private static func add(
    _ shape: Signature, _ metered: MeteredFunction
  ) throws(Failure) -> UnsafeMutableRawPointer {
    let (known, count) = withLock { unsafe (table.shapes[shape]?.frame, table.slots.count) }
    guard count < Limits.closures else {
      throw Failure(.tooLong, "A process makes at most \(Limits.closures) functions for metering.")
    }
    let made: CallFrame
    if let known { made = known } else { made = try CallFrame(shape) }
    let frame = withLock {
      // Another thread may have made one meanwhile; slots keep theirs for ever.
      let kept = unsafe table.shapes[shape]?.frame ?? made
      if unsafe table.shapes[shape] == nil { unsafe table.shapes[shape] = Shape(frame: kept) }
      return kept
    }
    let (slot, code) = unsafe try MeteredSlot.make(frame)
    withLock {
      unsafe slot.pointee.take(metered)
      unsafe table.slots[UInt(bitPattern: code)] = unsafe (slot, shape)
    }
    return unsafe code
  }

  /// Gives back what `meter` gave; calls that are under way finish, later ones are refused.
  package static func unmeter(_ code: UnsafeMutableRawPointer?) throws(Failure) {
    let given = withLock { () -> MeteredFunction? in
      guard let (slot, shape) = unsafe table.slots[UInt(bitPattern: code)], unsafe !slot.pointee.isFree else {
        return nil
      }
      unsafe table.shapes[shape]?.free.append(slot)
      unsafe table.live -= 1
      return unsafe slot.pointee.give()
    }
    guard given != nil else {
      throw Failure(
        .handle, field: "function", "It is not a function that farebox_meter gave, or it was given back.")
    }
  }
}
