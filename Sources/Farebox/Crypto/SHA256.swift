internal import CCrypto

/// SHA-256 over bytes as they come. The state is inline; nothing is allocated.
package struct SHA256Hasher: ~Copyable {
  private var state: SHA256_CTX

  package init() {
    state = SHA256_CTX()
    unsafe SHA256_Init(&state)
  }

  /// Continues from a state that was saved by `midstate`.
  package init(midstate: SHA256Midstate) {
    state = midstate.state
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    unsafe SHA256_Update(&state, bytes.baseAddress, bytes.count)
  }

  package mutating func update(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  package mutating func update(_ bytes: Span<UInt8>) {
    // A byte has no padding, so that reading it raw reads nothing uninitialised.
    unsafe update(bytes.bytes)
  }

  /// What has been hashed so far, to begin several messages with it.
  package var midstate: SHA256Midstate { SHA256Midstate(state: state) }

  package consuming func finish() -> Digest {
    var words: InlineArray<4, UInt64> = [0, 0, 0, 0]
    _ = unsafe withUnsafeMutableBytes(of: &words) { buffer in
      unsafe SHA256_Final(buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), &state)
    }
    return Digest(words[0].bigEndian, words[1].bigEndian, words[2].bigEndian, words[3].bigEndian)
  }

  package static func hash(_ bytes: RawSpan) -> Digest {
    var hasher = SHA256Hasher()
    hasher.update(bytes)
    return hasher.finish()
  }

  package static func hash(_ bytes: Span<UInt8>) -> Digest {
    unsafe hash(bytes.bytes)
  }
}

/// A copy of a hasher's state: plain data.
package struct SHA256Midstate: Sendable {
  fileprivate let state: SHA256_CTX
}
