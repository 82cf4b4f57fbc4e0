internal import FareboxCore
internal import FareboxStore

/// What a run has cost, added up from the newest record to the oldest over several turns.
///
/// What is newer than the record that the first turn begins with does not count, so all turns together give one moment.
final class RunCost {
  /// Which records count.
  struct Question {
    let filter: OriginFilter
    /// The account that was charged; nil is any.
    let payer: UInt32?
    /// nil is any.
    let asset: UInt16?
    /// Records before it are not looked at.
    let from: Int64
  }

  /// What it cost in one asset.
  struct Sum {
    var charged: Int128 = 0
    var captured: Int128 = 0
    var refunded: Int128 = 0
    var held: Int128 = 0
    var count: Int64 = 0
    /// By index of the tool + 1; 0 is an amount without a tool.
    var tools: [UInt32: (amount: Int128, count: Int64)] = [:]
  }

  let question: Question
  private(set) var sums: [UInt16: Sum] = [:]
  private(set) var first: Int64?
  private(set) var last: Int64?
  private let origins = Origins()
  /// Holds that are known to be over.
  private var ended: Set<UInt64> = []
  /// What has come to holds, or gone from them, since their reservations.
  private var changes: [UInt64: Int128] = [:]

  /// Records that one turn looks at, so that no other caller waits long.
  private static let recordsInTurn = 8_192

  init(_ question: Question) {
    self.question = question
  }

  /// Looks at the records of one turn.
  ///
  /// - Returns: where the next one goes on, or nil where nothing is left.
  func advance(before number: UInt64, in ledger: borrowing Ledger, _ store: any Store) throws(Failure) -> UInt64? {
    var left = RunCost.recordsInTurn
    var next: UInt64?
    func visit(_ number: UInt64, _ record: Record, _ heap: Heap) throws(Failure) -> Bool {
      if record.time < question.from { return false }
      if left == 0 {
        next = number + 1
        return false
      }
      left -= 1
      try add(number, record, heap, ledger, store)
      return true
    }
    if let payer = question.payer {
      try ledger.visitHistoryBackwards(of: payer, before: number, in: store, visit)
    } else {
      try ledger.visitJournalBackwards(before: number, in: store, visit)
    }
    return next
  }

  private func add(
    _ number: UInt64, _ record: Record, _ heap: Heap, _ ledger: borrowing Ledger, _ store: any Store
  ) throws(Failure) {
    guard let kind = RecordKind(rawValue: record.kind), kind == .charge || kind == .reserve || kind.refersToOrigin,
      question.payer.map({ $0 == record.account }) ?? true, question.asset.map({ $0 == record.asset }) ?? true,
      try question.filter.accepts(number, record, heap, ledger, origins, in: store)
    else { return }
    first = record.time
    last = last ?? record.time
    var sum = sums[record.asset] ?? Sum()
    switch kind {
    case .charge, .capture:
      sum.count += 1
      if kind == .charge { sum.charged += Int128(record.amount) } else { sum.captured += Int128(record.amount) }
      try addTools(record, heap, to: &sum)
      if kind == .capture { settle(record) }
    case .refund:
      sum.refunded += Int128(record.amount)
      try takeFromTools(record, heap, of: &sum)
    case .reserve:
      if !ended.contains(number) { sum.held += Int128(record.amount) + (changes[number] ?? 0) }
    case .increase: changes[record.reference, default: 0] += Int128(record.amount)
    case .release, .expire: ended.insert(record.reference)
    default: break
    }
    sums[record.asset] = sum
  }

  private func addTools(_ record: Record, _ heap: Heap, to sum: inout Sum) throws(Failure) {
    func add(_ tool: UInt32, _ amount: Int64) {
      sum.tools[tool, default: (0, 0)].amount += Int128(amount)
      sum.tools[tool, default: (0, 0)].count += 1
    }
    if record.flags & RecordFlags.lines == 0 { return add(record.tool, record.amount) }
    for line in try StoredLine.all(heap[.lines]) { add(line.tool, line.charged) }
  }

  private func takeFromTools(_ refund: Record, _ heap: Heap, of sum: inout Sum) throws(Failure) {
    func take(_ tool: UInt32, _ amount: Int64) { sum.tools[tool, default: (0, 0)].amount -= Int128(amount) }
    if refund.flags & RecordFlags.lines == 0 { return take(refund.tool, refund.amount) }
    let lines = try StoredLine.all(heap[.lines])
    let before = heap[.requested].word ?? 0
    let from = StoredLine.parts(of: before, lines)
    let to = StoredLine.parts(of: before &+ refund.amount, lines)
    for (index, line) in lines.enumerated() { take(line.tool, to[index] &- from[index]) }
  }

  private func settle(_ capture: Record) {
    if capture.flags & RecordFlags.final != 0 {
      ended.insert(capture.reference)
    } else {
      changes[capture.reference, default: 0] -= Int128(capture.amount) - Int128(capture.extra)
    }
  }
}

extension Ledger {
  /// What a run has cost, as JSON.
  func json(_ cost: RunCost, of run: String) throws(Failure) -> JSON {
    var rows: [JSON] = []
    for (index, sum) in cost.sums.sorted(by: { $0.key < $1.key }) {
      let asset = state.catalog.assets[Int(index)]
      func text(_ units: Int128) throws(Failure) -> JSON {
        guard let units = Int64(exactly: units) else {
          throw Failure(.overflow, "A sum of this run does not fit into 64 bits of atomic units.")
        }
        return .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
      }
      var tools: [JSON] = []
      for (tool, part) in sum.tools.sorted(by: { $0.key < $1.key }) {
        var row = JSONObject(tool == 0 ? [("tool", .null), ("skill", .null)] : toolMembers(tool - 1))
        row.append("amount", try text(part.amount))
        row.append("count", .int(part.count))
        tools.append(.object(row))
      }
      rows.append([
        "asset": .string(asset.code), "spent": try text(sum.charged + sum.captured - sum.refunded),
        "charged": try text(sum.charged), "captured": try text(sum.captured), "refunded": try text(sum.refunded),
        "held": try text(sum.held), "count": .int(sum.count), "tools": .array(tools),
      ])
    }
    return [
      "run": .string(run), "assets": .array(rows), "first": cost.first.map { .int($0) } ?? .null,
      "last": cost.last.map { .int($0) } ?? .null,
    ]
  }
}
