internal import FareboxCore
internal import FareboxStore

/// What reading the whole journal again has shown.
struct Audit {
  var records: Int64 = 0
  var segments: Int64 = 0
  var hash = Digest.zero
  /// What does not add up, in words; at most a thousand.
  var problems: [String] = []
  var sums: [(asset: Asset, total: Int128, held: Int64)] = []
  var openHolds: Int64 = 0
  var orphans: [UInt64] = []

  mutating func blame(_ problem: String) {
    if problems.count < 1_000 { problems.append(problem) }
  }
}

extension Engine {
  /// Replays the journal from its first record and compares the result with the live state.
  ///
  /// The journal is read in slices, between which other callers take their turns; only the comparison, and what was
  /// written during the last slice, is one turn.
  func audit() throws(Failure) -> Audit {
    let replay = JournalReplay()
    var hasMore = true
    while hasMore {
      let slice = try journalSlice(from: replay.state.nextRecord)
      hasMore = try replay.add(slice) ? slice.hasMore : false
    }
    for _ in 0..<Engine.auditTurns {
      let audit = try look { ledger, context throws(Rejection) -> Audit? in
        // What is decided but not written is in the live state alone, so nothing can be compared then.
        guard ledger.log.isEmpty else { return nil }
        do throws(Failure) {
          try replay.catchUp(from: context.store)
        } catch {
          throw .failed(error)
        }
        return ledger.audit(replay, at: context.time)
      }
      if let audit { return audit }
      // Writes what is relaxed.
      try perform(.normal) { _, _ throws(Rejection) in }
    }
    throw Failure(.busy, "Relaxed calls came so fast that there was no moment without an unwritten record.")
  }

  /// How often an audit waits for a turn in which everything is written.
  private static let auditTurns = 100
}

/// The journal replayed by an audit.
final class JournalReplay {
  fileprivate(set) var state = LedgerState()
  fileprivate var audit = Audit()

  /// Replays the rest of a journal.
  fileprivate func catchUp(from store: any Store) throws(Failure) {
    while audit.problems.isEmpty {
      let slice = try JournalSlice(of: store, from: state.nextRecord, through: .max)
      guard try add(slice), slice.hasMore else { return }
    }
  }

  /// Replays a slice; returns false where it is not what was once written.
  fileprivate func add(_ slice: JournalSlice) throws(Failure) -> Bool {
    do throws(Failure) {
      unsafe try slice.visit { first, row throws(Failure) in try unsafe replay(first, row) }
    } catch {
      audit.blame(error.message)
    }
    return audit.problems.isEmpty
  }

  private func replay(_ first: UInt64, _ row: UnsafeRawBufferPointer) throws(Failure) {
    let segment = try unsafe state.next(first, row)
    try segment.visitRecords { _, record, heap throws(Failure) in
      guard record.time >= state.time else {
        throw Segment.corrupt("Record \(state.nextRecord) is older than the one before.")
      }
      try checkBalanced(record, heap)
      try state.apply(record, heap)
      audit.records += 1
      return true
    }
    // What is only kept for the next seal is not needed here.
    state.clearUnsealed()
    state.hash = segment.hash
    audit.segments += 1
  }

  private func checkBalanced(_ record: Record, _ heap: Heap) throws(Failure) {
    guard record.kind == RecordKind.transfer.rawValue else { return }
    var sums: [UInt16: Int128] = [:]
    for posting in heap.postings { sums[posting.asset, default: 0] += Int128(posting.amount) }
    guard sums.values.allSatisfy({ $0 == 0 }) else {
      throw Segment.corrupt("The postings of transfer \(state.nextRecord) do not add up to zero.")
    }
  }
}

extension Ledger {
  /// Compares a ledger that nobody uses with its journal in the store.
  func audit(in store: any Store) throws(Failure) -> Audit {
    let replay = JournalReplay()
    try replay.catchUp(from: store)
    return audit(replay, at: state.time)
  }

  /// Compares the live state, of which everything is written, with a replay of the journal up to this moment.
  fileprivate func audit(_ replay: JournalReplay, at time: Int64) -> Audit {
    var audit = replay.audit
    guard audit.problems.isEmpty else { return audit }
    audit.hash = replay.state.hash
    if replay.state.nextRecord != state.nextRecord {
      audit.blame("The journal ends at record \(replay.state.nextRecord - 1).")
    }
    if replay.state.hash != state.hash { audit.blame("The last segment's hash is not the one in memory.") }
    compareBalances(replay.state, &audit)
    compareHolds(replay.state, &audit, at: time)
    compareBudgets(replay.state, &audit)
    return audit
  }

  private func compareBalances(_ replay: borrowing LedgerState, _ audit: inout Audit) {
    var totals = [Int128](repeating: 0, count: state.catalog.assets.count)
    var held = [Int64](repeating: 0, count: state.catalog.assets.count)
    for balance in state.balances {
      totals[Int(balance.asset)] += Int128(balance.units)
      held[Int(balance.asset)] &+= balance.held
      let index = replay.balanceIndex(balance.account, balance.asset)
      let name = state.accountNames[balance.account]
      let code = state.catalog.assets[Int(balance.asset)].code
      let expected = index < 0 ? (0, 0) : (replay.balances[Int(index)].units, replay.balances[Int(index)].held)
      if balance.units != expected.0 {
        audit.blame("\(name) has \(balance.units) units of \(code); its postings add up to \(expected.0).")
      }
      if balance.held != expected.1 {
        audit.blame("\(name) has \(balance.held) units of \(code) held; its holds add up to \(expected.1).")
      }
    }
    for (index, total) in totals.enumerated() {
      let asset = state.catalog.assets[index]
      audit.sums.append((asset, total, held[index]))
      if total != 0 { audit.blame("All accounts together have \(total) units of \(asset.code), not zero.") }
    }
  }

  private func compareHolds(_ replay: borrowing LedgerState, _ audit: inout Audit, at time: Int64) {
    audit.openHolds = Int64(state.holds.count)
    for (number, hold) in state.holds {
      let found = replay.holds[number]
      if found == nil || found?.remaining != hold.remaining || found?.amount != hold.amount
        || found?.increased != hold.increased || found?.captured != hold.captured
      {
        audit.blame("Hold \(number) is open with other amounts than its journal entries give.")
      }
      if hold.expires <= time { audit.orphans.append(number) }
    }
    if replay.holds.count != state.holds.count {
      audit.blame("\(replay.holds.count) holds are open by the journal, \(state.holds.count) in memory.")
    }
    audit.orphans.sort()
  }

  private func compareBudgets(_ replay: borrowing LedgerState, _ audit: inout Audit) {
    for (index, budget) in state.budgets.enumerated() where !budget.isRemoved && index < replay.budgets.count {
      let windows = replay.budgets[index]
      if windows.current != budget.current || windows.previous != budget.previous {
        audit.blame("Budget '\(budget.name)' has counted other amounts than the journal gives.")
      }
    }
  }
}
