import FareboxCore
import Testing

@testable import Farebox

/// FIPS 180-4 and RFC 4231.
@Suite struct SHA256Tests {
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func `the published digests`(message: String, digest: String) {
    let hashed = SHA256Hasher.hash(Array(message.utf8).span)
    #expect(hashed.hex == digest)
  }

  @Test func `a million times a, in pieces of many sizes`() {
    var hasher = SHA256Hasher()
    let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 997)
    var rest = 1_000_000
    var size = 0
    while rest > 0 {
      size = min(rest, (size + 1) % letters.count)
      hasher.update(letters.span.extracting(..<size))
      rest -= size
    }
    let digest = hasher.finish()
    #expect(digest.hex == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func `a digest is its bytes`() throws {
    let abc = Array("abc".utf8)
    let digest = SHA256Hasher.hash(abc.span)
    let bytes = digest.bytes
    let read = Digest(bytes: bytes.span)
    let short = Digest(bytes: abc.span)
    #expect(read == digest)
    #expect(bytes[0] == 0xba && bytes[31] == 0xad)
    #expect(short == nil)
    #expect(MemoryLayout<Digest>.size == 32)
  }

  @Test func `every hexadecimal digit`() {
    let digest = Digest(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 0, .max)
    #expect(digest.hex == "0123456789abcdeffedcba98765432100000000000000000ffffffffffffffff")
  }

  @Test func `a midstate begins several messages`() {
    var hasher = SHA256Hasher()
    hasher.update(Array("ab".utf8).span)
    let midstate = hasher.midstate
    for _ in 0..<2 {
      var rest = SHA256Hasher(midstate: midstate)
      rest.update(Array("c".utf8).span)
      let digest = rest.finish()
      #expect(digest.hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
  }
}

@Suite struct HMACTests {
  @Test(arguments: [
    (
      [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    ),
    (
      Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ),
    (
      [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
    ),
    (
      [UInt8](1...25), [UInt8](repeating: 0xcd, count: 50),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
    ),
    (
      [UInt8](repeating: 0xaa, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ),
    (
      [UInt8](repeating: 0xaa, count: 131),
      Array(
        ("This is a test using a larger than block-size key and a larger than block-size data. "
          + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
    ),
  ])
  func `the cases of RFC 4231`(key: [UInt8], message: [UInt8], code: String) {
    let key = HMACKey(key.span)
    for _ in 0..<2 {
      let made = key.authenticate(message.span)
      #expect(made.hex == code)
    }
  }
}

@Suite struct CryptoEdgeTests {
  @Test func `constant-time equality`() {
    func equal(_ left: String, _ right: String) -> Bool {
      constantTimeEqual(Array(left.utf8).span, Array(right.utf8).span)
    }
    #expect(equal("abc", "abc"))
    #expect(!equal("abc", "abd"))
    #expect(!equal("abc", "ab"))
    #expect(!equal("", "a"))
    #expect(equal("", ""))
  }

  @Test func `random words differ`() throws {
    let words = try (0..<64).map { _ in try SecureRandom.word() }
    #expect(Set(words).count == 64)
  }

  @Test func `wiped bytes are zero`() {
    var bytes = [UInt8](repeating: 7, count: 40)
    wipe(bytes.mutableSpan)
    #expect(bytes.allSatisfy { $0 == 0 })
  }
}

@Suite struct Base64Tests {
  @Test func `what is encoded is decoded`() throws {
    for count in 0..<200 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ count) }
      let text = Base64.encode(bytes.span)
      #expect(text.count % 4 == 0)
      #expect(decode(text) == bytes)
      #expect(decode(text.filter { $0 != UInt8(ascii: "=") }) == bytes)
    }
  }

  @Test func `every byte that is not of the alphabet is refused, at every place`() {
    let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    for place in 0..<12 {
      for byte in UInt8.min...UInt8.max {
        var text = Array("AAAAAAAAAAAA".utf8)
        text[place] = byte
        let isPadding = byte == UInt8(ascii: "=") && place == 11
        #expect((decode(text) != nil) == (alphabet.contains(byte) || isPadding))
      }
    }
  }

  @Test(arguments: [
    ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar"), ("+/+/", "\u{fb}\u{ff}\u{bf}"),
  ])
  func `the cases of RFC 4648`(text: String, decoded: String) {
    #expect(decode(Array(text.utf8)) == decoded.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
  }

  @Test(arguments: ["A", "AAAAA", "=", "==", "====", "A===", "AA=", "AAA==", "AA=A", "AA==AAAA"])
  func `broken padding is refused`(text: String) {
    #expect(decode(Array(text.utf8)) == nil)
  }

  @Test func `too little room is refused`() {
    var room = [UInt8](repeating: 0, count: 7)
    var span = room.mutableSpan
    let decoded = Base64.decode(Array("AAAAAAAA".utf8).span, into: &span)
    #expect(decoded == nil)
  }

  private func decode(_ text: [UInt8]) -> [UInt8]? {
    var room = [UInt8](repeating: 0, count: Base64.decodedCapacity(text.count))
    var span = room.mutableSpan
    guard let count = Base64.decode(text.span, into: &span) else { return nil }
    return Array(room[..<count])
  }
}
