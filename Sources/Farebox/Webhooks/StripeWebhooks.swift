internal import FareboxCore

/// `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>...]`.
///
/// Signed is `<t as a number>.<body>`, and the key is the whole text of the secret, `whsec_` included. Where the header
/// is read more strictly than Stripe's library reads it, nothing that Stripe sends is refused: a `t` with spaces,
/// underscores or beyond 64 bits, and more than sixteen signatures.
extension WebhookRequest {
  func verifyStripe(_ age: WebhookAge) throws(Failure) {
    guard unsafe !signature.isEmpty else { throw .webhookSignatureMissing }
    try unsafe checkTextSecrets()
    let header = unsafe signature.span
    let (seconds, signatures) = try StripeHeader.read(header)
    guard signatures.count > 0 else {
      throw Failure(.signatureMissing, field: "signature", "The header has no signature of version v1.")
    }
    guard unsafe matchesStripe(header, seconds, signatures) else { throw .webhookSignatureMismatch }
    try age.checkNotTooOld(seconds)
  }

  private func matchesStripe(_ header: Span<UInt8>, _ seconds: Int64, _ signatures: SignatureList) -> Bool {
    for index in unsafe secrets.indices {
      let secret = unsafe secrets[index]
      let expected = unsafe StripeHeader.authenticate(body.span, at: seconds, secret: secret.span).hexCharacters
      for index in 0..<signatures.count {
        let entry = signatures[index]
        if constantTimeEqual(expected.span, header.extracting(entry.start..<entry.end)) { return true }
      }
    }
    return false
  }
}

enum StripeHeader {
  /// Reads the first `t` and every `v1`; other items are for others.
  ///
  /// - Throws: `signatureMalformed` without a readable `t` or with a `t` or `v1` that has no value.
  static func read(_ header: Span<UInt8>) throws(Failure) -> (seconds: Int64, SignatureList) {
    var signatures = SignatureList()
    var seconds: Int64?
    var hasTime = false
    var start = 0
    while start <= header.count {
      var end = start
      var nameEnd = -1
      var valueEnd = -1
      while end < header.count, header[end] != UInt8(ascii: ",") {
        if header[end] == UInt8(ascii: "=") {
          if nameEnd < 0 { nameEnd = end } else if valueEnd < 0 { valueEnd = end }
        }
        end += 1
      }
      // An item is name=value; what follows a second "=" is dropped, as Stripe's library drops it.
      let value = nameEnd + 1..<(valueEnd < 0 ? end : valueEnd)
      let name = (nameEnd < 0 ? end : nameEnd) - start
      if name == 1, header[start] == UInt8(ascii: "t") {
        guard nameEnd >= 0 else { throw unreadable }
        if !hasTime { seconds = UnixSeconds.read(header.extracting(value)) }
        hasTime = true
      } else if name == 2, header[start] == UInt8(ascii: "v"), header[start + 1] == UInt8(ascii: "1") {
        guard nameEnd >= 0 else { throw unreadable }
        try signatures.append(.v1, value.lowerBound, value.upperBound)
      }
      start = end + 1
    }
    guard let seconds else { throw unreadable }
    return (seconds, signatures)
  }

  static func authenticate(_ body: Span<UInt8>, at seconds: Int64, secret: Span<UInt8>) -> Digest {
    let key = HMACKey(secret)
    var hasher = key.begin()
    UnixSeconds.hash(seconds, afterStop: false, into: &hasher)
    hasher.update(body)
    return key.finish(hasher)
  }

  private static var unreadable: Failure {
    Failure(.signatureMalformed, field: "signature", "The header is not t=<seconds>,v1=<signature>.")
  }
}
