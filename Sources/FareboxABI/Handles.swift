internal import Farebox
internal import FareboxCore

/// The engines that this process has open, by handle.
///
/// A handle is a slot and a generation in the form of a pointer that is never followed, so a null, foreign, closed or
/// twice-closed handle is found out by looking it up.
enum Handles {
  private struct Slot {
    var engine: Engine?
    var generation: UInt32 = 0
  }

  /// Only reached through `withSlots`, whose lock makes it safe, also across a fork.
  private nonisolated(unsafe) static var guardedSlots: [Slot] = []

  private static func withSlots<Result>(_ body: (inout [Slot]) -> Result) -> Result {
    Fork.withLock { unsafe body(&guardedSlots) }
  }

  /// Odd, so that no handle can be the address of an aligned object.
  private static let tag: UInt = 0b101
  private static let tagBits: UInt = 3
  private static let slotBits: UInt = 16

  /// Gives an engine a handle.
  static func add(_ engine: Engine) throws(Failure) -> OpaquePointer {
    let handle = unsafe withSlots { slots -> OpaquePointer? in
      var index = slots.firstIndex { $0.engine == nil } ?? slots.count
      if index == slots.count {
        guard slots.count < Limits.engines else { return nil }
        slots.append(Slot())
        index = slots.count - 1
      }
      slots[index].engine = engine
      slots[index].generation &+= 1
      let number = UInt(slots[index].generation) << slotBits | UInt(index + 1)
      return unsafe OpaquePointer(bitPattern: number << tagBits | tag)
    }
    guard let handle = unsafe handle else {
      throw Failure(.tooLong, "A process has at most \(Limits.engines) engines open.")
    }
    return unsafe handle
  }

  /// The engine of a handle.
  static func engine(_ handle: OpaquePointer?) throws(Failure) -> Engine {
    let place = try unsafe place(handle)
    let found = withSlots { slots -> (engine: Engine?, wasGiven: Bool) in
      guard place.index < slots.count else { return (nil, false) }
      let slot = slots[place.index]
      if slot.generation == place.generation { return (slot.engine, true) }
      // Generations count up, so a lower one was given out before.
      return (nil, place.generation > 0 && place.generation < slot.generation)
    }
    if let engine = found.engine { return engine }
    throw found.wasGiven ? Failure(.closed, "The engine was closed.") : foreign
  }

  /// Makes a handle invalid and gives back its engine.
  static func remove(_ handle: OpaquePointer?) throws(Failure) -> Engine {
    let engine = try unsafe engine(handle)
    let place = try unsafe place(handle)
    withSlots { slots in
      if slots[place.index].generation == place.generation { slots[place.index].engine = nil }
    }
    return engine
  }

  /// In the child of a fork, gives up the engines of the parent; their handles stay, and say FORKED.
  static func leaveToParent() {
    for engine in withSlots({ slots in slots.compactMap(\.engine) }) { engine.leaveToParent() }
  }

  private static func place(_ handle: OpaquePointer?) throws(Failure) -> (index: Int, generation: UInt32) {
    let bits = UInt(bitPattern: handle)
    guard bits != 0 else { throw Failure(.handle, field: "engine", "The handle is null.") }
    let number = bits >> tagBits
    let index = Int(number & ((1 << slotBits) - 1)) - 1
    guard bits & ((1 << tagBits) - 1) == tag, index >= 0, number >> slotBits <= UInt(UInt32.max) else { throw foreign }
    return (index, UInt32(number >> slotBits))
  }

  private static let foreign = Failure(.handle, field: "engine", "The handle is not one that this library gave out.")
}
