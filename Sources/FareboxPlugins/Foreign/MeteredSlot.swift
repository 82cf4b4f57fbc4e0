internal import CFFI
internal import Farebox
internal import FareboxCore
internal import Synchronization

/// A piece of code that libffi has made, of the shape of one signature, and the function that it meters now.
///
/// It is never freed: a host may call it after it was given back, and finds nothing there. What a call needs that only
/// checks a price is kept in words that are read without a lock: a writer makes the version odd while it writes, and a
/// reader that finds the version odd, or changed, asks again under the lock.
@unsafe
struct MeteredSlot: ~Copyable {
  let code: UnsafeMutableRawPointer
  private let interface: UnsafeMutablePointer<ffi_cif>
  private let version = Atomic<UInt64>(0)
  private let function = Atomic<UInt>(0)
  /// `PriceGeneration` of the price that stands, or 0.
  private let generation = Atomic<UInt64>(0)
  private let until = Atomic<Int64>(0)
  /// The number of who pays, or 0 where it does not matter.
  private let payer = Atomic<UInt64>(0)
  /// What a refused call returns, also after the slot was given back.
  private let refused = Atomic<UInt64>(0)
  /// Only touched under the lock of `MeteredSlots`.
  private var current: MeteredFunction?

  private init(_ frame: CallFrame, code: UnsafeMutableRawPointer) {
    unsafe self.code = code
    unsafe interface = frame.interface
  }

  typealias Pointer = UnsafeMutablePointer<MeteredSlot>

  /// Makes a slot and its code; `frame` must live for ever.
  static func make(_ frame: CallFrame) throws(Failure) -> (slot: Pointer, code: UnsafeMutableRawPointer) {
    var code: UnsafeMutableRawPointer?
    guard let memory = unsafe ffi_closure_alloc(MemoryLayout<ffi_closure>.size, &code), let code = unsafe code else {
      throw Failure(.noMemory, "There is no memory for a function made at run time.")
    }
    let slot = Pointer.allocate(capacity: 1)
    unsafe slot.initialize(to: MeteredSlot(frame, code: code))
    let closure = unsafe memory.assumingMemoryBound(to: ffi_closure.self)
    let status = unsafe ffi_prep_closure_loc(
      closure, frame.interface,
      { _, result, arguments, slot in
        guard let result = unsafe result, let arguments = unsafe arguments, let slot = unsafe slot else { return }
        unsafe slot.assumingMemoryBound(to: MeteredSlot.self).pointee.call(result, arguments)
      }, slot, code)
    guard status == FFI_OK else {
      unsafe slot.deallocate()
      unsafe ffi_closure_free(memory)
      throw Failure(.unsupported, field: "args.signature", "libffi cannot make a function of this signature.")
    }
    return unsafe (slot, code)
  }

  // MARK: Under the lock

  var isFree: Bool { unsafe current == nil }

  /// Takes in a function.
  mutating func take(_ metered: MeteredFunction) {
    unsafe current = metered
    unsafe refused.store(metered.terms.refused, ordering: .relaxed)
    unsafe write(function: UInt(bitPattern: metered.function), generation: 0, until: 0, payer: 0)
  }

  /// Gives the function up.
  mutating func give() -> MeteredFunction? {
    let given = unsafe current
    unsafe current = nil
    unsafe write(function: 0, generation: 0, until: 0, payer: 0)
    return given
  }

  /// Keeps a price that stands, unless the function is another by now.
  private func keep(_ price: CheckedPrice, _ number: UInt64, of metered: MeteredFunction) {
    guard unsafe current === metered, number == 0 || PayerContext.isThreads else { return }
    unsafe write(
      function: UInt(bitPattern: metered.function), generation: price.generation, until: price.until, payer: number)
  }

  private func write(function: UInt, generation: UInt64, until: Int64, payer: UInt64) {
    let before = unsafe version.load(ordering: .relaxed)
    unsafe version.store(before &+ 1, ordering: .relaxed)
    atomicMemoryFence(ordering: .releasing)
    unsafe self.function.store(function, ordering: .relaxed)
    unsafe self.generation.store(generation, ordering: .relaxed)
    unsafe self.until.store(until, ordering: .relaxed)
    unsafe self.payer.store(payer, ordering: .relaxed)
    unsafe version.store(before &+ 2, ordering: .releasing)
  }

  // MARK: Calls

  /// One call: where the price of the last one stands there is nothing to do but the call itself.
  private func call(_ result: UnsafeMutableRawPointer, _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>) {
    let before = unsafe version.load(ordering: .acquiring)
    let function = unsafe self.function.load(ordering: .relaxed)
    let generation = unsafe self.generation.load(ordering: .relaxed)
    let until = unsafe self.until.load(ordering: .relaxed)
    let payer = unsafe self.payer.load(ordering: .relaxed)
    atomicMemoryFence(ordering: .acquiring)
    guard unsafe version.load(ordering: .relaxed) == before, before & 1 == 0, generation == PriceGeneration.current,
      payer == 0 || payer == MeteringThread.payerNumber, until == .max || Engine.coarseSystemTime() < until,
      !Engine.isInCallback
    else { return unsafe callSlowly(result, arguments) }
    unsafe run(function, result, arguments)
    MeteringThread.noteDone()
  }

  @inline(never)
  private func callSlowly(
    _ result: UnsafeMutableRawPointer, _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  ) {
    guard let metered = MeteredSlots.withLock({ unsafe current }) else {
      unsafe result.storeBytes(of: refused.load(ordering: .relaxed), as: UInt64.self)
      return MeteringThread.current.note(Failure(.closed, "The metered function was given back."))
    }
    unsafe metered.call(ArgumentList(places: arguments), result: result) {
      unsafe run(UInt(bitPattern: metered.function), result, arguments)
    } stands: { price, number in
      MeteredSlots.withLock { unsafe keep(price, number, of: metered) }
    }
  }

  /// Calls the function with the arguments where libffi has put them.
  private func run(
    _ function: UInt, _ result: UnsafeMutableRawPointer, _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  ) {
    unsafe ffi_call(interface, unsafeBitCast(function, to: (@convention(c) () -> Void).self), result, arguments)
  }
}
