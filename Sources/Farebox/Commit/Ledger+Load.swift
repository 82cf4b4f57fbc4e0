internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// Brings the ledger from its last seal in the store, and from the segments since, into memory.
  mutating func load(from store: any Store) throws(Failure) {
    state = LedgerState()
    keys = KeyIndex(memoryBytes: keys.memoryBytes, sealRecords: keys.sealRecords)
    log.removeAll()
    if let seal = try Ledger.lastSeal(in: store) {
      try loadDefinitions(through: seal.last, from: store)
      try loadValues(from: store)
      try loadBalances(from: store)
      try loadBudgets(from: store)
      try loadHolds(from: store)
      try keys.load(seal.runs, from: store)
      state.clearUnsealed()
      state.nextRecord = seal.last + 1
      state.sealedThrough = seal.last
      state.time = seal.timeTo
      state.lastSeal = seal.timeTo
      state.hash = seal.hash
    }
    try catchUp(from: store)
  }

  /// Applies the segments that others have written since.
  mutating func catchUp(from store: any Store) throws(Failure) {
    var wasSealed = false
    try unsafe store.visitSegments(from: state.nextRecord) { first, row throws(Failure) in
      let segment = try unsafe state.next(first, row)
      try segment.visitRecords { number, record, heap throws(Failure) in
        if record.kind == RecordKind.seal.rawValue {
          wasSealed = true
          keys.forgetRecent()
        }
        try state.apply(record, heap)
        let hash = keyHash(record, heap)
        if !hash.isNone { keys.insert(hash, record: number) }
        return true
      }
      state.hash = segment.hash
      return true
    }
    if wasSealed, let seal = try Ledger.lastSeal(in: store) { try keys.load(seal.runs, from: store) }
  }

  /// Brings a segment of the journal into memory, and makes what the seal in it had made, without reading any of that.
  ///
  /// - Parameter store: holds the journal up to this segment, and takes the projections.
  mutating func rebuild(_ first: UInt64, _ row: UnsafeRawBufferPointer, in store: any Store) throws(Failure) {
    let segment = try unsafe state.next(first, row)
    try segment.visitRecords { number, record, heap throws(Failure) in
      if record.kind == RecordKind.seal.rawValue {
        // A seal is made when everything before it is written, so its record begins a segment.
        guard number == first, record.reference == number - 1 else {
          throw Segment.corrupt("The seal at record \(number) does not cover what is before it.")
        }
        try project(in: store)
      }
      try state.apply(record, heap)
      let hash = keyHash(record, heap)
      if !hash.isNone { keys.insert(hash, record: number) }
      return true
    }
    state.hash = segment.hash
  }

  /// The newest seal, or nil in a young ledger.
  static func lastSeal(in store: any Store) throws(Failure) -> Seal? {
    var seal: Seal?
    try unsafe store.visitRows(.seals, major: 0 ... .max, descending: true) { key, bytes throws(Failure) in
      seal = try unsafe Seal(id: key.major, bytes)
      return false
    }
    return seal
  }

  private mutating func loadDefinitions(through last: UInt64, from store: any Store) throws(Failure) {
    let all = 0...Int64(clamping: last)
    try unsafe store.visitRows(.definitions, major: all, descending: false) { key, bytes throws(Failure) in
      let (record, heap) = try unsafe Record.decode(bytes, at: 0)
      guard let kind = RecordKind(rawValue: record.kind) else { throw Segment.corrupt("A definition has no kind.") }
      try state.define(kind, record, UInt64(key.major), heap)
      return true
    }
  }

  private mutating func loadValues(from store: any Store) throws(Failure) {
    try unsafe store.visitRows(.definitions, major: .min ... -1, descending: true) { key, bytes throws(Failure) in
      guard key.major == -1 - Int64(state.values.entries.count) else {
        throw Segment.corrupt("A stored value is missing.")
      }
      try state.values.set(JSON.parse(unsafe [UInt8](bytes)))
      return true
    }
  }

  private mutating func loadBalances(from store: any Store) throws(Failure) {
    try unsafe store.visitRows(.balances, major: 0 ... .max, descending: false) { key, bytes throws(Failure) in
      guard bytes.count == 24, key.major < state.accounts.count, key.minor >= 0,
        key.minor < state.catalog.assets.count
      else {
        throw Segment.corrupt("A stored balance names an unknown account or asset.")
      }
      let index = Int(state.makeBalance(UInt32(key.major), UInt16(key.minor)))
      state.balances[index].units = unsafe bytes.loadUnaligned(fromByteOffset: 0, as: Int64.self)
      state.balances[index].held = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self)
      state.balances[index].creditLine = unsafe bytes.loadUnaligned(fromByteOffset: 16, as: Int64.self)
      return true
    }
  }

  private mutating func loadBudgets(from store: any Store) throws(Failure) {
    try unsafe store.visitRows(.budgets, major: 0 ... .max, descending: false) { key, bytes throws(Failure) in
      let size = MemoryLayout<BudgetWindow>.size
      guard key.major < state.budgets.count, bytes.count == 2 * size else {
        throw Segment.corrupt("A stored budget is unknown.")
      }
      state.budgets[Int(key.major)].current = unsafe bytes.loadUnaligned(as: BudgetWindow.self)
      state.budgets[Int(key.major)].previous = unsafe bytes.loadUnaligned(fromByteOffset: size, as: BudgetWindow.self)
      return true
    }
    for index in state.guards.indices {
      let account = Int64(state.guards[index].account)
      _ = try unsafe store.row(.rates, RowKey(account)) { bytes throws(Failure) in
        state.guards[index].recent = RateWindow(
          times: (0..<bytes.count / 8).map { unsafe bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self) })
      }
      try unsafe store.visitRows(.runs, major: account...account, descending: false) { key, bytes throws(Failure) in
        guard bytes.count == 16 else { throw Segment.corrupt("A stored run has the wrong length.") }
        state.guards[index].runs[UInt64(bitPattern: key.minor)] = RunTotal(
          total: unsafe bytes.loadUnaligned(as: Int64.self),
          last: unsafe bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        return true
      }
    }
  }

  /// Opens the holds again: what never changes is in the record of the reservation.
  private mutating func loadHolds(from store: any Store) throws(Failure) {
    try unsafe store.visitRows(.holds, major: 0...0, descending: false) { key, bytes throws(Failure) in
      guard bytes.count == 24 || bytes.count == 32, key.minor > 0 else {
        throw Segment.corrupt("A stored hold has the wrong length.")
      }
      let number = UInt64(key.minor)
      let remaining = unsafe bytes.loadUnaligned(as: Int64.self)
      let captured = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self)
      let expires = unsafe bytes.loadUnaligned(fromByteOffset: 16, as: Int64.self)
      let increased = bytes.count == 24 ? 0 : unsafe bytes.loadUnaligned(fromByteOffset: 24, as: Int64.self)
      var wasFound = false
      try unsafe store.visitSegment(containing: number) { _, row throws(Failure) in
        let segment = try unsafe Segment(row)
        guard segment.isIntact else { throw Segment.corrupt("The segment of hold \(number) is not what was hashed.") }
        try segment.withRecord(number) { record, heap throws(Failure) in
          guard record.kind == RecordKind.reserve.rawValue, record.account < state.accounts.count else { return }
          wasFound = true
          var hold = state.newHold(record, heap)
          hold.amount &+= increased
          hold.increased = increased
          hold.remaining = remaining
          hold.captured = captured
          hold.expires = expires
          state.holds[number] = hold
          state.expiries.add(number, expires: expires)
        }
      }
      guard wasFound else { throw Segment.corrupt("The reservation of an open hold is missing.") }
      return true
    }
  }
}

extension LedgerState {
  /// The segment of a row, if it is the one that follows.
  @unsafe
  func next(_ first: UInt64, _ row: UnsafeRawBufferPointer) throws(Failure) -> Segment {
    let segment = try unsafe Segment(row)
    guard first == nextRecord, segment.first == first else {
      throw Segment.corrupt("Segment \(first) does not follow record \(nextRecord - 1).")
    }
    guard segment.previous == hash else { throw Segment.corrupt("Segment \(first) does not carry on the hash chain.") }
    guard segment.isIntact else { throw Segment.corrupt("Segment \(first) is not what was hashed.") }
    return segment
  }
}
