internal import Farebox

/// An Ed25519 public key.
package struct PublicKey: Hashable, Sendable {
  /// The 32 bytes.
  package let bytes: [UInt8]

  /// Reads Base64; nil for what is not 32 bytes.
  package init?(base64: String) {
    guard let bytes = Base64.bytes(base64), bytes.count == Ed25519.keySize else { return nil }
    self.bytes = bytes
  }

  package init?(bytes: [UInt8]) {
    guard bytes.count == Ed25519.keySize else { return nil }
    self.bytes = bytes
  }

  /// The key in Base64, as policies and signatures have it.
  package var base64: String { Base64.text(bytes) }
}
