internal import FareboxCore
internal import FareboxStore

/// What a seal covers and where the ledger stood; kept as a row and read when the ledger is opened.
struct Seal {
  let id: Int64
  let first: UInt64
  let last: UInt64
  let timeFrom: Int64
  let timeTo: Int64
  /// The hash of the last segment that the seal covers.
  let hash: Digest
  let runs: [KeyRunSummary]

  init(
    id: Int64, first: UInt64, last: UInt64, timeFrom: Int64, timeTo: Int64, hash: Digest, runs: [KeyRunSummary]
  ) {
    self.id = id
    self.first = first
    self.last = last
    self.timeFrom = timeFrom
    self.timeTo = timeTo
    self.hash = hash
    self.runs = runs
  }

  private static let headBytes = 64

  var row: ContiguousArray<UInt64> {
    var words: ContiguousArray<UInt64> = [
      first, last, UInt64(bitPattern: timeFrom), UInt64(bitPattern: timeTo),
    ]
    words.append(contentsOf: [hash.word0, hash.word1, hash.word2, hash.word3])
    for run in runs {
      words.append(UInt64(bitPattern: run.id))
      words.append(UInt64(bitPattern: run.level))
      words.append(UInt64(bitPattern: run.count))
    }
    return words
  }

  @unsafe
  init(id: Int64, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard bytes.count >= Seal.headBytes, (bytes.count - Seal.headBytes) % 24 == 0 else {
      throw Segment.corrupt("A seal has the wrong length.")
    }
    func word(_ index: Int) -> UInt64 { unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) }
    guard word(0) <= word(1), word(1) <= UInt64(Int64.max) else {
      throw Segment.corrupt("A seal covers records that cannot be.")
    }
    self.id = id
    first = word(0)
    last = word(1)
    timeFrom = Int64(bitPattern: word(2))
    timeTo = Int64(bitPattern: word(3))
    hash = Digest(word(4), word(5), word(6), word(7))
    runs = (0..<(bytes.count - Seal.headBytes) / 24).map { index in
      KeyRunSummary(
        id: Int64(bitPattern: word(8 + index * 3)), level: Int64(bitPattern: word(9 + index * 3)),
        count: Int64(bitPattern: word(10 + index * 3)))
    }
  }
}

extension Ledger {
  /// Records since the last seal at which the ledger wants to be sealed.
  var sealThreshold: Int { keys.sealThreshold }

  /// Whether enough has come since the last seal.
  var wantsSeal: Bool {
    log.isEmpty && state.nextRecord - 1 - state.sealedThrough >= UInt64(sealThreshold)
  }

  /// Moves what the unsealed records amount to into indexes in the store, so that neither opening nor a new charge has
  /// to look at them again; and says so in the journal.
  ///
  /// Called inside a transaction, when every record is written.
  mutating func seal(at time: Int64, in store: any Store) throws(Failure) {
    let last = state.nextRecord - 1
    try project(in: store)
    var record = Record(.seal, time: time)
    record.reference = last
    record.account = LedgerState.platform
    log.beginRecord()
    do throws(Rejection) {
      _ = try append(&record)
    } catch {
      throw Failure(.internal, "A seal could not be applied.")
    }
  }

  /// Writes what the unsealed records amount to into the projections: a seal, but for its record.
  mutating func project(in store: any Store) throws(Failure) {
    let last = state.nextRecord - 1
    let first = state.sealedThrough + 1
    let id = Int64(clamping: last)
    state.forgetRuns()
    let runs = try keys.seal(in: store)
    try storeDefinitions(in: store)
    try storeValues(in: store)
    try storeBalances(last, in: store)
    try storeBudgets(in: store)
    try storeHolds(in: store)
    try storeHistory(id, in: store)
    let seal = Seal(
      id: id, first: first, last: last, timeFrom: state.lastSeal, timeTo: state.time, hash: state.hash, runs: runs)
    try putRow(store, .seals, RowKey(id), seal.row[...])
  }

