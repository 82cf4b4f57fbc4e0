internal import CLinux
internal import FareboxCore

/// Webhooks through the JSON door.
enum WebhookOperations {
  static let all: [Operation] = [verify]

  static let verify = Operation(
    "webhook.verify", "Verifies the signature and age of a webhook, and with `guard` that it was not seen before.",
    input: [
      OperationField("scheme", .text, "standard, stripe or robutler.", required: true),
      OperationField("body", .text, "The body as received, where it is text; or give body_base64."),
      OperationField("body_base64", .text, "The body as received."),
      OperationField("signature", .text, "The signature header.", required: true),
      OperationField("id", .text, "The webhook-id header, or the event's id for the guard."),
      OperationField("timestamp", .text, "The webhook-timestamp header."),
      OperationField("secrets", .list, "Any of them may match.", required: true),
      OperationField("tolerance_s", .integer, "Seconds; 300 where absent, negative for none."),
      OperationField("now", .integer, "Microseconds since 1970; the clock's where absent."),
      OperationField("guard", .flag, "Remember the id in the ledger and refuse it a second time."),
      OperationField(
        "sender", .text, "Whose ids the guard compares; where absent, the webhooks tried with any of the same secrets."),
    ],
    output: [OperationField("verified", .flag, "True; anything else is an error.")],
    errors: Status.table.filter { $0.family == .webhook }.map(\.status)
  ) { engine, input throws(Failure) in
    guard let scheme = WebhookScheme(name: input.text("scheme") ?? "") else {
      throw Failure(.invalidArgument, field: "scheme", "It is standard, stripe or robutler.")
    }
    let body = try body(input)
    var secrets: [String] = []
    for (index, secret) in input.list("secrets").enumerated() {
      guard let text = secret.string else {
        throw Failure(.invalidArgument, field: "secrets[\(index)]", "It must be a text.")
      }
      secrets.append(text)
    }
    let now = if let given = input.integer("now") { given } else { try engine.now() }
    try verifyWebhook(
      scheme: scheme, body: body.span, signature: input.text("signature") ?? "", id: input.text("id") ?? "",
      timestamp: input.text("timestamp") ?? "", secrets: secrets, now: now,
      toleranceSeconds: input.integer("tolerance_s") ?? 0)
    if input.flag("guard") {
      let arena = TextArena()
      let sender = try WebhookSender(name: input.text("sender"), secrets: secrets)
      try engine.guardAgainstReplay(scheme, id: arena.add(input.text("id")), of: sender)
    }
    return ["verified": true]
  }

  private static func body(_ input: OperationInput) throws(Failure) -> [UInt8] {
    guard let encoded = input.text("body_base64") else { return Array((input.text("body") ?? "").utf8) }
    let characters = Array(encoded.utf8)
    var decoded = [UInt8](repeating: 0, count: Base64.decodedCapacity(characters.count))
    var span = decoded.mutableSpan
    guard let count = Base64.decode(characters.span, into: &span) else {
      throw Failure(.invalidArgument, field: "body_base64", "It is not base64.")
    }
    return Array(decoded.prefix(count))
  }
}

extension Engine {
  /// The system's clock: microseconds since 1970.
  public static func systemTime() -> Int64 {
    farebox_wall_clock()
  }
}
