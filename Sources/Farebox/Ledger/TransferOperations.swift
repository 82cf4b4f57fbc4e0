internal import FareboxCore
internal import FareboxStore

/// Transfers and history through the JSON door.
enum TransferOperations {
  static let all: [Operation] = [create, reverse, get, list]

  static let create = Operation(
    "transfer.create", "Moves money between accounts in one balanced transfer of many postings.",
    input: [
      OperationField("postings", .list, "Each with account, amount (below zero to debit) and asset.", required: true),
      OperationField("idempotency_key", .text, "The same key and request give the first receipt again."),
      OperationField("description", .text, "For people."), OperationField("metadata", .object, "For programs."),
    ], output: Shapes.receipt,
    errors: [
      .accountNotFound, .accountFrozen, .accountClosed, .insufficientFunds, .invalidAmount, .keyConflict, .overflow,
    ]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    return try engine.receiptJSON(nil) { ledger, context throws(Rejection) in
      let key = arena.add(input.text("idempotency_key"))
      let first = try ledger.firstUnnamed(key, in: context.store)
      var drafts: [Draft] = []
      for (index, json) in input.list("postings").enumerated() {
        let unnamed = first.indices.contains(index) ? first[index].asset : ledger.defaultAsset
        drafts.append(try draft(json, "postings[\(index)]", ledger, unnamed: unnamed))
      }
      let parties = drafts.map(\.account)
      let description = input.text("description") ?? ""
      let metadata = input.objectText("metadata")
      var opening: [Asset] = []
      let postings = drafts.map { draft in
        let wallet = ledger.state.wallet(of: draft.account)
        return Posting(account: wallet, asset: number(draft.asset, ledger, &opening), amount: draft.amount)
      }
      if !opening.isEmpty {
        try ledger.checkOpening(
          postings, parties: parties, key: key, description: description, metadata: metadata, in: context.store)
        for asset in opening { _ = try ledger.openAsset(asset, at: context.time) }
      }
      return try ledger.transfer(
        postings, parties: parties, key: key, description: description, metadata: metadata,
        named: names(drafts, ledger), isAssetUnnamed: drafts.contains(where: \.isAssetUnnamed), at: context.time,
        in: context.store)
    }
  }

  /// A posting whose asset may not be open yet.
  private struct Draft {
    /// The account that is named; its wallet is debited or credited.
    let account: UInt32
    let asset: Asset
    let isAssetUnnamed: Bool
    let amount: Int64
  }

  /// The number of an asset, or the one that it will have when those of `opening` are opened in order.
  private static func number(_ asset: Asset, _ ledger: borrowing Ledger, _ opening: inout [Asset]) -> UInt16 {
    if let found = ledger.state.catalog.assetIndex(asset.code) { return found }
    let position = opening.firstIndex { $0.code == asset.code } ?? opening.count
    if position == opening.count { opening.append(asset) }
    return UInt16(clamping: ledger.state.catalog.assets.count + position)
  }

  /// 0 where every account has a wallet of its own; otherwise a number (FNV-1a) that follows from all their names.
  private static func names(_ drafts: [Draft], _ ledger: borrowing Ledger) -> UInt32 {
    var number: UInt32 = 2_166_136_261
    var isShared = false
    for draft in drafts {
      if ledger.state.wallet(of: draft.account) != draft.account { isShared = true }
      number = (number ^ draft.account) &* 16_777_619
    }
    return isShared ? number | 1 : 0
  }

  private static func draft(
    _ json: JSON, _ path: String, _ ledger: borrowing Ledger, unnamed: UInt16
  ) throws(Rejection) -> Draft {
    let name: String
    let amount: String
    let code: String?
    do throws(Failure) {
      var fields = try JSONFields(json, path: path)
      name = try fields.text("account", limit: Limits.accountName) ?? ""
      let value = try fields.required("amount")
      guard let text = value.string ?? value.numberText else { throw fields.wrong("amount", "must be decimal text") }
      amount = text
      code = try fields.text("asset", limit: Limits.assetCode)
      try fields.finish()
    } catch {
      throw .failed(error)
    }
    guard let account = ledger.state.accountNames.find(name) else {
      throw .failed(name.withBorrowedText { ledger.state.unknownAccount($0, field: "\(path).account") })
    }
    let used = code.map { ledger.state.catalog.assetIndex($0) } ?? unnamed
    guard let asset = used.map({ ledger.state.catalog.assets[Int($0)] }) ?? code.flatMap(Asset.builtIn) else {
      throw .failed(Failure(.assetNotFound, field: "\(path).asset", "There is no asset of this code; open it first."))
    }
    let units: Int64
    do throws(Failure) {
      units = try Amount.parse(amount, scale: asset.scale, field: "\(path).amount")
    } catch {
      throw .failed(error)
    }
    return Draft(account: account, asset: asset, isAssetUnnamed: code == nil, amount: units)
  }

  static let reverse = Operation(
    "transfer.reverse", "Undoes a transfer with its mirror image, once.",
    input: [
      OperationField("id", .integer, "The transfer's number.", required: true),
      OperationField("idempotency_key", .text, "The same key and request give the first receipt again."),
      OperationField("description", .text, "For people."),
    ], output: Shapes.receipt, errors: [.transferNotFound, .overRefund, .accountClosed, .keyConflict]
  ) { engine, input throws(Failure) in
    let arena = TextArena()
    let id = try input.number("id")
    return try engine.receiptJSON(nil) { ledger, context throws(Rejection) in
      try ledger.reverse(
        id, key: arena.add(input.text("idempotency_key")), description: input.text("description") ?? "",
        at: context.time, in: context.store)
    }
  }

