package import FareboxCore
internal import FareboxStore

/// The fields that many operations share, and the JSON of what they return.
package enum Shapes {
  static let charge: [OperationField] = [
    OperationField("payer", .text, "The account that is charged; its wallet pays.", required: true),
    OperationField("tool", .text, "The tool whose price applies, `skill#tool` or its plain name; or give an amount."),
    OperationField("usage", .object, "What the call used, by meter; one request where absent."),
    OperationField("amount", .amount, "The amount, where no tool prices it or its price is dynamic."),
    OperationField("asset", .text, "The asset of an amount; the ledger's default where absent."),
    OperationField("payee", .text, "Who an amount is credited to; `platform` where absent."),
    OperationField("idempotency_key", .text, "The same key and request give the first receipt again."),
    OperationField("run", .text, "The run that the call belongs to, for per-run caps."),
    OperationField("call", .text, "The id of the call."),
    OperationField("description", .text, "For people."),
    OperationField("metadata", .object, "For programs; kept and returned."),
  ]

  package static let receipt: [OperationField] = [
    OperationField("id", .integer, "The transfer's number."),
    OperationField("hold", .integer, "The hold's number, where there is one."),
    OperationField("amount", .amount, "Charged, held, captured or returned."),
    OperationField("asset", .text, "The amount's asset."),
    OperationField("hold_remaining", .amount, "Left on the hold after this, where there is one."),
    OperationField("balance", .amount, "Of the paying wallet after this."),
    OperationField("available", .amount, "Balance less held plus credit line, after this."),
    OperationField("time", .integer, "Microseconds since 1970."),
    OperationField("tool", .text, "The tool, where there is one."),
    OperationField("skill", .text, "The tool's skill, or null for a rate."),
    OperationField("price_version", .integer, "The price that applied; 0 for a given amount."),
    OperationField("replayed", .flag, "Whether this is the receipt of an earlier call with the same key."),
    OperationField("uncommitted", .flag, "Whether it is not in the store yet."),
    OperationField("final", .flag, "Whether the hold is closed."),
    OperationField("capped", .flag, "Whether a maximum bound the amount."),
    OperationField("unreported", .flag, "Whether a metered call was charged what was held, as its usage never came."),
    OperationField("released", .flag, "Whether a metered call was charged nothing; the amount is back with the payer."),
    OperationField("shortfall", .amount, "What the payer could not pay of a metered call's price."),
    OperationField(
      "lines", .list,
      "Of a capture of several lines each with amount, priced, tool and skill or payee, price_version, capped, usage, description."
    ),
  ]

  package static let durability = OperationField(
    "durability", .text, "`full`, `normal` or `relaxed`; what the engine was opened with where absent.")

  package static func durability(_ input: OperationInput) throws(Failure) -> Durability? {
    switch input.text("durability") {
    case nil: return nil
    case "full": return .full
    case "normal": return .normal
    case "relaxed": return .relaxed
    default: throw Failure(.invalidArgument, field: "durability", "It is full, normal or relaxed.")
    }
  }

  static func json(_ receipt: Receipt, _ detail: ReceiptDetail) -> JSON {
    let asset = detail.asset
    func text(_ units: Int64) -> JSON {
      .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
    }
    var object: JSONObject = [
      "id": number(receipt.id), "amount": text(receipt.amount), "asset": .string(asset.code),
      "balance": text(receipt.balance), "available": text(receipt.available), "time": .int(receipt.time),
      "price_version": number(receipt.priceVersion), "replayed": .bool(receipt.isReplayed),
      "uncommitted": .bool(receipt.isUncommitted), "final": .bool(receipt.isFinal), "capped": .bool(receipt.isCapped),
    ]
    if receipt.isUnreported { object.append("unreported", true) }
    if receipt.isReleased { object.append("released", true) }
    if receipt.shortfall > 0 { object.append("shortfall", text(receipt.shortfall)) }
    if receipt.hold != 0 {
      object.append("hold", number(receipt.hold))
      object.append("hold_remaining", text(receipt.holdRemaining))
    }
    for (key, value) in detail.tool { object.append(key, value) }
    if let lines = detail.lines { object.append("lines", lines) }
    return .object(object)
  }

  static func number(_ value: UInt64) -> JSON {
    .int(Int64(clamping: value))
  }

  package static func lines(_ lines: [QuoteLine], _ asset: Asset) -> JSON {
    .array(
      lines.map { line in
        let quantity: JSON =
          line.meter == .value
          ? .string(Amount.text(line.quantityMicro, scale: asset.scale, minorDigits: 0))
          : .string(Amount.text(line.quantityMicro, scale: 6, minorDigits: 0))
        let rate: JSON =
          line.ratePico == .max ? .null : .string(Amount.text(line.ratePico, scale: Rate.digits, minorDigits: 0))
        return [
          "meter": .string(line.meter.name), "tier": .int(Int64(line.tier)),
          "quantity": quantity, "rate": rate,
          "amount": .string(Amount.text(line.amount, scale: asset.scale, minorDigits: asset.minorDigits)),
        ]
      })
  }
}

