internal import CCrypto

/// Compares secrets in a time that depends on their length only.
func constantTimeEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
  guard left.count == right.count else { return false }
  return unsafe left.withUnsafeBufferPointer { first in
    unsafe right.withUnsafeBufferPointer { second in
      unsafe CRYPTO_memcmp(first.baseAddress, second.baseAddress, first.count) == 0
    }
  }
}

/// Overwrites the first bytes of a secret, or all of them, with zeros; the compiler cannot leave it out.
func wipe(_ secret: consuming MutableSpan<UInt8>, first count: Int = .max) {
  unsafe secret.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, min(count, $0.count)) }
}
