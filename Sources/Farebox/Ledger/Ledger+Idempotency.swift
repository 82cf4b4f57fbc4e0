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
    let found = try withFirst(hash, key, in: store) { number, record, heap throws(Failure) -> Receipt in
      if let field = compare(self, record, heap) { throw Ledger.conflict(field, number) }
      var receipt = self.receipt(number, record)
      receipt.isReplayed = true
      return receipt
    }
    if found != nil { replays += 1 }
    return found
  }

  /// Lends the record that used a key first; nil for a new key.
  func withFirst<Result>(
    _ hash: KeyHash, _ key: BorrowedText, in store: any Store,
    _ body: (UInt64, Record, Heap) throws(Failure) -> Result
  ) throws(Rejection) -> Result? {
    guard !hash.isNone else { return nil }
    do throws(Failure) {
      guard let number = try keys.find(hash, in: store) else { return nil }
      let found = try withRecord(number, in: store) { record, heap throws(Failure) -> Result? in
        // Another key with the same 88 bits of hash is another key.
        guard heap[.key].equals(key) else { return nil }
        return try body(number, record, heap)
      }
      guard let found else { throw Failure(.storeCorrupt, "The record of an idempotency key is missing.") }
      return found
    } catch {
      throw .failed(error)
    }
  }

  static func conflict(_ field: String, _ first: UInt64) -> Failure {
    Failure(
      .keyConflict, field: field, "The idempotency key was used for another request, which differs here.",
      details: ["first": .int(Int64(clamping: first))])
  }

  /// The first field in which a charge or reservation differs from a record, or nil.
  ///
  /// What was asked is compared, not what it came to: prices, currencies and names change, and a repeat is the same.
  func difference(
    _ kind: RecordKind, _ request: ChargeRequest, _ record: Record, _ heap: Heap, at time: Int64
  ) -> String? {
    if record.kind != kind.rawValue { return "operation" }
    if state.account(request.payer) != record.account { return "payer" }
    if !isSameTool(request.tool, record, heap) { return "tool" }
    func isSame(_ asked: Int64?, _ first: Int64?) -> Bool {
      guard let asked, let first else { return asked == nil && first == nil }
      return isSameAmount(asked, of: request, first, record, at: time)
    }
    let first = record.flags & RecordFlags.explicit == 0 ? nil : heap[.requested].word ?? record.amount
    if !isSame(request.amount, first) { return "amount" }
    if record.tool == 0 {
      let unnamed = record.flags & RecordFlags.unnamedAsset == 0 ? defaultAsset : record.asset
      let asset = request.asset.isEmpty ? unnamed : state.catalog.assetIndex(request.asset)
      if asset != record.asset { return "asset" }
      let payee = request.payee.isEmpty ? LedgerState.platform : state.account(request.payee)
      if payee.map({ Int64($0) }) != heap[.payee].word ?? Int64(record.beneficiary) { return "payee" }
    }
    let isSameUsage = isSameUsage(request.usage, heap) { isSameAmount($0, of: request, $1, record, at: time) }
    if !isSameUsage { return "usage" }
    if !isSame(request.maxCost, heap[.maxCost].word) { return "max_cost" }
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
      let isSame = isSameUsage(usage, heap) { $0 == $1 }
      if record.flags & RecordFlags.explicit != 0 || !isSame { return "usage" }
    }
    if !heap[.description].equals(request.description) { return "description" }
    if !heap[.metadata].equals(request.metadata) { return "metadata" }
    return nil
  }

  /// Whether a tool is asked for by the name that it was asked for by before.
  func isSameTool(_ name: BorrowedText, _ record: Record, _ heap: Heap) -> Bool {
    guard record.tool > 0, !name.isEmpty else { return record.tool == 0 && name.isEmpty }
    let asked = heap[.toolName]
    return asked.isEmpty ? state.catalog.isOwnName(name, of: record.tool - 1) : asked.equals(name)
  }

  /// Whether an amount of a request is one of a record: the same units where units are given, or the same decimal, each
  /// at the scale of its own asset.
  private func isSameAmount(
    _ asked: Int64, of request: ChargeRequest, _ first: Int64, _ record: Record, at time: Int64
  ) -> Bool {
    if asked == first, request.unitsAsset == nil { return true }
    var asset = request.unitsAsset ?? record.asset
    if request.unitsAsset == nil, let tool = state.catalog.find(request.tool), !tool.isAmbiguous,
      let price = state.catalog.priceIndex(tool, customer: record.account, at: time)
    {
      // A host reads decimals at the scale that the tool's price has now.
      asset = state.catalog.prices[Int(price)].asset
    }
    let scales = (state.catalog.assets[Int(asset)].scale, state.catalog.assets[Int(record.asset)].scale)
    return Int128(asked) * Ledger.power(scales.1) == Int128(first) * Ledger.power(scales.0)
  }

  /// 10 to the power of a scale.
  private static func power(_ scale: UInt8) -> Int128 {
    var power: Int128 = 1
    for _ in 0..<scale { power *= 10 }
    return power
  }

  private func isSameUsage(_ usage: Usage, _ heap: Heap, value isSame: (Int64, Int64) -> Bool) -> Bool {
    let field = heap[.usage]
    if field.isEmpty { return usage.isSingleRequest }
    let words = usage.words
    guard field.count == words.count * 8 else { return false }
    let bytes = unsafe field.bytes
    return words.indices.allSatisfy { index in
      let first = unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: Int64.self)
      return index == Int(Meter.value.rawValue) ? isSame(words[index], first) : words[index] == first
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