/// How the amounts of a request are read.
struct Reading {
  let asset: UInt16
  /// The record of the first request, where this one repeats its key.
  var first: UInt64?
}

extension Ledger {
  /// How the amounts of a request are read: a repeat as the first was, whatever the currency of the tool or the default
  /// asset is by now.
  func reading(
    _ input: OperationInput, _ key: BorrowedText, at time: Int64, in store: any Store
  ) throws(Rejection) -> Reading {
    let hasAmounts = ["amount", "max_cost", "usage"].contains { input.value($0) != nil }
    if hasAmounts, !key.isEmpty {
      let isTool = input.text("tool") != nil
      let isUnnamed = input.text("asset") == nil
      let first = try withFirst(KeyHash(key, secret), key, in: store) { number, record, _ -> Reading? in
        let isCharge = record.kind == RecordKind.charge.rawValue || record.kind == RecordKind.reserve.rawValue
        let isAlike = isTool ? record.tool > 0 : isUnnamed && record.flags & RecordFlags.unnamedAsset != 0
        return isCharge && isAlike ? Reading(asset: record.asset, first: number) : nil
      }
      if let first, let first { return first }
    }
    return Reading(asset: try assetOfRequest(input, at: time))
  }

  /// Reads an amount as `reading` says; what cannot be read as the first request's was differs from it.
  func units(_ text: String, _ field: String, _ reading: Reading) throws(Rejection) -> Int64 {
    do throws(Rejection) {
      return try units(text, field, reading.asset)
    } catch {
      guard let first = reading.first, error.status == .tooPrecise || error.status == .overflow else { throw error }
      throw .failed(Ledger.conflict(field, first))
    }
  }

  /// The two members of a row that tell its tool: the plain name, and its skill or null for a rate.
  func toolMembers(_ tool: UInt32) -> [(String, JSON)] {
    let entry = state.catalog.identities[Int(tool)]
    return [("tool", .string(entry.name)), ("skill", entry.skill.map { .string($0) } ?? .null)]
  }

  func toolMembers(ofHold hold: Hold) -> [(String, JSON)] {
    hold.tool == 0 ? [("tool", .null), ("skill", .null)] : toolMembers(hold.tool - 1)
  }

  /// The asset that a request's amounts are in: its own, or that of its tool's price.
  func assetOfRequest(_ input: OperationInput, at time: Int64) throws(Rejection) -> UInt16 {
    if let tool = input.text("tool") {
      // Whether the tool may be charged for is decided later: a repeat is answered all the same.
      let payer = input.text("payer").flatMap { state.accountNames.find($0) }
      let price = tool.withBorrowedText { name in
        state.catalog.find(name).flatMap { named in
          named.isAmbiguous ? nil : state.catalog.priceIndex(named, customer: payer, at: time)
        }
      }
      return price.map { state.catalog.prices[Int($0)].asset } ?? defaultAsset
    }
    guard let code = input.text("asset") else { return defaultAsset }
    guard let found = state.catalog.assetIndex(code) else {
      throw .failed(Failure(.assetNotFound, field: "asset", "There is no asset '\(code.prefix(24))' here."))
    }
    return found
  }

