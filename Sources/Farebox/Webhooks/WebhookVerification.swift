public import FareboxCore

/// Verifies the signature and age of a webhook; returning means that the body may be trusted.
///
/// Nothing is allocated unless a public key is among the secrets. A refusal blames `body`, `signature`, `id`,
/// `timestamp`, `secrets` or `secrets[n]` and repeats nothing of what these hold. Bounds come first; then each scheme
/// checks in the order of its reference library:
///
/// - standard: secrets, headers present, timestamp readable, not too old, not too new, signature;
/// - stripe: header present, secrets, header readable, a `v1` in it, signature, not too old. A timestamp in the future
///   is accepted, as Stripe's own library accepts it: the signature vouches for the time;
/// - robutler: header present, secrets, signature. There is no time in it, so only a replay guard stops a replay.
///
/// All secrets are checked before any is used: a broken second secret is reported at once, not in the week of rotation.
///
/// - Parameters:
///   - now: microseconds since 1970.
///   - toleranceSeconds: how far a timestamp may lie from `now`; 0 is 300, negative turns the check off.
/// - Throws: `tooLong`, `invalidArgument` or a status of the webhook family.
public func verifyWebhook(_ request: WebhookRequest, now: Int64, toleranceSeconds: Int64) throws(Failure) {
  try unsafe request.checkBounds()
  let age = WebhookAge(now: now, toleranceSeconds: toleranceSeconds)
  switch unsafe request.scheme {
  case .standard: try unsafe request.verifyStandard(age)
  case .stripe: try unsafe request.verifyStripe(age)
  case .robutler: try unsafe request.verifyRobutler()
  }
}

/// Verifies a webhook whose headers are texts; `body` holds the raw bytes as received. See the other form.
public func verifyWebhook(
  scheme: WebhookScheme, body: Span<UInt8>, signature: String, id: String = "", timestamp: String = "",
  secrets: [String], now: Int64, toleranceSeconds: Int64 = 0
) throws(Failure) {
  var bytes: [UInt8] = []
  var ends: [Int] = []
  for text in [signature, id, timestamp] + secrets {
    bytes.append(contentsOf: text.utf8)
    ends.append(bytes.count)
  }
  try unsafe body.withUnsafeBufferPointer { body throws(Failure) in
    try unsafe bytes.withUnsafeBufferPointer { bytes throws(Failure) in
      var start = 0
      var texts: [UnsafeBufferPointer<UInt8>] = unsafe []
      for end in ends {
        unsafe texts.append(UnsafeBufferPointer(rebasing: bytes[start..<end]))
        start = end
      }
      try unsafe texts.withUnsafeBufferPointer { texts throws(Failure) in
        let request = unsafe WebhookRequest(
          scheme: scheme, body: body, signature: texts[0], id: texts[1], timestamp: texts[2],
          secrets: UnsafeBufferPointer(rebasing: texts[3...]))
        try unsafe verifyWebhook(request, now: now, toleranceSeconds: toleranceSeconds)
      }
    }
  }
}

extension WebhookRequest {
  fileprivate func checkBounds() throws(Failure) {
    guard unsafe body.count <= Limits.webhookBody else {
      throw Failure(.tooLong, field: "body", "The body is longer than a webhook may be.")
    }
    guard unsafe signature.count <= Limits.webhookSignature else {
      throw Failure(.tooLong, field: "signature", "The signature header is longer than it may be.")
    }
    guard unsafe id.count <= Limits.webhookID else {
      throw Failure(.tooLong, field: "id", "The id is longer than it may be.")
    }
    guard unsafe secrets.count <= Limits.webhookSecrets else {
      throw Failure(.tooLong, field: "secrets", "There are more secrets than one webhook is tried with.")
    }
    for index in unsafe secrets.indices where unsafe secrets[index].count > Limits.webhookSecret {
      throw Failure(.tooLong, field: webhookSecretField(index), "The secret is longer than it may be.")
    }
    guard unsafe scheme == .standard || timestamp.isEmpty else {
      throw Failure(
        .invalidArgument, field: "timestamp", "This scheme has no timestamp of its own; one cannot be checked.")
    }
  }

  /// Refuses a list of secrets that is empty or has a blank one; for the schemes whose key is the text itself.
  func checkTextSecrets() throws(Failure) {
    guard unsafe !secrets.isEmpty else { throw .noWebhookSecret }
    for index in unsafe secrets.indices {
      guard unsafe secrets[index].contains(where: { !isBlank($0) }) else {
        throw Failure(.secretInvalid, field: webhookSecretField(index), "The secret is empty.")
      }
    }
  }
}

/// The path of a secret in a failure.
func webhookSecretField(_ index: Int) -> String {
  "secrets[\(index)]"
}

private func isBlank(_ character: UInt8) -> Bool {
  character == UInt8(ascii: " ") || (9...13).contains(character)
}

extension Failure {
  static var noWebhookSecret: Failure {
    Failure(.secretInvalid, field: "secrets", "There is no secret to verify the webhook with.")
  }

  static var webhookSignatureMissing: Failure {
    Failure(.signatureMissing, field: "signature", "The webhook has no signature header.")
  }

  static var webhookSignatureMismatch: Failure {
    Failure(.signatureMismatch, field: "signature", "No signature of the webhook matches any of the secrets.")
  }

  static var tooManyWebhookSignatures: Failure {
    Failure(.tooLong, field: "signature", "The header has more signatures than one webhook is tried with.")
  }
}

/// Decides whether a signed time is near enough to now.
struct WebhookAge {
  private let now: Int64
  private let tolerance: Int64?

  static let defaultToleranceSeconds: Int64 = 300

  init(now: Int64, toleranceSeconds: Int64) {
    self.now = now
    tolerance =
      switch toleranceSeconds {
      case 0: WebhookAge.defaultToleranceSeconds
      case ..<0: nil
      default: toleranceSeconds
      }
  }

  /// A time exactly at the tolerance is accepted.
  func checkNotTooOld(_ seconds: Int64) throws(Failure) {
    guard let tolerance, microseconds(seconds) < Int128(now) - microseconds(tolerance) else { return }
    throw Failure(.timestampTooOld, field: "timestamp", "The webhook was signed longer ago than the tolerance.")
  }

  /// A time exactly at the tolerance is accepted.
  func checkNotTooNew(_ seconds: Int64) throws(Failure) {
    guard let tolerance, microseconds(seconds) > Int128(now) + microseconds(tolerance) else { return }
    throw Failure(
      .timestampTooNew, field: "timestamp", "The webhook was signed further in the future than the tolerance.")
  }

  private func microseconds(_ seconds: Int64) -> Int128 {
    Int128(seconds) * 1_000_000
  }
}
