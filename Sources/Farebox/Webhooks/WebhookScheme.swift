/// How a webhook is signed; the raw values are those of `farebox_webhook_scheme`.
public enum WebhookScheme: Int32, Sendable, CaseIterable {
  /// Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp` and `webhook-signature`.
  case standard = 0
  /// `Stripe-Signature: t=...,v1=...`.
  case stripe = 1
  /// `X-Robutler-Signature`: the body's HMAC in hexadecimal, without a time.
  case robutler = 2
}

extension WebhookScheme {
  /// The name in every language.
  public var name: String {
    switch self {
    case .standard: "standard"
    case .stripe: "stripe"
    case .robutler: "robutler"
    }
  }

  public init?(name: String) {
    guard let scheme = WebhookScheme.allCases.first(where: { $0.name == name }) else { return nil }
    self = scheme
  }
}
