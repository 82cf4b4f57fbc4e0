internal import FareboxCore

extension LedgerState {
  /// Credits the lines of a capture.
  mutating func creditLines(_ record: Record, _ heap: Heap, _ number: UInt64) throws(Failure) {
    let lines = try checkedLines(heap)
    guard lines.reduce(Int128(0), { $0 + Int128($1.charged) }) == Int128(record.amount) else {
      throw Segment.corrupt("The lines of a capture are not its amount.")
    }
    for line in lines { credit(line.beneficiary, record.asset, line.charged, number) }
  }

  /// Takes a refund from those whom the lines of its capture have credited.
  ///
  /// - Parameter before: what had been refunded of it.
  mutating func refundLines(_ record: Record, _ heap: Heap, _ before: Int64, _ number: UInt64) throws(Failure) {
    let lines = try checkedLines(heap)
    // The difference between two exact divisions among the lines, each divided exactly among its recipients.
    let from = StoredLine.parts(of: before, lines)
    let to = StoredLine.parts(of: before &+ record.amount, lines)
    for (index, line) in lines.enumerated() {
      credit(line.beneficiary, record.asset, from[index], number, negatedBy: to[index])
    }
  }

  private func checkedLines(_ heap: Heap) throws(Failure) -> [StoredLine] {
    let lines = try StoredLine.all(heap[.lines])
    for line in lines {
      let count = line.beneficiary & Record.splitBit != 0 ? catalog.splits.count : accounts.count
      guard Int(line.beneficiary & ~Record.splitBit) < count, line.charged >= 0 else {
        throw Segment.corrupt("A line of a capture names an account or split that does not exist.")
      }
    }
    return lines
  }

  /// The legs of those whom a capture of lines has credited, or who give back a refund of it.
  func linePostings(_ record: Record, _ heap: Heap) -> [Posting] {
    guard let lines = try? checkedLines(heap) else { return [] }
    var legs: [Posting] = []
    if record.kind == RecordKind.capture.rawValue {
      for line in lines {
        forEachShare(line.beneficiary, of: line.charged) { account, share in
          legs.append(Posting(account: account, asset: record.asset, amount: share))
        }
      }
      return legs
    }
    let before = heap[.requested].word ?? 0
    let from = StoredLine.parts(of: before, lines)
    let to = StoredLine.parts(of: before &+ record.amount, lines)
    for (index, line) in lines.enumerated() {
      var taken: [Int64] = []
      forEachShare(line.beneficiary, of: from[index]) { _, share in taken.append(share) }
      var position = 0
      forEachShare(line.beneficiary, of: to[index]) { account, share in
        legs.append(Posting(account: account, asset: record.asset, amount: taken[position] &- share))
        position += 1
      }
    }
    return legs
  }
}
