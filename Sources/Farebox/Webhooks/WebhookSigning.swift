public import FareboxCore

/// Signs a webhook: the value of `webhook-signature`, `Stripe-Signature` or `X-Robutler-Signature`.
///
/// - Parameters:
///   - secret: as for verification; of the standard scheme a `whsec_` or, for an Ed25519 signature, a `whsk_`.
///   - id: of the standard scheme, without a full stop, which separates what is signed.
///   - seconds: since 1970; not used by robutler.
/// - Throws: `secretInvalid`, `invalidArgument` or `tooLong`, blaming `secret`, `id`, `seconds` or `body`.
public func signWebhook(
  scheme: WebhookScheme, body: Span<UInt8>, secret: String, id: String = "", seconds: Int64 = 0
) throws(Failure) -> String {
  guard body.count <= Limits.webhookBody else {
    throw Failure(.tooLong, field: "body", "The body is longer than a webhook may be.")
  }
  guard secret.utf8.count <= Limits.webhookSecret else {
    throw Failure(.tooLong, field: "secret", "The secret is longer than it may be.")
  }
  guard seconds >= 0 else {
    throw Failure(.invalidArgument, field: "seconds", "A webhook is not signed before 1970.")
  }
  let secretBytes = Array(secret.utf8)
  switch scheme {
  case .standard:
    return try signStandard(body, secretBytes.span, id, seconds)
  case .stripe:
    guard !secretBytes.isEmpty else { throw Failure(.secretInvalid, field: "secret", "The secret is empty.") }
    let signature = StripeHeader.authenticate(body, at: seconds, secret: secretBytes.span)
    return "t=\(seconds),v1=\(signature.hex)"
  case .robutler:
    guard !secretBytes.isEmpty else { throw Failure(.secretInvalid, field: "secret", "The secret is empty.") }
    return HMACKey(secretBytes.span).authenticate(body).hex
  }
}

private func signStandard(
  _ body: Span<UInt8>, _ secretText: Span<UInt8>, _ id: String, _ seconds: Int64
) throws(Failure) -> String {
  guard !id.isEmpty, id.utf8.count <= Limits.webhookID, !id.utf8.contains(UInt8(ascii: ".")) else {
    throw Failure(.invalidArgument, field: "id", "The id is empty, too long or has a full stop.")
  }
  var secret = StandardSecret()
  defer { secret.erase() }
  try secret.read(secretText, field: "secret")
  let id = Array(id.utf8)
  switch secret.kind {
  case .shared:
    let signature = secret.withBytes { key in
      StandardHeader.authenticate(id: id.span, seconds: seconds, body: body, key: key)
    }
    let bytes = signature.bytes
    return "v1," + String(asciiCharacters: Base64.encode(bytes.span).span)
  case .privateKey:
    try secret.withBytes { key throws(Failure) in try checkPublicHalf(key) }
    let message = StandardHeader.message(id: id.span, seconds: seconds, body: body)
    let signature = try secret.withBytes { key throws(Failure) in
      try Ed25519.sign(message.span, seed: key.extracting(..<Ed25519.keySize))
    }
    return "v1a," + String(asciiCharacters: Base64.encode(signature.span).span)
  case .publicKey:
    throw Failure(.secretInvalid, field: "secret", "A public key verifies webhooks; sign with the private one.")
  }
}

/// Refuses a private key of 64 bytes whose second half is not the public key of the first.
private func checkPublicHalf(_ key: Span<UInt8>) throws(Failure) {
  guard key.count > Ed25519.keySize else { return }
  let publicKey = try Ed25519.publicKey(seed: key.extracting(..<Ed25519.keySize))
  guard constantTimeEqual(publicKey.span, key.extracting(Ed25519.keySize...)) else {
    throw Failure(.secretInvalid, field: "secret", "The private key's two halves do not belong together.")
  }
}
