internal import FareboxCore
internal import FareboxStore

/// Metered calls through the JSON door; a hold's number is all that the end of a call needs.
enum CallOperations {
  static let all: [Operation] = [begin, finish]

  static let begin = Operation(
    "call.begin", "Holds money for a call of a tool that is about to run.",
    input: [
      OperationField("payer", .text, "The account that is charged; its wallet pays.", required: true),
      OperationField("tool", .text, "The tool whose price applies.", required: true),
      OperationField("run", .text, "The run that the call belongs to."),
      OperationField("call", .text, "The id that the framework gave the call; a repeat of it is charged once."),
      OperationField("parent", .text, "Of a call made inside another one: that call's key."),
      OperationField("arguments", .any, "What the tool is given: the same id with other arguments is another call."),
      OperationField("ordinal", .integer, "Counts calls that are alike in all of the above; 0 where absent."),
      OperationField("idempotency_key", .text, "A key instead of the one derived from the above."),
      OperationField("expected", .any, "An estimate of the usage: an object of counts by meter, or a number of units."),
      OperationField("amount", .amount, "What this call costs, where the tool's price is dynamic."),
      OperationField("max_cost", .amount, "Charge at most this."),
      OperationField("charge_afterwards", .flag, "Allow a price by usage without an estimate and without a maximum."),
      OperationField("release_unreported", .flag, "A call whose usage is never reported costs nothing."),
      OperationField("expires_in_ms", .integer, "How long the hold lasts; 900,000 where absent."), Shapes.durability,
    ],
    output: [
      OperationField("hold", .integer, "The hold's number, which finishes the call."),
      OperationField("held", .amount, "What is held."),
      OperationField("maximum", .amount, "What the call can cost at the most; null where nothing limits it."),
      OperationField("asset", .text, "The asset of both."),
      OperationField("price_version", .integer, "The price that applies."),
      OperationField("key", .text, "The parent of calls made inside this one; null where no call id is known."),
      OperationField("paid", .flag, "Whether an earlier try of the call was charged: this one costs nothing more."),
      OperationField("shared", .flag, "Whether another try of the call is under way and holds the money for both."),
    ], errors: ChargeOperations.paying + [.overMaxCost, .keyConflict]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    var request = BeginRequest()
    request.payer = arena.add(input.text("payer"))
    request.tool = arena.add(input.text("tool"))
    request.run = arena.add(input.text("run"))
    request.call = arena.add(input.text("call"))
    request.parent = arena.add(input.text("parent"))
    request.arguments = arena.add(input.value("arguments")?.canonical())
    request.key = arena.add(input.text("idempotency_key"))
    if input.value("ordinal") != nil {
      guard let ordinal = UInt32(exactly: try input.number("ordinal")) else {
        throw Failure(.invalidArgument, field: "ordinal", "It is at most \(UInt32.max).")
      }
      request.ordinal = ordinal
    }
    if let expected = input.value("expected") {
      var tally = Tally()
      try tally.add(expected, path: "expected")
      request.expected = tally
    }
    if let milliseconds = input.integer("expires_in_ms") { request.expiresInMilliseconds = milliseconds }
    if input.flag("charge_afterwards") { request.terms.insert(.chargesAfterwards) }
    if input.flag("release_unreported") { request.terms.insert(.releasesUnreported) }
    let asked = request
    let durability = try Shapes.durability(input)
    let (result, _) = try engine.write(durability ?? engine.holdDurability) { ledger, context throws(Rejection) in
      var request = asked
      let asset = try ledger.assetOfRequest(input, at: context.time)
      request.amount = try ledger.units(input, "amount", asset)
      request.maxCost = try ledger.units(input, "max_cost", asset)
      let call = try ledger.begin(request, at: context.time, in: context.store)
      // The hold of an earlier try has the asset that the price had then.
      let isRepeated = call.isPaid || call.isShared
      let held = isRepeated ? try ledger.meteredCall(HoldID(call.hold), in: context.store).asset : asset
      return CallOperations.json(call, ledger.state.catalog.assets[Int(held)])
    }
    switch result {
    case .success(let json): return json
    case .failure(let rejection):
      throw withExtendedLifetime(arena) { engine.refusing(engine.failure(rejection), .call(asked.tool)) }
    }
  }

