/// A webhook as it was received: borrowed bytes, which must live as long as the value is used.
///
/// An empty buffer is an absent header.
@unsafe public struct WebhookRequest {
  public var scheme: WebhookScheme
  /// The raw bytes as received; a body that was parsed and written again has another signature.
  public var body: UnsafeBufferPointer<UInt8>
  /// `webhook-signature`, `Stripe-Signature` or `X-Robutler-Signature`.
  public var signature: UnsafeBufferPointer<UInt8>
  /// `webhook-id`. The other schemes do not sign an id; for them it is only for the ledger's replay guard.
  public var id: UnsafeBufferPointer<UInt8>
  /// `webhook-timestamp`; absent for the other schemes.
  public var timestamp: UnsafeBufferPointer<UInt8>
  /// Any of them may match.
  public var secrets: UnsafeBufferPointer<UnsafeBufferPointer<UInt8>>

  public init(
    scheme: WebhookScheme, body: UnsafeBufferPointer<UInt8>, signature: UnsafeBufferPointer<UInt8>,
    id: UnsafeBufferPointer<UInt8>, timestamp: UnsafeBufferPointer<UInt8>,
    secrets: UnsafeBufferPointer<UnsafeBufferPointer<UInt8>>
  ) {
    unsafe self.scheme = scheme
    unsafe self.body = body
    unsafe self.signature = signature
    unsafe self.id = id
    unsafe self.timestamp = timestamp
    unsafe self.secrets = secrets
  }
}
