internal import FareboxCore
internal import FareboxStore

/// The life of a hold through the JSON door.
enum HoldOperations {
  static let all: [Operation] = [reserve, increase, capture, release, extend, get, list]

  private static let hold = OperationField("hold", .integer, "The hold's number.", required: true)
  private static let states: [Status] = [.holdNotFound, .holdCaptured, .holdReleased, .holdExpired]

  static let reserve = Operation(
    "hold.reserve", "Sets money aside for a call that is about to run, against every limit that applies.",
    input: Shapes.charge + [
      OperationField("max_cost", .amount, "Hold exactly this."),
      OperationField("expires_in_ms", .integer, "How long the hold lasts; 900,000 where absent."),
      OperationField("over_capture", .text, "reject, cap or overflow; reject where absent."), Shapes.durability,
    ], output: Shapes.receipt, errors: ChargeOperations.paying
  ) { engine, input throws(Failure) in
    var terms = HoldTerms()
    if let milliseconds = input.integer("expires_in_ms") { terms.expiresInMilliseconds = milliseconds }
    if let name = input.text("over_capture") {
      guard let policy = OverCapture.allCases.first(where: { $0.name == name }) else {
        throw Failure(.invalidArgument, field: "over_capture", "It is reject, cap or overflow.")
      }
      terms.overCapture = policy
    }
    let arena = TextArena()
    let agreed = terms
    let attempt = PaymentAttempt.call(arena.add(input.text("tool")))
    return try engine.receiptJSON(try Shapes.durability(input), isHold: true, for: attempt) {
      ledger, context throws(Rejection) in
      let request = try ledger.chargeRequest(input, arena, in: context)
      return try ledger.reserve(request, agreed, at: context.time, in: context.store)
    }
  }

  static let increase = Operation(
    "hold.increase", "Adds to an open hold, decided like a reservation: all of it or nothing.",
    input: [
      hold, OperationField("amount", .amount, "What is added, in the hold's asset.", required: true),
      OperationField("idempotency_key", .text, "The same key and request give the first receipt again."),
      OperationField("description", .text, "For people."), OperationField("metadata", .object, "For programs."),
      Shapes.durability,
    ], output: Shapes.receipt,
    errors: states + [
      .accountFrozen, .accountClosed, .toolDisabled, .insufficientFunds, .overBudget, .overCallCap, .overRunCap,
      .keyConflict, .overflow, .invalidAmount, .tooPrecise,
    ]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    let number = try input.number("hold")
    return try engine.receiptJSON(try Shapes.durability(input), isHold: true) { ledger, context throws(Rejection) in
      var request = IncreaseRequest()
      request.hold = number
      request.key = arena.add(input.text("idempotency_key"))
      request.description = arena.add(input.text("description"))
      request.metadata = arena.add(input.objectText("metadata"))
      let asset = try ledger.assetOfHold(HoldID(number), in: context.store)
      request.amount = try ledger.units(input, "amount", asset) ?? 0
      return try ledger.increase(request, at: context.time, in: context.store)
    }
  }

  static let capture = Operation(
    "hold.capture", "Charges a hold: all of it, an amount, the price of a usage, or several lines.",
    input: [
      hold, OperationField("amount", .amount, "Take this."),
      OperationField("usage", .object, "Take the price of this usage, at the price of the reservation."),
      OperationField(
        "lines", .list,
        "Take the sum of these: each a usage of the hold's tool, another tool with its usage (or the amount of a dynamic "
          + "price), or an amount and its payee; each may have a description."),
      OperationField("final", .flag, "Whether the rest returns to the payer; true where absent."),
      OperationField("idempotency_key", .text, "The same key and request give the first receipt again."),
      OperationField("description", .text, "For people."), OperationField("metadata", .object, "For programs."),
      Shapes.durability,
    ], output: Shapes.receipt,
    errors: states + [
      .overCapture, .insufficientFunds, .overBudget, .overCallCap, .overRunCap, .keyConflict, .assetMismatch,
      .toolNotFound, .toolDisabled, .rateCardNotFound, .unpriceable, .accountNotFound, .accountFrozen, .accountClosed,
    ]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    let number = try input.number("hold")
    if input.value("amount") != nil, input.value("usage") != nil {
      throw Failure(.invalidArgument, field: "usage", "A capture takes an amount or a usage, not both.")
    }
    if input.value("lines") != nil, input.value("amount") != nil || input.value("usage") != nil {
      throw Failure(.invalidArgument, field: "lines", "A capture takes lines, or an amount or a usage, not both.")
    }
    return try engine.receiptJSON(try Shapes.durability(input), for: .capture(number)) {
      ledger, context throws(Rejection) in
      var request = CaptureRequest()
      request.hold = number
      request.isFinal = input.value("final")?.bool ?? true
      request.key = arena.add(input.text("idempotency_key"))
      request.description = arena.add(input.text("description"))
      request.metadata = arena.add(input.objectText("metadata"))
      let asset = try ledger.assetOfHold(HoldID(number), in: context.store)
      if let units = try ledger.units(input, "amount", asset) { request.amount = .units(units) }
      if let usage = input.value("usage") { request.amount = .usage(try ledger.usage(usage, asset)) }
      if input.value("lines") != nil { request.amount = .lines(try ledger.captureLines(input, asset, arena)) }
      return try ledger.capture(request, at: context.time, in: context.store)
    }
  }

