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
  func audit() throws(Failure) -> Audit {
    try look { ledger, context throws(Rejection) in
      do throws(Failure) {
        return try ledger.audit(at: context.time, in: context.store)
      } catch {
        throw .failed(error)
      }
    }
  }
}

extension Ledger {
  fileprivate func audit(at time: Int64, in store: any Store) throws(Failure) -> Audit {
    var audit = Audit()
    var replay = LedgerState()
    do throws(Failure) {
      try replayJournal(into: &replay, &audit, store)
    } catch {
      audit.blame(error.message)
      return audit
    }
    audit.hash = replay.hash
    if replay.nextRecord != firstUnwritten { audit.blame("The journal ends at record \(replay.nextRecord - 1).") }
    if replay.hash != state.hash { audit.blame("The last segment's hash is not the one in memory.") }
    // Records that are relaxed and not written yet are in the live state alone, so nothing can be compared then.
    if log.isEmpty {
      compareBalances(replay, &audit)
      compareHolds(replay, &audit, at: time)
      compareBudgets(replay, &audit)
    }
    return audit
  }

  private func replayJournal(
    into replay: inout LedgerState, _ audit: inout Audit, _ store: any Store
  ) throws(Failure) {
    try unsafe store.visitSegments(from: 1) { first, row throws(Failure) in
      let segment = try unsafe Segment(row)
      guard first == replay.nextRecord, segment.first == first else {
        throw Segment.corrupt("Segment \(first) does not follow record \(replay.nextRecord - 1).")
      }
      guard segment.previous == replay.hash else {
        throw Segment.corrupt("Segment \(first) does not carry on the hash chain.")
      }
      guard segment.isIntact else { throw Segment.corrupt("Segment \(first) is not what was hashed.") }
      try segment.visitRecords { _, record, heap throws(Failure) in
        guard record.time >= replay.time else {
          throw Segment.corrupt("Record \(replay.nextRecord) is older than the one before.")
        }
        try checkBalanced(replay, record, heap)
        try replay.apply(record, heap)
        audit.records += 1
        return true
      }
      // What is only kept for the next seal is not needed here.
      replay.clearUnsealed()
      replay.hash = segment.hash
      audit.segments += 1
      return true
    }
  }

  private func checkBalanced(_ replay: borrowing LedgerState, _ record: Record, _ heap: Heap) throws(Failure) {
    guard record.kind == RecordKind.transfer.rawValue else { return }
    var sums: [UInt16: Int128] = [:]
    for posting in heap.postings { sums[posting.asset, default: 0] += Int128(posting.amount) }
    guard sums.values.allSatisfy({ $0 == 0 }) else {
      throw Segment.corrupt("The postings of transfer \(replay.nextRecord) do not add up to zero.")
    }
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
      if found == nil || found?.remaining != hold.remaining {
        audit.blame("Hold \(number) is open with another remainder than its journal entries give.")
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
      let window = replay.budgets[index].current
      // A window that only a question has moved on has nothing in it.
      guard window.start == budget.current.start else { continue }
      if window.spent != budget.current.spent || window.held != budget.current.held {
        audit.blame("Budget '\(budget.name)' has counted other amounts than the journal gives.")
      }
    }
  }
}
