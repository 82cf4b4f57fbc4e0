internal import Farebox
internal import FareboxCore

/// The signature beside a manifest: `{"key": "base64", "signature": "base64"}` in `NAME.farebox.json.sig`.
///
/// It is Ed25519 over a line that says what is signed and the bytes of the manifest, which has the digests of the files.
struct ManifestSignature {
  let key: PublicKey
  private let signature: [UInt8]

  static let suffix = ".sig"
  /// Bytes of the signature's file.
  static let longest = 4_096
  private static let purpose = "farebox-plugin-manifest-1\n"

  /// Reads the file of a signature.
  ///
  /// - Throws: `pluginUntrusted`.
  static func parse(_ bytes: [UInt8], path: String) throws(Failure) -> ManifestSignature {
    do throws(Failure) {
      var fields = try ManifestFields.read(JSON.parse(bytes))
      let keyText = try ManifestFields.text("key", &fields, limit: 64)
      let signatureText = try ManifestFields.text("signature", &fields, limit: 128)
      try fields.finish()
      guard let key = PublicKey(base64: keyText) else { throw fields.wrong("key", "is not a public key in Base64") }
      guard let signature = Base64.bytes(signatureText), signature.count == Ed25519.signatureSize else {
        throw fields.wrong("signature", "is not a signature in Base64")
      }
      return ManifestSignature(key: key, signature: signature)
    } catch {
      throw Failure(.pluginUntrusted, field: error.field, "'\(path)' cannot be read: \(error.message)")
    }
  }

  /// Whether the holder of the key signed this manifest.
  func isValid(for manifest: [UInt8]) -> Bool {
    Ed25519.verify(
      signature.span, of: ManifestSignature.message(manifest).span, publicKey: key.bytes.span)
  }

  /// The file of a signature by the private key of a seed.
  ///
  /// - Throws: `secretInvalid` for a seed that is not 32 bytes; `internal`.
  static func file(for manifest: [UInt8], seed: [UInt8]) throws(Failure) -> (key: PublicKey, text: String) {
    let signature = try Ed25519.sign(message(manifest).span, seed: seed.span)
    let bytes = try Ed25519.publicKey(seed: seed.span)
    guard let key = PublicKey(bytes: bytes.indices.map { bytes[$0] }) else {
      throw Failure(.internal, "A public key has another size than a public key.")
    }
    let text = Base64.text(signature.indices.map { signature[$0] })
    return (key, "{\"key\": \"\(key.base64)\", \"signature\": \"\(text)\"}\n")
  }

  private static func message(_ manifest: [UInt8]) -> [UInt8] {
    Array(purpose.utf8) + manifest
  }
}
