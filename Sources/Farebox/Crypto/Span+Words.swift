extension Span<UInt8> {
  /// Eight bytes in the order of memory; they must lie within the span, which is checked.
  func loadEight(at offset: Int) -> UInt64 {
    // A byte has no padding, and every pattern of bits is an integer.
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }

  /// Where a byte first stands from `start` on, or `count`.
  func firstIndex(of byte: UInt8, from start: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var index = start
    while index + 8 <= count {
      let differences = UInt64(littleEndian: loadEight(at: index)) ^ UInt64(byte) &* ones
      // The lowest high bit stands in the first byte that is zero.
      let zeros = (differences &- ones) & ~differences & (ones << 7)
      if zeros != 0 { return index + zeros.trailingZeroBitCount >> 3 }
      index += 8
    }
    while index < count, self[index] != byte { index += 1 }
    return index
  }
}
