import FareboxCore
import Testing

@testable import Farebox

/// RFC 8032, section 7.1.
@Suite struct Ed25519Tests {
  struct Case: Sendable {
    let seed: String
    let publicKey: String
    let message: String
    let signature: String
  }

  static let cases = [
    Case(
      seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      message: "",
      signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        + "d25bf5f0595bbe24655141438e7a100b"),
    Case(
      seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      message: "72",
      signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        + "387b2eaeb4302aeeb00d291612bb0c00"),
    Case(
      seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      message: "af82",
      signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        + "4a7c15e9716ed28dc027beceea1ec40a"),
  ]

  @Test(arguments: cases)
  func `the published keys and signatures`(vector: Case) throws {
    let seed = bytes(vector.seed)
    let message = bytes(vector.message)
    let publicKey = bytes(vector.publicKey)
    let signature = bytes(vector.signature)
    let derived = try Ed25519.publicKey(seed: seed.span)
    let made = try Ed25519.sign(message.span, seed: seed.span)
    #expect(publicKey.indices.allSatisfy { derived[$0] == publicKey[$0] })
    #expect(signature.indices.allSatisfy { made[$0] == signature[$0] })
    #expect(verify(signature, message, publicKey))
  }

  @Test func `a change of any byte of the signature is refused`() {
    let message = bytes(Self.cases[1].message)
    let publicKey = bytes(Self.cases[1].publicKey)
    var signature = bytes(Self.cases[1].signature)
    for index in signature.indices {
      signature[index] ^= 1
      #expect(!verify(signature, message, publicKey))
      signature[index] ^= 1
    }
    #expect(!verify(signature, publicKey, publicKey))
  }

  @Test func `other sizes are refused`() {
    let message = bytes(Self.cases[1].message)
    let publicKey = bytes(Self.cases[1].publicKey)
    let signature = bytes(Self.cases[1].signature)
    #expect(!verify(Array(signature[..<63]), message, publicKey))
    #expect(!verify(signature, message, Array(publicKey[..<31])))
    #expect(throws: Failure.self) { try Ed25519.sign(message.span, seed: publicKey.span.extracting(..<31)) }
  }

  private func verify(_ signature: [UInt8], _ message: [UInt8], _ publicKey: [UInt8]) -> Bool {
    Ed25519.verify(signature.span, of: message.span, publicKey: publicKey.span)
  }

  private func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