  /// Reads an amount field in atomic units of an asset.
  func units(_ input: OperationInput, _ field: String, _ asset: UInt16) throws(Rejection) -> Int64? {
    guard let text = input.amount(field) else { return nil }
    return try units(text, field, asset)
  }

  func units(_ text: String, _ field: String, _ asset: UInt16) throws(Rejection) -> Int64 {
    do throws(Failure) {
      return try Amount.parse(text, scale: state.catalog.assets[Int(asset)].scale, field: field)
    } catch {
      throw .failed(error)
    }
  }

  /// The index of the account that a field names.
  func account(_ input: OperationInput, _ field: String = "account") throws(Rejection) -> UInt32 {
    let name = input.text(field) ?? ""
    guard let index = state.accountNames.find(name) else {
      throw .failed(name.withBorrowedText { state.unknownAccount($0, field: field) })
    }
    return index
  }

  /// Makes the request of an operation with the fields in `Shapes.charge`.
  func chargeRequest(
    _ input: OperationInput, _ arena: TextArena, in context: TurnContext
  ) throws(Rejection) -> ChargeRequest {
    var request = ChargeRequest()
    request.payer = arena.add(input.text("payer"))
    request.tool = arena.add(input.text("tool"))
    request.payee = arena.add(input.text("payee"))
    request.asset = arena.add(input.text("asset"))
    request.key = arena.add(input.text("idempotency_key"))
    request.run = arena.add(input.text("run"))
    request.call = arena.add(input.text("call"))
    request.description = arena.add(input.text("description"))
    request.metadata = arena.add(input.objectText("metadata"))
    let reading = try reading(input, request.key, at: context.time, in: context.store)
    request.unitsAsset = reading.asset
    if let text = input.amount("amount") { request.amount = try units(text, "amount", reading) }
    if let text = input.amount("max_cost") { request.maxCost = try units(text, "max_cost", reading) }
    if let usage = input.value("usage") {
      do throws(Rejection) {
        request.usage = try self.usage(usage, reading.asset)
      } catch {
        guard let first = reading.first, error.status == .tooPrecise || error.status == .overflow else { throw error }
        throw .failed(Ledger.conflict("usage", first))
      }
    }
    return request
  }

  func usage(_ json: JSON, _ asset: UInt16) throws(Rejection) -> Usage {
    do throws(Failure) {
      return try Usage.parse(json, scale: state.catalog.assets[Int(asset)].scale)
    } catch {
      throw .failed(error)
    }
  }
}

extension Engine {
  /// A receipt as the operations give it.
  package func json(_ receipt: Receipt) throws(Failure) -> JSON {
    let detail: ReceiptDetail
    if receipt.hasLines {
      detail = try look { ledger, context throws(Rejection) in try ledger.detailed(receipt, in: context.store) }
    } else {
      detail = try read { ledger, _ throws(Rejection) in try ledger.detailed(receipt) }
    }
    return Shapes.json(receipt, detail)
  }

  /// Reads an amount field in the asset of a tool's price.
  package func units(_ input: OperationInput, _ field: String) throws(Failure) -> Int64? {
    try read { ledger, now throws(Rejection) in
      try ledger.units(input, field, try ledger.assetOfRequest(input, at: now))
    }
  }

  /// Runs the work of an operation that gives a receipt, and makes its JSON.
  func receiptJSON(
    _ durability: Durability?, isHold: Bool = false, for attempt: PaymentAttempt? = nil,
    _ work: (inout Ledger, TurnContext) throws(Rejection) -> Receipt
  ) throws(Failure) -> JSON {
    let (result, isUncommitted) = try write(durability ?? (isHold ? holdDurability : options.durability)) {
      ledger, context throws(Rejection) in
      let receipt = try work(&ledger, context)
      return (receipt, try ledger.detailed(receipt, in: context.store))
    }
    switch result {
    case .success(let (receipt, detail)):
      var receipt = receipt
      receipt.isUncommitted = isUncommitted
      return Shapes.json(receipt, detail)
    case .failure(let rejection):
      let failure = failure(rejection)
      throw attempt.map { refusing(failure, $0) } ?? failure
    }
  }
}