  static let finish = Operation(
    "call.finish", "Charges a call that ended, or gives back what was held for it; again, it gives the first receipt.",
    input: [
      OperationField("hold", .integer, "The hold's number.", required: true),
      OperationField(
        "ending", .text, "`returned`, `reported_failure`, `failed` or `left`; returned where absent."),
      OperationField("delivered", .flag, "Whether items of a stream were delivered before the end."),
      OperationField("usage", .any, "What was used: an object of counts by meter, or a number of units."),
      OperationField("amount", .amount, "Of a dynamic price: replaces what the beginning said."),
      OperationField(
        "lines", .list, "What is charged beside: each with tool and usage, or amount and payee, and description."),
      OperationField("description", .text, "For people."), OperationField("metadata", .object, "For programs."),
      Shapes.durability,
    ], output: Shapes.receipt,
    errors: [.holdNotFound, .holdReleased, .unpriceable, .overflow, .accountFrozen, .accountClosed]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    var end = FinishRequest()
    if let name = input.text("ending") {
      guard let ending = CallEnding.allCases.first(where: { $0.name == name }) else {
        throw Failure(
          .invalidArgument, field: "ending",
          "It is one of \(CallEnding.allCases.map(\.name).joined(separator: ", ")).")
      }
      end.ending = ending
    }
    end.delivered = input.flag("delivered")
    if let usage = input.value("usage") { try end.recorded.add(usage) }
    end.description = arena.add(input.text("description"))
    end.metadata = arena.add(input.objectText("metadata"))
    let lines = try CallOperations.lines(input.list("lines"), arena)
    let number = try input.number("hold")
    let asked = end
    let durability =
      end.onlyReleases ? engine.holdDurability : try Shapes.durability(input) ?? engine.options.durability
    let (result, isUncommitted) = try engine.write(durability) { ledger, context throws(Rejection) in
      let (call, asset) = try ledger.meteredCall(HoldID(number), in: context.store)
      var end = asked
      end.amount = try ledger.units(input, "amount", asset)
      for line in lines {
        end.lines.append(line.line)
        if let amount = line.amount {
          end.lines[end.lines.count - 1].amount = try ledger.units(amount, "lines.amount", asset)
        }
      }
      let finished = try ledger.finish(call, end, at: context.time, in: context.store)
      return (finished, try ledger.detailed(finished.receipt, in: context.store))
    }
    withExtendedLifetime(arena) {}
    switch result {
    case .success((let finished, let detail)):
      if let failure = finished.failure { throw engine.refusing(failure, .capture(number)) }
      var receipt = finished.receipt
      receipt.isUncommitted = isUncommitted
      return Shapes.json(receipt, detail)
    case .failure(let rejection): throw engine.refusing(engine.failure(rejection), .capture(number))
    }
  }

  /// The lines of an input, each with its amount as text, which the hold's asset reads.
  private static func lines(
    _ list: [JSON], _ arena: TextArena
  ) throws(Failure) -> [(line: CallLine, amount: String?)] {
    var lines: [(line: CallLine, amount: String?)] = []
    for (index, json) in list.enumerated() {
      let path = "lines[\(index)]"
      var fields = try JSONFields(json, path: path)
      var line = CallLine()
      line.tool = arena.add(try fields.text("tool", limit: Limits.toolReference))
      line.payee = arena.add(try fields.text("payee", limit: Limits.accountName))
      line.description = arena.add(try fields.text("description", limit: Limits.description))
      if let usage = fields.optional("usage") { try line.recorded.add(usage, path: "\(path).usage") }
      let amount = fields.optional("amount")
      guard amount == nil || amount?.numberText != nil else {
        throw Failure(.invalidAmount, field: "\(path).amount", "It must be a decimal number.")
      }
      try fields.finish()
      lines.append((line, amount?.numberText))
    }
    return lines
  }

  private static func json(_ call: MeteredCall, _ asset: Asset) -> JSON {
    func text(_ units: Int64) -> JSON {
      .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
    }
    let key = call.keyText
    return [
      "hold": Shapes.number(call.hold), "held": text(call.held), "maximum": call.maximum.map(text) ?? .null,
      "asset": .string(asset.code), "price_version": Shapes.number(call.priceVersion),
      "key": key.isEmpty ? .null : .string(key), "paid": .bool(call.isPaid), "shared": .bool(call.isShared),
    ]
  }
}

extension MeteredCall {
  /// What calls made inside this one name as their parent, or an empty text.
  package var keyText: String {
    var bytes: [UInt8] = []
    for index in key.indices where key[index] != 0 { bytes.append(key[index]) }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension Ledger {
  /// A metered call as its reservation has kept it, and its asset.
  func meteredCall(_ id: HoldID, in store: any Store) throws(Rejection) -> (MeteredCall, asset: UInt16) {
    do throws(Failure) {
      let found = try withRecord(id.number, in: store) { record, heap throws(Failure) -> (MeteredCall, UInt16)? in
        guard record.kind == RecordKind.reserve.rawValue, HoldID.tag(in: record.detail) == id.tag else { return nil }
        var call = MeteredCall()
        call.hold = id.value
        call.held = record.amount
        call.maximum = heap[.maxCost].word
        call.priceVersion = UInt64(record.price)
        call.amount = heap[.requested].word ?? record.amount
        call.terms = CallTerms(rawValue: UInt32(truncatingIfNeeded: heap[.terms].word ?? 0))
        if !heap[.key].isEmpty { call.terms.insert(.named) }
        if call.terms.contains(.expected), !heap[.usage].isEmpty { call.expected = try Usage(words: heap[.usage]) }
        return (call, record.asset)
      }
      guard let found, let found else {
        throw Failure(.holdNotFound, field: "hold", "There is no hold \(id.value).")
      }
      return found
    } catch {
      throw .failed(error)
    }
  }
}