  /// Copies records that later records refer to, so that opening need not search the journal for them.
  private func storeDefinitions(in store: any Store) throws(Failure) {
    var index = 0
    let numbers = state.unsealedDefinitions
    while index < numbers.count {
      var next = index
      try unsafe store.visitSegment(containing: numbers[index]) { first, row throws(Failure) in
        let segment = try unsafe Segment(row)
        // What is copied here is read without the journal's hash from then on.
        guard segment.isIntact else { throw Segment.corrupt("Segment \(first) is not what was hashed.") }
        guard numbers[next] >= first else { return }
        try segment.visitRecords(from: Int(clamping: numbers[next] - first)) { number, record, heap throws(Failure) in
          guard next < numbers.count else { return false }
          guard number == numbers[next] else { return true }
          var bytes = ContiguousArray<UInt8>()
          unsafe record.encode(fields: ContiguousArray(heap.all), to: &bytes)
          try putRow(store, .definitions, RowKey(Int64(clamping: number)), bytes[...])
          next += 1
          return true
        }
      }
      guard next > index else { throw Segment.corrupt("A definition is missing from the journal.") }
      index = next
    }
  }

  /// Writes the values that have changed among the definitions, each in the row of its slot: below zero, where no
  /// record's number is.
  private func storeValues(in store: any Store) throws(Failure) {
    for slot in state.values.dirty.sorted() {
      let row = ContiguousArray(state.values.entries[slot].json.serialized().utf8)
      try putRow(store, .definitions, RowKey(-1 - Int64(slot)), row[...])
    }
  }

  private func storeBalances(_ last: UInt64, in store: any Store) throws(Failure) {
    for index in state.dirtyBalances {
      let balance = state.balances[Int(index)]
      let row: ContiguousArray<Int64> = [balance.units, balance.held, balance.creditLine]
      try putRow(store, .balances, RowKey(Int64(balance.account), Int64(balance.asset)), row[...])
      let point: ContiguousArray<Int64> = [balance.units]
      let place = Int64(balance.account) << 16 | Int64(balance.asset)
      try putRow(store, .balancePoints, RowKey(Int64(clamping: last), place), point[...])
    }
  }

  private mutating func storeBudgets(in store: any Store) throws(Failure) {
    for (index, budget) in state.budgets.enumerated() {
      let row: ContiguousArray<BudgetWindow> = [budget.current, budget.previous]
      try putRow(store, .budgets, RowKey(Int64(index)), row[...])
    }
    for index in state.guards.indices {
      let account = Int64(state.guards[index].account)
      if state.guards[index].chargesPerHour != nil {
        let times = state.guards[index].recent.active(at: state.time)
        try putRow(store, .rates, RowKey(account), ContiguousArray(times)[...])
      } else {
        try store.deleteRows(.rates, major: account)
      }
      try store.deleteRows(.runs, major: account)
      for (run, total) in state.guards[index].runs {
        try putRow(store, .runs, RowKey(account, Int64(bitPattern: run)), [total.total, total.last][...])
      }
    }
  }

  private func storeHolds(in store: any Store) throws(Failure) {
    try store.deleteRows(.holds, major: 0)
    for (number, hold) in state.holds {
      var row: ContiguousArray<Int64> = [hold.remaining, hold.captured, hold.expires]
      if hold.increased != 0 { row.append(hold.increased) }
      try putRow(store, .holds, RowKey(0, Int64(clamping: number)), row[...])
    }
  }

  /// Writes, for each account touched, the numbers of the records that touch it.
  private func storeHistory(_ id: Int64, in store: any Store) throws(Failure) {
    let lists = sortedByAccount(state.tail)
    var start = 0
    var numbers = ContiguousArray<UInt32>()
    while start < lists.count {
      let account = lists[start] >> 32
      numbers.removeAll(keepingCapacity: true)
      var end = start
      while end < lists.count, lists[end] >> 32 == account {
        let offset = UInt32(truncatingIfNeeded: lists[end])
        if numbers.last != offset { numbers.append(offset) }
        end += 1
      }
      try putRow(store, .history, RowKey(id, Int64(account)), numbers[...])
      start = end
    }
  }

  /// A counting sort by account, which leaves the records of one account in their order.
  private func sortedByAccount(_ entries: ContiguousArray<UInt64>) -> ContiguousArray<UInt64> {
    var places = ContiguousArray<Int>(repeating: 0, count: state.accounts.count + 1)
    for entry in entries { places[Int(entry >> 32) + 1] += 1 }
    for index in places.indices.dropFirst() { places[index] += places[index - 1] }
    var sorted = ContiguousArray<UInt64>(repeating: 0, count: entries.count)
    for entry in entries {
      let account = Int(entry >> 32)
      sorted[places[account]] = entry
      places[account] += 1
    }
    return sorted
  }
}
