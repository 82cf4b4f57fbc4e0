internal import FareboxCore
internal import FareboxStore

extension RecordKind {
  /// The name in every language.
  var name: String {
    switch self {
    case .transfer: "transfer"
    case .charge: "charge"
    case .reserve: "reserve"
    case .capture: "capture"
    case .release: "release"
    case .expire: "expire"
    case .extend: "extend"
    case .refund: "refund"
    case .increase: "increase"
    case .asset: "asset"
    case .account: "account"
    case .accountState: "account_state"
    case .skill: "skill"
    case .toolState: "tool_state"
    case .rateCard: "rate_card"
    case .budget: "budget"
    case .limits: "limits"
    case .webhook: "webhook"
    case .event: "event"
    case .seal: "seal"
    case .customerPrice: "customer_price"
    case .access: "access"
    case .value: "value"
    }
  }
}

extension Ledger {
  /// The legs of a record, none for one that moves no money.
  func postings(_ record: Record, _ heap: Heap) -> [Posting] {
    state.postings(record, heap)
  }

  /// A record as JSON.
  ///
  /// - Parameters:
  ///   - explains: whether to tell how the price came about.
  ///   - origins: finds the run and the call where another record has them. The store must not be lending the record.
  func json(
    _ number: UInt64, _ record: Record, _ heap: Heap, explains: Bool, origins: Origins = Origins(), in store: any Store
  ) throws(Failure) -> JSON {
    guard let kind = RecordKind(rawValue: record.kind) else { throw Segment.corrupt("A record has an unknown kind.") }
    var row: JSONObject = [
      "id": Shapes.number(number), "kind": .string(kind.name), "time": .int(record.time),
    ]
    if record.account < state.accounts.count { row.append("account", .string(state.accountNames[record.account])) }
    if kind.rawValue < RecordKind.asset.rawValue, record.asset < state.catalog.assets.count {
      appendMoney(record, kind, heap, to: &row)
    }
    if record.tool > 0 { for (key, value) in toolMembers(record.tool - 1) { row.append(key, value) } }
    if record.reference > 0 { row.append("reference", Shapes.number(record.reference)) }
    if let hold = receipt(number, record).hold.nonZero { row.append("hold", Shapes.number(hold)) }
    if record.price > 0 { row.append("price_version", Shapes.number(UInt64(record.price))) }
    let origin = try origins.find(number, record, heap, self, in: store)
    for (name, text) in [("run", origin.run), ("call", origin.call)] where !text.isEmpty {
      row.append(name, .string(text))
    }
    for (field, name) in [(HeapField.description, "description"), (.name, "name")] {
      if let text = heap[field].string, !text.isEmpty { row.append(name, .string(text)) }
    }
    if !heap[.key].isEmpty { row.append("idempotency_key", .string(heap[.key].keyText)) }
    for (field, name) in [(HeapField.metadata, "metadata"), (.definition, "definition")] {
      if let text = heap[field].string, !text.isEmpty {
        row.append(name, (try? JSON.parse(text)) ?? .string(text))
      }
    }
    if let lines = try linesJSON(record, heap, explains: explains) { row.append("lines", lines) }
    if explains { try explain(record, kind, heap, in: store, to: &row) }
    return .object(row)
  }

  private func appendMoney(_ record: Record, _ kind: RecordKind, _ heap: Heap, to row: inout JSONObject) {
    let asset = state.catalog.assets[Int(record.asset)]
    func text(_ units: Int64) -> JSON {
      .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
    }
    row.append("amount", text(record.amount))
    row.append("asset", .string(asset.code))
    row.append("balance", text(record.balance))
    row.append("available", text(record.available))
    if kind == .reserve || kind == .increase || kind == .capture {
      row.append("hold_remaining", text(record.remaining))
    }
    if kind == .reserve || kind == .extend { row.append("expires", .int(record.extra)) }
    if kind == .capture { row.append("final", .bool(record.flags & RecordFlags.final != 0)) }
    if record.flags & RecordFlags.capped != 0 { row.append("capped", true) }
    if record.flags & RecordFlags.unreported != 0 { row.append("unreported", true) }
    if let shortfall = heap[.shortfall].word { row.append("shortfall", text(shortfall)) }
    if kind.movesMoney {
      row.append(
        "postings",
        .array(
          state.postings(record, heap).map { posting in
            let asset = state.catalog.assets[Int(posting.asset)]
            return [
              "account": .string(state.accountNames[posting.account]),
              "amount": .string(Amount.text(posting.amount, scale: asset.scale, minorDigits: asset.minorDigits)),
              "asset": .string(asset.code),
            ]
          }))
    }
  }

  /// Adds the usage, and the lines of the price that applied.
  private func explain(
    _ record: Record, _ kind: RecordKind, _ heap: Heap, in store: any Store, to row: inout JSONObject
  ) throws(Failure) {
    guard record.price > 0, record.price <= state.catalog.prices.count, record.flags & RecordFlags.explicit == 0,
      kind == .charge || kind == .reserve || (kind == .capture && !heap[.usage].isEmpty)
    else { return }
    let version = state.catalog.prices[Int(record.price) - 1]
    let usage = heap[.usage].isEmpty ? Usage.oneRequest : try Usage(words: heap[.usage])
    var lines: [QuoteLine] = []
    _ = try? version.price.quote(usage) { lines.append($0) }
    row.append("usage", usage.json(scale: version.price.asset.scale))
    row.append("lines", Shapes.lines(lines, version.price.asset))
  }
}

extension LedgerState {
  /// The legs of a record, none for one that moves no money.
  func postings(_ record: Record, _ heap: Heap) -> [Posting] {
    switch RecordKind(rawValue: record.kind) {
    case .transfer: return heap.postings
    case .charge, .capture:
      var legs = [Posting(account: wallet(of: record.account), asset: record.asset, amount: 0 &- record.amount)]
      if record.flags & RecordFlags.lines != 0 { return legs + linePostings(record, heap) }
      forEachShare(record.beneficiary, of: record.amount) { account, share in
        legs.append(Posting(account: account, asset: record.asset, amount: share))
      }
      return legs
    case .refund:
      var legs = [Posting(account: wallet(of: record.account), asset: record.asset, amount: record.amount)]
      if record.flags & RecordFlags.lines != 0 { return legs + linePostings(record, heap) }
      // The fields tell what had been refunded before, so that a part is the difference between two exact splits.
      let before = heap[.requested].word ?? 0
      var taken: [Int64] = []
      forEachShare(record.beneficiary, of: before) { _, share in taken.append(share) }
      var index = 0
      forEachShare(record.beneficiary, of: before &+ record.amount) { account, share in
        legs.append(Posting(account: account, asset: record.asset, amount: taken[index] &- share))
        index += 1
      }
      return legs
    default: return []
    }
  }
}

extension BorrowedText {
  /// An idempotency key for people: text, or hexadecimal where it is not text.
  var keyText: String {
    if let text = string, !text.isEmpty { return text }
    let digits = Array("0123456789abcdef")
    return unsafe "hex:" + bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }
}

extension UInt64 {
  fileprivate var nonZero: UInt64? { self == 0 ? nil : self }
}
