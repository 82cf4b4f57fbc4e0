internal import FareboxCore

/// `X-Robutler-Signature`: the HMAC-SHA256 of the body in lower-case hexadecimal, keyed with the text of the secret.
///
/// The sender's own receiver compares the texts exactly, so that upper-case digits do not match there, nor here.
extension WebhookRequest {
  func verifyRobutler() throws(Failure) {
    guard unsafe !signature.isEmpty else { throw .webhookSignatureMissing }
    try unsafe checkTextSecrets()
    guard unsafe signature.count == 64, unsafe signature.allSatisfy(isLowercaseHex) else {
      throw Failure(
        .signatureMalformed, field: "signature", "The signature is not 64 lower-case hexadecimal digits.")
    }
    for index in unsafe secrets.indices {
      let secret = unsafe secrets[index]
      let expected = unsafe HMACKey(secret.span).authenticate(body.span).hexCharacters
      if unsafe constantTimeEqual(expected.span, signature.span) { return }
    }
    throw .webhookSignatureMismatch
  }
}

private func isLowercaseHex(_ character: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character)
    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(character)
}
