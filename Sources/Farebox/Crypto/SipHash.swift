/// The secret of a SipHash: whoever does not know it cannot make keys collide.
struct SipHashKey: Hashable, Sendable {
  let word0: UInt64
  let word1: UInt64
}

/// SipHash-2-4 with 128 bits of result (Aumasson and Bernstein; the output rule is that of their reference code).
///
/// Sixteen random-looking bytes tell two idempotency keys apart, and cost a fraction of SHA-256. `low` holds the first
/// eight bytes of the reference's output, little-endian, `high` the last eight.
func sipHash128(_ bytes: UnsafeRawBufferPointer, key: SipHashKey) -> (low: UInt64, high: UInt64) {
  var state = SipState(key)
  let whole = bytes.count & ~7
  var offset = 0
  while offset < whole {
    state.absorb(unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    offset += 8
  }
  var last = UInt64(truncatingIfNeeded: bytes.count) << 56
  var shift: UInt64 = 0
  while offset < bytes.count {
    last |= unsafe UInt64(bytes[offset]) << shift
    shift += 8
    offset += 1
  }
  state.absorb(last)
  return state.finish()
}

private struct SipState {
  var v0: UInt64
  var v1: UInt64
  var v2: UInt64
  var v3: UInt64

  init(_ key: SipHashKey) {
    v0 = key.word0 ^ 0x736f_6d65_7073_6575
    v1 = key.word1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
    v2 = key.word0 ^ 0x6c79_6765_6e65_7261
    v3 = key.word1 ^ 0x7465_6462_7974_6573
  }

  mutating func absorb(_ word: UInt64) {
    v3 ^= word
    round()
    round()
    v0 ^= word
  }

  mutating func finish() -> (low: UInt64, high: UInt64) {
    v2 ^= 0xee
    for _ in 0..<4 { round() }
    let low = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xdd
    for _ in 0..<4 { round() }
    return (low, v0 ^ v1 ^ v2 ^ v3)
  }

  private mutating func round() {
    v0 &+= v1
    v1 = v1 << 13 | v1 >> 51
    v1 ^= v0
    v0 = v0 << 32 | v0 >> 32
    v2 &+= v3
    v3 = v3 << 16 | v3 >> 48
    v3 ^= v2
    v0 &+= v3
    v3 = v3 << 21 | v3 >> 43
    v3 ^= v0
    v2 &+= v1
    v1 = v1 << 17 | v1 >> 47
    v1 ^= v2
    v2 = v2 << 32 | v2 >> 32
  }
}
