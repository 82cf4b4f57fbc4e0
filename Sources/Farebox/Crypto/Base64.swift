/// Base64 of RFC 4648 with the standard alphabet, in a time that does not depend on the characters.
package enum Base64 {
  /// The bytes of a text, or nil where it is not base64.
  package static func bytes(_ text: String) -> [UInt8]? {
    let characters = Array(text.utf8)
    var bytes = [UInt8](repeating: 0, count: decodedCapacity(characters.count))
    var output = bytes.mutableSpan
    guard let count = decode(characters.span, into: &output) else { return nil }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  /// The text of bytes, with padding.
  package static func text(_ bytes: [UInt8]) -> String {
    String(decoding: encode(bytes.span), as: UTF8.self)
  }

  /// Decodes a text to the front of `output`; nil leaves `output` undefined.
  ///
  /// Padding may be left out, but where it is written it must be complete. Unused bits of the last character are
  /// ignored, as the reference libraries ignore them. No other character is skipped.
  ///
  /// - Parameter output: room for `decodedCapacity(text.count)` bytes; less gives nil.
  /// - Returns: the count of decoded bytes, or nil.
  static func decode(_ text: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Int? {
    var count = text.count
    if count & 3 == 0, count > 0, text[count - 1] == equals {
      count -= text[count - 2] == equals ? 2 : 1
    }
    guard count & 3 != 1, output.count >= decodedCapacity(count) else { return nil }
    // A byte has no padding, and every pattern of bits is a byte.
    var target = unsafe output.mutableBytes
    var invalid: UInt64 = 0
    var written = 0
    for offset in stride(from: 0, to: count, by: 8) {
      let (bits, unknown) = decodeEight(eight(text, at: offset, end: count))
      invalid |= unknown
      target.storeBytes(of: (bits << 16).bigEndian, toByteOffset: written, as: UInt64.self)
      written += 6
    }
    return invalid == 0 ? count * 3 / 4 : nil
  }

  /// The room that `decode` wants for this many characters: six bytes for every eight, and two that it spills.
  static func decodedCapacity(_ characters: Int) -> Int {
    (characters + 7) / 8 * 6 + 2
  }

  /// Encodes with padding.
  static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var offset = 0
    while offset < bytes.count {
      let rest = bytes.count - offset
      var bits = UInt32(bytes[offset]) << 16
      if rest > 1 { bits |= UInt32(bytes[offset + 1]) << 8 }
      if rest > 2 { bits |= UInt32(bytes[offset + 2]) }
      text.append(character(bits >> 18 & 63))
      text.append(character(bits >> 12 & 63))
      text.append(rest > 1 ? character(bits >> 6 & 63) : equals)
      text.append(rest > 2 ? character(bits & 63) : equals)
      offset += 3
    }
    return text
  }

  private static let equals = UInt8(ascii: "=")

  /// Eight characters from `offset` on, the first in the highest byte, filled up with "A", whose value is 0.
  private static func eight(_ text: Span<UInt8>, at offset: Int, end: Int) -> UInt64 {
    if offset + 8 <= end { return text.loadEight(at: offset).bigEndian }
    var characters: UInt64 = 0
    for index in offset..<offset + 8 {
      characters = characters << 8 | UInt64(index < end ? text[index] : UInt8(ascii: "A"))
    }
    return characters
  }

  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// The 48 bits of eight characters, all eight at once; `unknown` is 0 if each is of the alphabet.
  private static func decodeEight(_ characters: UInt64) -> (bits: UInt64, unknown: UInt64) {
    // 1 in each byte whose character is at least `bound`. Sums stay within their bytes, for characters are below 128.
    let ascii = characters & ~highs
    func atLeast(_ bound: UInt8) -> UInt64 { (ascii &+ UInt64(128 - bound) &* ones) >> 7 & ones }
    let fromZero = atLeast(UInt8(ascii: "0"))
    let plus = atLeast(UInt8(ascii: "+")) &- atLeast(UInt8(ascii: "+") + 1)
    let slash = atLeast(UInt8(ascii: "/")) &- fromZero
    let digit = fromZero &- atLeast(UInt8(ascii: "9") + 1)
    let upper = atLeast(UInt8(ascii: "A")) &- atLeast(UInt8(ascii: "Z") + 1)
    let lower = atLeast(UInt8(ascii: "a")) &- atLeast(UInt8(ascii: "z") + 1)
    let known = plus &+ slash &+ digit &+ upper &+ lower
    // What must be added to each character, modulo 256: "A" is 0, "a" is 26, "0" is 52, "+" is 62, "/" is 63.
    let shift = plus &* 19 &+ slash &* 16 &+ digit &* 4 &+ upper &* 191 &+ lower &* 185
    let sum = (ascii &+ (shift & ~highs)) ^ (shift & highs)
    var bits = sum & 0x3f3f_3f3f_3f3f_3f3f
    bits = (bits & 0x3f00_3f00_3f00_3f00) >> 2 | bits & 0x003f_003f_003f_003f
    bits = (bits & 0x0fff_0000_0fff_0000) >> 4 | bits & 0x0000_0fff_0000_0fff
    bits = (bits & 0x00ff_ffff_0000_0000) >> 8 | bits & 0x0000_0000_00ff_ffff
    return (bits, (known ^ ones) | (characters & highs))
  }

  private static func character(_ sextet: UInt32) -> UInt8 {
    let value = UInt8(truncatingIfNeeded: sextet)
    return switch value {
    case ..<26: value + 65
    case ..<52: value + 71
    case ..<62: value - 4
    case 62: UInt8(ascii: "+")
    default: UInt8(ascii: "/")
    }
  }
}
