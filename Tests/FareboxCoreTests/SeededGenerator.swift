/// SplitMix64: a sequence that a printed seed repeats.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number whose size is as likely to be small as large.
  mutating func magnitude(below bits: Int) -> Int64 {
    let bits = Int.random(in: 0...bits, using: &self)
    return bits == 0 ? 0 : Int64(truncatingIfNeeded: next() >> (64 - UInt64(bits)))
  }

  /// A seed of this run, to be printed with what fails.
  static func seed() -> UInt64 {
    UInt64.random(in: 0...UInt64.max)
  }
}
