internal import FareboxCore

/// A secret of Standard Webhooks, decoded in place: `whsec_` or no prefix, `whpk_`, `whsk_`, each base64.
struct StandardSecret: ~Copyable {
  private(set) var kind = Kind.shared
  private var count = 0
  /// How far the storage was ever written.
  private var used = 0
  private var storage = InlineArray<386, UInt8>(repeating: 0)

  enum Kind {
    /// A key of HMAC-SHA256, at least one byte.
    case shared
    /// 32 bytes of an Ed25519 public key.
    case publicKey
    /// An Ed25519 seed, or the seed and its public key: for signing only.
    case privateKey
  }

  /// Replaces the secret by that of a text.
  ///
  /// - Throws: `secretInvalid`, blaming `field`.
  mutating func read(_ text: Span<UInt8>, field: @autoclosure () -> String) throws(Failure) {
    kind = .shared
    var prefix = 0
    if text.starts(with: "whsec_") {
      prefix = 6
    } else if text.starts(with: "whpk_") {
      kind = .publicKey
      prefix = 5
    } else if text.starts(with: "whsk_") {
      kind = .privateKey
      prefix = 5
    }
    used = max(used, min(Base64.decodedCapacity(text.count), storage.count))
    var output = storage.mutableSpan
    guard let decoded = Base64.decode(text.extracting(prefix...), into: &output) else {
      throw Failure(.secretInvalid, field: field(), "The secret is not base64.")
    }
    count = decoded
    switch kind {
    case .shared:
      guard count > 0 else { throw Failure(.secretInvalid, field: field(), "The secret is empty.") }
    case .publicKey:
      guard count == Ed25519.keySize else {
        throw Failure(.secretInvalid, field: field(), "The public key is not 32 bytes.")
      }
    case .privateKey:
      guard count == Ed25519.keySize || count == Ed25519.keySize * 2 else {
        throw Failure(.secretInvalid, field: field(), "The private key is not 32 or 64 bytes.")
      }
    }
  }

  /// Gives the decoded bytes to `body`.
  func withBytes<Result, E: Error>(_ body: (Span<UInt8>) throws(E) -> Result) throws(E) -> Result {
    try body(storage.span.extracting(..<count))
  }

  /// Overwrites the decoded bytes.
  mutating func erase() {
    wipe(storage.mutableSpan, first: used)
    count = 0
    used = 0
  }
}

extension Span<UInt8> {
  fileprivate func starts(with prefix: StaticString) -> Bool {
    let length = prefix.utf8CodeUnitCount
    guard count >= length else { return false }
    return prefix.withUTF8Buffer { prefix in
      for index in 0..<length where unsafe prefix[index] != self[index] { return false }
      return true
    }
  }
}
