internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// The receipt of the request that used a key first, or nil for a new key.
  ///
  /// - Parameter compare: names the first field in which this request differs from that record, or nil.
  /// - Throws: `keyConflict` when it differs.
  mutating func replayed(
    _ hash: KeyHash, _ key: BorrowedText, in store: any Store,
    compare: (borrowing Ledger, Record, Heap) -> String?
  ) throws(Rejection) -> Receipt? {
    guard !hash.isNone else { return nil }
    do throws(Failure) {
      guard let number = try keys.find(hash, in: store) else { return nil }
      let found = try withRecord(number, in: store) { record, heap throws(Failure) -> Receipt? in
        // Another key with the same 88 bits of hash is another key.
        guard heap[.key].equals(key) else { return nil }
        if let field = compare(self, record, heap) {
          throw Failure(
            .keyConflict, field: field, "The idempotency key was used for another request, which differs here.",
            details: ["first": .int(Int64(clamping: number))])
        }
        var receipt = self.receipt(number, record)
        receipt.isReplayed = true
        return receipt
      }
      guard let found else { throw Failure(.storeCorrupt, "The record of an idempotency key is missing.") }
      if found != nil { replays += 1 }
      return found
    } catch {
      throw .failed(error)
    }
  }

  /// The first field in which a charge or reservation differs from a record, or nil.
  func difference(_ kind: RecordKind, _ request: ChargeRequest, _ record: Record, _ heap: Heap) -> String? {
    if record.kind != kind.rawValue { return "operation" }
    if state.account(request.payer) != record.account { return "payer" }
    if request.tool.isEmpty != (record.tool == 0) { return "tool" }
    if record.tool != 0, !state.catalog.isName(request.tool, of: record.tool - 1) { return "tool" }
    if record.flags & RecordFlags.explicit != 0 {
      if request.amount != heap[.requested].word ?? record.amount { return "amount" }
    } else if request.amount != nil {
      return "amount"
    }
    if record.tool == 0 {
      let asset = request.asset.isEmpty ? defaultAsset : state.catalog.assetIndex(request.asset)
      if asset != record.asset { return "asset" }
      let payee =
        request.payee.isEmpty ? LedgerState.platform : state.account(request.payee).map { state.wallet(of: $0) }
      if payee != record.beneficiary { return "payee" }
    }
    if !sameUsage(request.usage, heap) { return "usage" }
    if request.maxCost != heap[.maxCost].word { return "max_cost" }
    if !heap[.run].equals(request.run) { return "run" }
    if !heap[.call].equals(request.call) { return "call" }
    if !heap[.description].equals(request.description) { return "description" }
    if !heap[.metadata].equals(request.metadata) { return "metadata" }
    return nil
  }

  /// The first field in which a capture differs from a record, or nil.
  func difference(_ request: CaptureRequest, _ record: Record, _ heap: Heap) -> String? {
    if record.kind != RecordKind.capture.rawValue { return "operation" }
    if HoldID(number: record.reference, tag: HoldID.tag(in: record.detail)) != HoldID(request.hold) { return "hold" }
    if (record.flags & RecordFlags.final != 0) != request.isFinal { return "final" }
    if case .lines = request.amount {} else if record.flags & RecordFlags.lines != 0 { return "lines" }
    switch request.amount {
    case .lines(let lines): if let field = difference(lines, heap) { return field }
    case .rest:
      if record.flags & RecordFlags.explicit != 0 || !heap[.usage].isEmpty { return "amount" }
    case .units(let units):
      if record.flags & RecordFlags.explicit == 0 { return "amount" }
      if units != heap[.requested].word ?? record.amount { return "amount" }
    case .usage(let usage):
      if record.flags & RecordFlags.explicit != 0 || !sameUsage(usage, heap) { return "usage" }
    }
    if !heap[.description].equals(request.description) { return "description" }
    if !heap[.metadata].equals(request.metadata) { return "metadata" }
    return nil
  }

  private func sameUsage(_ usage: Usage, _ heap: Heap) -> Bool {
    let field = heap[.usage]
    if field.isEmpty { return usage.isSingleRequest }
    let words = usage.words
    guard field.count == words.count * 8 else { return false }
    let bytes = unsafe field.bytes
    return words.indices.allSatisfy { index in
      unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: Int64.self) == words[index]
    }
  }
}

extension BorrowedText {
  /// The first eight bytes as an integer, or nil where there are fewer.
  var word: Int64? { word(at: 0) }

  /// The eight bytes at an index as an integer, or nil where there are fewer.
  func word(at index: Int) -> Int64? {
    count < (index + 1) * 8 ? nil : unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: Int64.self)
  }

  func equals(_ other: BorrowedText) -> Bool {
    guard count == other.count else { return false }
    let left = unsafe bytes
    let right = unsafe other.bytes
    return unsafe left.elementsEqual(right)
  }
}
