public import FareboxCore

/// Operations of the JSON door, by name.
public struct OperationTable: Sendable {
  public let all: [Operation]
  private let byName: [String: Operation]

  /// The engine's own operations, capability by capability.
  public static let engine = OperationTable(
    MoneyOperations.all + AccountOperations.all + TransferOperations.all + ChargeOperations.all + HoldOperations.all
      + CallOperations.all
      + BudgetOperations.all + PriceOperations.all + SkillOperations.all + WebhookOperations.all
      + RunOperations.all + LedgerOperations.all + MetricsOperations.all + UpkeepOperations.all)

  package init(_ operations: [Operation]) {
    all = operations
    byName = Dictionary(uniqueKeysWithValues: operations.map { ($0.name, $0) })
  }

  /// The operation of a name, or nil.
  public func find(_ name: String) -> Operation? {
    byName[name]
  }
}

extension Engine {
  /// Carries out an operation: JSON in, JSON out.
  ///
  /// - Throws: `unknownOperation`, `invalidJSON`, `unknownField`, `missingField`, and what the operation throws.
  public func call(
    _ operation: BorrowedText, _ input: BorrowedText, of table: OperationTable = .engine
  ) throws(Failure) -> String {
    try checkUsable()
    guard operation.count <= Limits.toolName, let name = operation.string, let found = table.find(name) else {
      throw Failure(.unknownOperation, field: "operation", "There is no operation '\(operation.shown)'.")
    }
    guard input.count <= Limits.jsonBytes else {
      throw Failure(.tooLong, field: "input", "An input has at most \(Limits.jsonBytes) bytes.")
    }
    let json = input.isEmpty ? JSON.object(JSONObject()) : try JSON.parse(unsafe [UInt8](input.bytes))
    return try found.run(self, OperationInput(json, for: found)).serialized()
  }

  /// Carries out an operation for callers in Swift.
  public func call(
    _ operation: String, _ input: JSON = .object(JSONObject()), of table: OperationTable = .engine
  ) throws(Failure) -> JSON {
    try checkUsable()
    guard let found = table.find(operation) else {
      throw Failure(.unknownOperation, field: "operation", "There is no operation of this name.")
    }
    return try found.run(self, OperationInput(input, for: found))
  }
}

/// What `farebox_describe` tells.
public enum Description {
  public static func json(version: UInt32, _ operations: OperationTable) -> JSON {
    [
      "version": .int(Int64(version)),
      "statuses": .array(
        Status.table.map { entry in
          [
            "code": .int(Int64(entry.status.rawValue)), "name": .string(entry.name),
            "family": .string(entry.family.rawValue), "retryable": .bool(entry.retryable), "doc": .string(entry.doc),
          ]
        }),
      "refusals": .array(PaymentRefusal.table.map(\.json)),
      "operations": .array(operations.all.map(\.json)),
      "limits": Limits.json,
      "settlements": Settlement.json,
    ]
  }
}

extension PaymentRefusal.Row {
  fileprivate var json: JSON {
    [
      "cause": .string(cause.rawValue), "code": status.map { .int(Int64($0.rawValue)) } ?? .null,
      "status": .string(status?.entry?.name ?? ""), "fields": .array(fields.map { .string($0) }),
      "payment_url": .bool(takesURL), "user_message": .string(PaymentRefusal.sentence(cause, .pay)),
      "example": .string(
        PaymentRefusal.sentence(
          cause, .run, tool: "search", resets: "2026-12-02 00:00 UTC", paymentURL: "https://example.com/credit")),
    ]
  }
}

extension Limits {
  static var json: JSON {
    [
      "account_name_bytes": .int(Int64(accountName)), "account_depth": .int(Int64(accountDepth)),
      "tool_name_bytes": .int(Int64(toolName)), "tool_reference_bytes": .int(Int64(toolReference)),
      "asset_code_bytes": .int(Int64(assetCode)),
      "idempotency_key_bytes": .int(Int64(key)), "run_bytes": .int(Int64(identifier)),
      "run_bytes_kept": .int(Int64(runID)),
      "description_bytes": .int(Int64(description)), "metadata_bytes": .int(Int64(metadata)),
      "json_bytes": .int(Int64(Limits.jsonBytes)), "json_depth": .int(Int64(jsonDepth)),
      "payment_url_bytes": .int(Int64(paymentURL)),
      "postings": .int(Int64(postings)), "capture_lines": .int(Int64(captureLines)),
      "recipients": .int(Int64(recipients)), "batch": .int(Int64(batch)),
      "price_tiers": .int(Int64(tiers)), "price_components": .int(Int64(components)),
      "budgets_per_account": .int(Int64(budgets)), "thresholds_per_budget": .int(Int64(thresholds)),
      "charges_per_hour": .int(Int64(ratePerHour)), "page_rows": .int(Int64(page)),
      "webhook_body_bytes": .int(Int64(webhookBody)), "webhook_secrets": .int(Int64(webhookSecrets)),
      "webhook_signature_bytes": .int(Int64(webhookSignature)), "webhook_secret_bytes": .int(Int64(webhookSecret)),
      "webhook_id_bytes": .int(Int64(webhookID)), "webhook_sender_bytes": .int(Int64(webhookSender)),
      "skill_value_key_bytes": .int(Int64(skillValueKey)), "skill_value_bytes": .int(Int64(skillValue)),
      "skill_value_keys": .int(Int64(skillValueKeys)),
      "plugin_sentence_bytes": .int(Int64(pluginSentence)), "plugin_log_line_bytes": .int(Int64(pluginLogLine)),
      "plugin_log_lines": .int(Int64(pluginLogLines)), "plugin_writes": .int(Int64(pluginWrites)),
      "hold_ms": .int(holdMilliseconds), "engines": .int(Int64(engines)),
      "signature_bytes": .int(Int64(signature)), "signature_parameters": .int(Int64(signatureParameters)),
      "parameter_name_bytes": .int(Int64(parameterName)), "metered_functions": .int(Int64(meteredFunctions)),
      "closures": .int(Int64(closures)), "call_frames": .int(Int64(callFrames)),
    ]
  }
}