  private static let row = [
    OperationField("id", .integer, "The transfer's number."), OperationField("kind", .text, "What it did."),
    OperationField("time", .integer, "Microseconds since 1970."), OperationField("account", .text, "Who was charged."),
    OperationField("amount", .amount, "How much."), OperationField("asset", .text, "Of what."),
    OperationField("postings", .list, "Every leg: account, amount and asset; they add up to zero."),
    OperationField("tool", .text, "The tool, if one was called."),
    OperationField("skill", .text, "The tool's skill, or null for a rate."),
    OperationField("reference", .integer, "The hold captured, the charge refunded."),
    OperationField("run", .text, "The run; of a capture or refund that of its reservation or charge."),
    OperationField("call", .text, "The id of the call, found in the same way."),
    OperationField(
      "lines", .list, "How the price came about; of a capture of several lines these, each with its own lines."),
  ]

  static let get = Operation(
    "transfer.get", "Tells everything about one entry of the journal, with how its price came about.",
    input: [OperationField("id", .integer, "Its number.", required: true)], output: row, errors: [.transferNotFound]
  ) { engine, input throws(Failure) in
    let id = try input.number("id")
    return try engine.look { ledger, context throws(Rejection) in
      do throws(Failure) {
        guard let found = try ledger.copy(of: id, in: context.store) else {
          throw Failure(.transferNotFound, field: "id", "There is no transfer \(id).")
        }
        return try found.withHeap { heap throws(Failure) in
          try ledger.json(id, found.record, heap, explains: true, in: context.store)
        }
      } catch {
        throw .failed(error)
      }
    }
  }

  static let list = Operation(
    "transfer.list", "Lists the journal, newest first, of everybody or of one account.",
    input: [
      OperationField("account", .text, "Only what touches this account."),
      OperationField("tool", .text, "Only calls of this tool, in any version."),
      OperationField(
        "run", .text, "Only what belongs to this run: holds, captures, refunds and all that became of them."),
      OperationField("call", .text, "Only what belongs to the call of this id."),
      OperationField(
        "kind", .text, "Only this kind: charge, reserve, increase, capture, release, expire, refund, transfer ..."),
      OperationField("from", .integer, "Not before this time."), OperationField("to", .integer, "Before this time."),
      OperationField("before", .integer, "Only numbers below this one, for the next page."),
      OperationField("limit", .integer, "Rows, from 1 to 1,000; 100 where absent."),
    ],
    output: [
      OperationField("transfers", .list, "As transfer.get, without lines."),
      OperationField("next", .integer, "The next page's before, or null."),
    ], errors: [.accountNotFound] + SkillOperations.naming
  ) { engine, input throws(Failure) in
    let limit = try Paging.limit(input)
    let before = input.value("before") == nil ? UInt64.max : try input.number("before")
    return try engine.look { ledger, context throws(Rejection) in
      try ledger.page(input, limit, before, in: context.store)
    }
  }
}

extension Ledger {
  fileprivate func page(
    _ input: OperationInput, _ limit: Int, _ before: UInt64, in store: any Store
  ) throws(Rejection) -> JSON {
    let account = try input.text("account").map { _ throws(Rejection) in try self.account(input) }
    let tool = try input.text("tool").map { name throws(Rejection) in try self.tool(name).tool + 1 }
    let kind = try input.text("kind").map { name throws(Rejection) -> UInt8 in
      guard let kind = RecordKind.allCases.first(where: { $0.name == name }) else {
        throw .failed(Failure(.invalidArgument, field: "kind", "There is no kind of this name."))
      }
      return kind.rawValue
    }
    let filter = try OriginFilter(run: input.text("run"), call: input.text("call"))
    let origins = Origins()
    let from = input.integer("from") ?? .min
    let to = input.integer("to") ?? .max
    var rows: [JSON] = []
    var next: JSON = .null
    func visit(_ number: UInt64, _ record: Record, _ heap: Heap) throws(Failure) -> Bool {
      // Times never go back, so nothing older can match either.
      if record.time < from { return false }
      if record.time >= to { return true }
      if let tool, try !isOf(tool, record, heap) { return true }
      if let kind, record.kind != kind { return true }
      guard try filter.accepts(number, record, heap, self, origins, in: store) else { return true }
      if rows.count == limit {
        next = rows.last?.object?["id"] ?? .null
        return false
      }
      rows.append(try json(number, record, heap, explains: false, origins: origins, in: store))
      return true
    }
    func isOf(_ tool: UInt32, _ record: Record, _ heap: Heap) throws(Failure) -> Bool {
      if record.tool == tool { return true }
      return record.flags & RecordFlags.lines == 0
        ? false : try StoredLine.all(heap[.lines]).contains { $0.tool == tool }
    }
    do throws(Failure) {
      if let account {
        try visitHistoryBackwards(of: account, before: before, in: store, visit)
      } else {
        try visitJournalBackwards(before: before, in: store, visit)
      }
    } catch {
      throw .failed(error)
    }
    return ["transfers": .array(rows), "next": next]
  }
}
