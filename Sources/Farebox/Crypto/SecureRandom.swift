internal import CCrypto
package import FareboxCore

/// The random bytes of the machine, fit for keys.
package enum SecureRandom {
  /// Fills a buffer.
  ///
  /// - Throws: `internal` when the machine has no entropy to give; the buffer is then not to be used.
  package static func fill(_ bytes: inout MutableSpan<UInt8>) throws(Failure) {
    let filled = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      guard let count = Int32(exactly: buffer.count) else { return false }
      return unsafe RAND_bytes(buffer.baseAddress, count) == 1
    }
    guard filled else { throw Failure(.internal, "The machine's random number generator failed.") }
  }

  /// One random word.
  ///
  /// - Throws: `internal`, as `fill`.
  package static func word() throws(Failure) -> UInt64 {
    var bytes = InlineArray<8, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    try fill(&span)
    var word: UInt64 = 0
    for index in bytes.indices { word = word << 8 | UInt64(bytes[index]) }
    return word
  }
}
