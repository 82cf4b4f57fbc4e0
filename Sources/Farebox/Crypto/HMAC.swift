/// A key of HMAC-SHA256 (RFC 2104) with both pads already hashed, so that each message costs two blocks less.
struct HMACKey: Sendable {
  private let inner: SHA256Midstate
  private let outer: SHA256Midstate

  static let blockSize = 64

  init(_ key: Span<UInt8>) {
    var block = InlineArray<64, UInt8>(repeating: 0)
    if key.count <= HMACKey.blockSize {
      HMACKey.copy(key, to: &block)
    } else {
      HMACKey.copy(SHA256Hasher.hash(key).bytes.span, to: &block)
    }
    for index in block.indices { block[index] ^= 0x36 }
    inner = HMACKey.hashed(block.span)
    for index in block.indices { block[index] ^= 0x36 ^ 0x5c }
    outer = HMACKey.hashed(block.span)
    wipe(block.mutableSpan)
  }

  private static func copy(_ key: Span<UInt8>, to block: inout InlineArray<64, UInt8>) {
    unsafe withUnsafeMutableBytes(of: &block) { target in
      unsafe key.withUnsafeBytes { source in
        // The caller gives 64 bytes at most; the prefix bounds the copy all the same.
        unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source.prefix(target.count)))
      }
    }
  }

  private static func hashed(_ block: Span<UInt8>) -> SHA256Midstate {
    var hasher = SHA256Hasher()
    hasher.update(block)
    return hasher.midstate
  }

  /// Begins a message: feed it to the hasher, and give the hasher to `finish`.
  func begin() -> SHA256Hasher {
    SHA256Hasher(midstate: inner)
  }

  /// The authentication code of the message that was fed to a hasher of `begin`.
  func finish(_ message: consuming SHA256Hasher) -> Digest {
    let digest = message.finish().bytes
    var hasher = SHA256Hasher(midstate: outer)
    hasher.update(digest.span)
    return hasher.finish()
  }

  /// The authentication code of one message.
  func authenticate(_ message: Span<UInt8>) -> Digest {
    var hasher = begin()
    hasher.update(message)
    return finish(hasher)
  }
}
