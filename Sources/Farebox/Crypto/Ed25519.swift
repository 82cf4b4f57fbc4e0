internal import CCrypto
package import FareboxCore

/// Ed25519 signatures (RFC 8032) over whole messages.
package enum Ed25519 {
  package static let keySize = 32
  package static let signatureSize = 64

  /// Whether the holder of a public key signed the message. A key or signature of another size has not.
  package static func verify(_ signature: Span<UInt8>, of message: Span<UInt8>, publicKey: Span<UInt8>) -> Bool {
    guard signature.count == signatureSize, publicKey.count == keySize,
      let key = EVPKey(publicKey: publicKey), let context = EVPDigestContext()
    else { return false }
    return unsafe context.withHandle { context in
      unsafe key.withHandle { key in
        guard unsafe EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { return false }
        return unsafe signature.withUnsafeBufferPointer { signature in
          unsafe message.withUnsafeBufferPointer { message in
            unsafe EVP_DigestVerify(
              context, signature.baseAddress, signature.count, message.baseAddress, message.count) == 1
          }
        }
      }
    }
  }

  /// Signs a message with the 32-byte seed of a private key.
  ///
  /// - Throws: `internal` when the library of the machine refuses; `secretInvalid` for a seed of another size.
  package static func sign(_ message: Span<UInt8>, seed: Span<UInt8>) throws(Failure) -> InlineArray<64, UInt8> {
    let key = try privateKey(seed)
    var signature = InlineArray<64, UInt8>(repeating: 0)
    guard let context = EVPDigestContext() else { throw Ed25519.refused }
    var span = signature.mutableSpan
    let signed = unsafe span.withUnsafeMutableBufferPointer { signature in
      unsafe context.withHandle { context in
        unsafe key.withHandle { key in
          guard unsafe EVP_DigestSignInit(context, nil, nil, nil, key) == 1 else { return false }
          var count = signature.count
          return unsafe message.withUnsafeBufferPointer { message in
            unsafe EVP_DigestSign(context, signature.baseAddress, &count, message.baseAddress, message.count) == 1
              && count == signatureSize
          }
        }
      }
    }
    guard signed else { throw Ed25519.refused }
    return signature
  }

  /// The public key that belongs to a seed.
  ///
  /// - Throws: as `sign`.
  package static func publicKey(seed: Span<UInt8>) throws(Failure) -> InlineArray<32, UInt8> {
    let key = try privateKey(seed)
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    let read = unsafe span.withUnsafeMutableBufferPointer { bytes in
      unsafe key.withHandle { key in
        var count = bytes.count
        return unsafe EVP_PKEY_get_raw_public_key(key, bytes.baseAddress, &count) == 1 && count == keySize
      }
    }
    guard read else { throw Ed25519.refused }
    return bytes
  }

  private static func privateKey(_ seed: Span<UInt8>) throws(Failure) -> EVPKey {
    guard seed.count == keySize else { throw Failure(.secretInvalid, "An Ed25519 seed has 32 bytes.") }
    guard let key = EVPKey(seed: seed) else { throw Ed25519.refused }
    return key
  }

  private static var refused: Failure { Failure(.internal, "The cryptography library refused an Ed25519 operation.") }
}

/// A key of libcrypto, freed with its owner.
@safe private struct EVPKey: ~Copyable {
  private let handle: OpaquePointer

  init?(publicKey: Span<UInt8>) {
    let made = unsafe publicKey.withUnsafeBufferPointer { bytes in
      unsafe EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes.baseAddress, bytes.count)
    }
    guard let made = unsafe made else { return nil }
    unsafe handle = made
  }

  init?(seed: Span<UInt8>) {
    let made = unsafe seed.withUnsafeBufferPointer { bytes in
      unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, bytes.baseAddress, bytes.count)
    }
    guard let made = unsafe made else { return nil }
    unsafe handle = made
  }

  deinit { unsafe EVP_PKEY_free(handle) }

  func withHandle<Result>(_ body: (OpaquePointer) -> Result) -> Result {
    unsafe body(handle)
  }
}

/// A digest context of libcrypto, freed with its owner.
@safe private struct EVPDigestContext: ~Copyable {
  private let handle: OpaquePointer

  init?() {
    guard let made = unsafe EVP_MD_CTX_new() else { return nil }
    unsafe handle = made
  }

  deinit { unsafe EVP_MD_CTX_free(handle) }

  func withHandle<Result>(_ body: (OpaquePointer) -> Result) -> Result {
    unsafe body(handle)
  }
}
