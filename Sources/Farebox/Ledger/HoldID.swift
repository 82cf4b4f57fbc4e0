/// What callers know a hold by: the number of its reservation, and thirteen bits of the engine that made it.
///
/// A reservation that was never made durable may be lost with the power, and its number is then given out again. The
/// bits of the engine that made it see to it that an id from before does not name somebody else's hold, but for one case
/// in 8,192. Together they are less than 2^53, so that an id is exact in any language's numbers.
struct HoldID: Equatable {
  let number: UInt64
  let tag: UInt32

  private static let numberBits: UInt64 = 40
  static let tagMask: UInt32 = (1 << 13) - 1

  init(number: UInt64, tag: UInt32) {
    self.number = number
    self.tag = tag
  }

  init(_ value: UInt64) {
    number = value & (1 << HoldID.numberBits - 1)
    tag = UInt32(truncatingIfNeeded: value >> HoldID.numberBits)
  }

  var value: UInt64 { UInt64(tag) << HoldID.numberBits | number }

  /// The tag as records of holds carry it, above the eight bits of the over-capture policy.
  static func tag(in detail: UInt32) -> UInt32 { detail >> 8 }
  var detail: UInt32 { tag << 8 }
}
