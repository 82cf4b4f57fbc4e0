/// A SHA-256 digest: 32 bytes as four words of plain data, the first byte in the highest bits of the first word.
///
/// Equality is not constant in time; what an attacker may probe is compared with `constantTimeEqual`.
public struct Digest: Hashable, Sendable {
  public let word0: UInt64
  public let word1: UInt64
  public let word2: UInt64
  public let word3: UInt64

  public static let byteCount = 32

  /// Thirty-two zero bytes, which no message is known to hash to.
  public static let zero = Digest(0, 0, 0, 0)

  public init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
    self.word0 = word0
    self.word1 = word1
    self.word2 = word2
    self.word3 = word3
  }

  /// Reads 32 bytes; any other count gives nil.
  public init?(bytes: Span<UInt8>) {
    guard bytes.count == Digest.byteCount else { return nil }
    func word(_ index: Int) -> UInt64 {
      var word: UInt64 = 0
      for offset in 0..<8 { word = word << 8 | UInt64(bytes[index * 8 + offset]) }
      return word
    }
    self.init(word(0), word(1), word(2), word(3))
  }

  /// The digest in the order of its bytes.
  public var bytes: InlineArray<32, UInt8> {
    let words: InlineArray<4, UInt64> = [word0.bigEndian, word1.bigEndian, word2.bigEndian, word3.bigEndian]
    // Both are 32 bytes of plain data.
    return unsafe unsafeBitCast(words, to: InlineArray<32, UInt8>.self)
  }

  /// The 64 characters of lower-case hexadecimal text, as ASCII.
  public var hexCharacters: InlineArray<64, UInt8> {
    let words: InlineArray<8, UInt64> = [
      Digest.hexWord(word0 >> 32), Digest.hexWord(word0), Digest.hexWord(word1 >> 32), Digest.hexWord(word1),
      Digest.hexWord(word2 >> 32), Digest.hexWord(word2), Digest.hexWord(word3 >> 32), Digest.hexWord(word3),
    ]
    // Both are 64 bytes of plain data.
    return unsafe unsafeBitCast(words, to: InlineArray<64, UInt8>.self)
  }

  /// The eight hexadecimal digits of the lower half of a word, in the order of memory.
  ///
  /// Arithmetic, not a table: the text may be an expected signature, and a look-up's time would depend on it.
  private static func hexWord(_ word: UInt64) -> UInt64 {
    var nibbles = word & 0xffff_ffff
    nibbles = (nibbles << 16 | nibbles) & 0x0000_ffff_0000_ffff
    nibbles = (nibbles << 8 | nibbles) & 0x00ff_00ff_00ff_00ff
    nibbles = (nibbles << 4 | nibbles) & 0x0f0f_0f0f_0f0f_0f0f
    // Adding 6 carries a digit above 9 into the upper half of its byte; 39 lies between "9" + 1 and "a".
    let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return (nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 39).bigEndian
  }

  /// Lower-case hexadecimal text.
  public var hex: String {
    String(asciiCharacters: hexCharacters.span)
  }
}

extension Digest: CustomStringConvertible {
  public var description: String { hex }
}

extension String {
  /// A text of characters known to be ASCII.
  init(asciiCharacters characters: Span<UInt8>) {
    unsafe self.init(unsafeUninitializedCapacity: characters.count) { buffer in
      for index in characters.indices { unsafe buffer[index] = characters[index] }
      return characters.count
    }
  }
}
