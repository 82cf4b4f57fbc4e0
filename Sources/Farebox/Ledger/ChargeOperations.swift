internal import FareboxCore

/// Charges and refunds through the JSON door.
enum ChargeOperations {
  static let all: [Operation] = [create, createMany, refund]

  static let create = Operation(
    "charge.create", "Charges a payer at once: price, limits, transfer and split in one atomic step.",
    input: Shapes.charge + [
      OperationField("max_cost", .amount, "Refuse above this; unpriceable usage costs this."), Shapes.durability,
    ], output: Shapes.receipt, errors: paying
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    let attempt = PaymentAttempt.charge(arena.add(input.text("tool")))
    return try engine.receiptJSON(try Shapes.durability(input), for: attempt) { ledger, context throws(Rejection) in
      let request = try ledger.chargeRequest(input, arena, in: context)
      return try ledger.charge(request, at: context.time, in: context.store)
    }
  }

  static let createMany = Operation(
    "charge.create_many", "Charges many in one commit; each stands or falls alone.",
    input: [
      OperationField("charges", .list, "Each with the fields of charge.create, but durability.", required: true),
      Shapes.durability,
    ],
    output: [
      OperationField(
        "receipts", .list,
        "For each charge a receipt, or an error with status, message, field and, of a refusal, user_message.")
    ],
    errors: paying
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    var inputs: [OperationInput] = []
    guard input.list("charges").count <= Limits.batch else {
      throw Failure(.tooLong, field: "charges", "A batch has at most \(Limits.batch) charges.")
    }
    for charge in input.list("charges") { inputs.append(try OperationInput(charge, for: create)) }
    let requests = inputs
    let durability = try Shapes.durability(input) ?? engine.options.durability
    let (outcome, isUncommitted) = try engine.write(durability, isBatch: true) { ledger, context throws(Rejection) in
      var rows: [Result<(Receipt, ReceiptDetail), Failure>] = []
      for input in requests {
        do throws(Rejection) {
          let request = try ledger.chargeRequest(input, arena, in: context)
          let receipt = try ledger.charge(request, at: context.time, in: context.store)
          rows.append(.success((receipt, try ledger.detailed(receipt, in: context.store))))
        } catch {
          if error.storeFailure != nil { throw error }
          let attempt = PaymentAttempt.charge(arena.add(input.text("tool")))
          rows.append(.failure(engine.refusing(ledger.failure(error), attempt)))
        }
      }
      return rows
    }
    switch outcome {
    case .failure(let rejection): throw engine.failure(rejection)
    case .success(let rows):
      for row in rows {
        if case .failure(let failure) = row {
          engine.metrics.countCalls(failure.status)
        } else {
          engine.metrics.countCalls(.ok)
        }
      }
      return [
        "receipts": .array(
          rows.map { row in
            switch row {
            case .failure(let failure): return ["error": failure.json]
            case .success(let (receipt, detail)):
              var receipt = receipt
              receipt.isUncommitted = isUncommitted
              return Shapes.json(receipt, detail)
            }
          })
      ]
    }
  }

  static let refund = Operation(
    "charge.refund", "Returns a charge or capture to its payer, from everybody who got a share of it.",
    input: [
      OperationField("id", .integer, "The charge's number.", required: true),
      OperationField("amount", .amount, "A part of it; all that is left where absent."),
      OperationField("idempotency_key", .text, "The same key and request give the first receipt again."),
      OperationField("description", .text, "For people."),
    ], output: Shapes.receipt, errors: [.transferNotFound, .overRefund, .accountClosed, .keyConflict]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    let id = try input.number("id")
    return try engine.receiptJSON(nil) { ledger, context throws(Rejection) in
      let original: UInt16?
      do throws(Failure) {
        original = try ledger.withRecord(id, in: context.store) { record, _ throws(Failure) in record.asset }
      } catch {
        throw .failed(error)
      }
      let amount = try ledger.units(input, "amount", original ?? ledger.defaultAsset)
      return try ledger.refund(
        id, amount: amount, key: arena.add(input.text("idempotency_key")),
        description: input.text("description") ?? "", at: context.time, in: context.store)
    }
  }

  /// What every operation that takes money may answer.
  static let paying: [Status] = [
    .accountNotFound, .accountFrozen, .accountClosed, .assetNotFound, .toolNotFound, .toolAmbiguous, .toolDisabled,
    .rateCardNotFound, .rateAmbiguous,
    .insufficientFunds, .overBudget, .overCallCap, .overRunCap, .rateLimited, .unpriceable, .overMaxCost, .keyConflict,
    .overflow, .invalidAmount, .tooPrecise,
  ]
}

extension Failure {
  /// The failure as it stands in the results of a batch.
  var json: JSON {
    var object: JSONObject = [
      "status": .string(status.entry?.name ?? "INTERNAL"), "code": .int(Int64(status.rawValue)),
      "field": .string(field), "message": .string(message), "details": details,
    ]
    if refusal != nil { object.append("user_message", .string(userMessage)) }
    return .object(object)
  }
}