  static let release = Operation(
    "hold.release", "Returns what is left of a hold to the payer.", input: [hold], output: Shapes.receipt,
    errors: states
  ) { engine, input throws(Failure) in
    let number = try input.number("hold")
    return try engine.receiptJSON(nil, isHold: true) { ledger, context throws(Rejection) in
      try ledger.release(HoldID(number), at: context.time, in: context.store)
    }
  }

  static let extend = Operation(
    "hold.extend", "Moves the expiry of an open hold to a time from now.",
    input: [hold, OperationField("expires_in_ms", .integer, "How long it lasts from now.", required: true)],
    output: Shapes.receipt, errors: states
  ) { engine, input throws(Failure) in
    let number = try input.number("hold")
    let milliseconds = input.integer("expires_in_ms") ?? 0
    return try engine.receiptJSON(nil, isHold: true) { ledger, context throws(Rejection) in
      try ledger.extend(HoldID(number), byMilliseconds: milliseconds, at: context.time, in: context.store)
    }
  }

  private static let row = [
    OperationField("hold", .integer, "Its number."),
    OperationField("state", .text, "open, captured, released or expired."),
    OperationField("account", .text, "Who is charged."), OperationField("tool", .text, "The tool."),
    OperationField("skill", .text, "The tool's skill, or null for a rate."),
    OperationField("amount", .amount, "What was held, with all increases."),
    OperationField("increased", .amount, "What of it was added after the reservation."),
    OperationField("remaining", .amount, "What still is; while it is open."),
    OperationField("captured", .amount, "What was charged so far; while it is open."),
    OperationField("asset", .text, "Of what."),
    OperationField("time", .integer, "When it began."),
    OperationField("expires", .integer, "When it ends; while it is open."),
  ]

  static let get = Operation(
    "hold.get", "Tells the state of a hold.", input: [hold], output: row, errors: [.holdNotFound]
  ) {
    engine, input throws(Failure) in
    let id = HoldID(try input.number("hold"))
    return try engine.look { ledger, context throws(Rejection) in
      if let hold = ledger.state.holds[id.number], hold.tag == id.tag { return ledger.json(id.number, hold) }
      do throws(Failure) {
        guard let end = try ledger.holdEnd(id, in: context.store) else {
          throw Failure(.holdNotFound, field: "hold", "There is no hold \(id.value).")
        }
        let row = try ledger.withRecord(id.number, in: context.store) { record, heap throws(Failure) in
          try ledger.json(id.number, record, heap, explains: false, in: context.store)
        }
        var object: JSONObject = ["hold": Shapes.number(id.value), "state": .string(end.name)]
        for member in row?.object?.members ?? []
        where ["account", "tool", "skill", "amount", "asset", "time"].contains(member.key) {
          object.append(member.key, member.value)
        }
        for member in try ledger.increasedAmounts(id, in: context.store) { object.append(member.0, member.1) }
        return .object(object)
      } catch {
        throw .failed(error)
      }
    }
  }

