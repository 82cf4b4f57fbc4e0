import FareboxReference

extension SeededGenerator {
  /// A number whose size is as likely to be small as large.
  mutating func magnitude(below bits: Int) -> Int64 {
    let bits = Int.random(in: 0...bits, using: &self)
    return bits == 0 ? 0 : Int64(truncatingIfNeeded: next() >> (64 - UInt64(bits)))
  }
}