  static let list = Operation(
    "hold.list", "Lists open holds in the order of their numbers.",
    input: [
      OperationField("account", .text, "Only holds on this account or below it."),
      OperationField("after", .integer, "Only numbers above this one, for the next page."),
      OperationField("limit", .integer, "Rows, from 1 to 1,000; 100 where absent."),
    ],
    output: [
      OperationField("holds", .list, "As hold.get."),
      OperationField("next", .integer, "The next page's after, or null."),
    ],
    errors: [.accountNotFound]
  ) { engine, input throws(Failure) in
    let limit = try Paging.limit(input)
    let after = input.value("after") == nil ? 0 : HoldID(try input.number("after")).number
    return try engine.look { ledger, _ throws(Rejection) in
      let under = try input.text("account").map { _ throws(Rejection) in try ledger.account(input) }
      var numbers: [UInt64] = []
      for (number, hold) in ledger.state.holds where number > after {
        if under.map({ ledger.state.isInside(hold.account, $0) }) ?? true { numbers.append(number) }
      }
      numbers.sort()
      var rows: [JSON] = []
      for number in numbers.prefix(limit) {
        if let hold = ledger.state.holds[number] { rows.append(ledger.json(number, hold)) }
      }
      return [
        "holds": .array(rows),
        "next": numbers.count > limit ? rows.last?.object?["hold"] ?? .null : .null,
      ]
    }
  }
}

extension HoldEnd {
  var name: String {
    switch self {
    case .captured: "captured"
    case .released: "released"
    case .expired: "expired"
    }
  }
}

extension Ledger {
  /// Reads the lines of a capture, in the hold's asset.
  fileprivate func captureLines(
    _ input: OperationInput, _ asset: UInt16, _ arena: TextArena
  ) throws(Rejection) -> [CaptureLine] {
    let list = input.list("lines")
    guard list.count <= Limits.captureLines else {
      throw .failed(Failure(.tooLong, field: "lines", "A capture has at most \(Limits.captureLines) lines."))
    }
    let scale = state.catalog.assets[Int(asset)].scale
    var lines: [CaptureLine] = []
    for (index, json) in list.enumerated() {
      do throws(Failure) {
        var fields = try JSONFields(json, path: "lines[\(index)]")
        var line = CaptureLine()
        line.tool = arena.add(try fields.text("tool", limit: Limits.jsonBytes))
        line.payee = arena.add(try fields.text("payee", limit: Limits.jsonBytes))
        line.description = arena.add(try fields.text("description", limit: Limits.description))
        line.usage = try fields.optional("usage").map { json throws(Failure) in
          try Usage.parse(json, scale: scale, path: fields.path("usage"))
        }
        if let value = fields.optional("amount") {
          guard let text = value.string ?? value.numberText else {
            throw Failure(.invalidAmount, field: fields.path("amount"), "It must be of type amount.")
          }
          line.amount = try Amount.parse(text, scale: scale, field: fields.path("amount"))
        }
        try fields.finish()
        lines.append(line)
      } catch {
        throw .failed(error)
      }
    }
    return lines
  }

  /// The asset of a hold, also of one that is closed by now: a repeat names it.
  fileprivate func assetOfHold(_ id: HoldID, in store: any Store) throws(Rejection) -> UInt16 {
    if let hold = state.holds[id.number] { return hold.asset }
    do throws(Failure) {
      return try withRecord(id.number, in: store) { record, _ in record.asset } ?? defaultAsset
    } catch {
      throw .failed(error)
    }
  }

  fileprivate func json(_ number: UInt64, _ hold: Hold) -> JSON {
    let asset = state.catalog.assets[Int(hold.asset)]
    func text(_ units: Int64) -> JSON {
      .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
    }
    let head: [(String, JSON)] = [
      ("hold", Shapes.number(HoldID(number: number, tag: hold.tag).value)), ("state", "open"),
      ("account", .string(state.accountNames[hold.account])),
    ]
    let rest: JSONObject = [
      "amount": text(hold.amount), "increased": text(hold.increased), "remaining": text(hold.remaining),
      "captured": text(hold.captured), "asset": .string(asset.code),
      "time": .int(hold.time), "expires": .int(hold.expires), "price_version": Shapes.number(UInt64(hold.price)),
    ]
    return .object(JSONObject(head + toolMembers(ofHold: hold) + rest.members.map { ($0.key, $0.value) }))
  }
}
