internal import FareboxCore

/// The ledger in memory: what the journal amounts to up to its last record.
///
/// It changes only by `apply`, which is given a record that was just decided, or one that is read back; so replaying the
/// journal gives the same state, to the last unit. Deciding (`LedgerState+Charges` and the like) only reads.
struct LedgerState: ~Copyable {
  var accountNames = NameTable()
  var accounts: ContiguousArray<Account> = []
  var balances: ContiguousArray<Balance> = []
  var budgets: ContiguousArray<Budget> = []
  var guards: ContiguousArray<AccountGuard> = []
  var catalog = Catalog()
  /// What skills keep for themselves.
  var values = SkillValues()
  var holds: [UInt64: Hold] = [:]
  var expiries = ExpiryQueue()
  /// How recent holds ended.
  var ended = EndedHolds()
  /// What was refunded of a charge, or 1 for a transfer that was reversed.
  var refunds: [UInt64: Int64] = [:]

  /// The number that the next record gets; numbers begin with 1.
  var nextRecord: UInt64 = 1
  /// The last record's time.
  var time: Int64 = 0
  /// The hash of the last segment.
  var hash = Digest.zero

  /// Records up to this one are in sealed indexes.
  var sealedThrough: UInt64 = 0
  /// Account << 32 | (record - sealedThrough), for each account that an unsealed record touches, in order.
  var tail: ContiguousArray<UInt64> = []
  var unsealedDefinitions: ContiguousArray<UInt64> = []
  /// Balances changed since the last seal.
  var dirtyBalances: ContiguousArray<Int32> = []
  var lastSeal: Int64 = 0

  /// Built-in accounts, opened with the ledger.
  static let external: UInt32 = 0
  static let platform: UInt32 = 1

  // MARK: Lookup

  func account(_ name: BorrowedText) -> UInt32? {
    accountNames.find(name)
  }

  /// The balance of an account in an asset, or -1.
  func balanceIndex(_ account: UInt32, _ asset: UInt16) -> Int32 {
    var index = accounts[Int(account)].firstBalance
    while index >= 0 {
      let balance = balances[Int(index)]
      if balance.asset == asset { return index }
      index = balance.next
    }
    return -1
  }

  /// The balance of an account in an asset, made when there is none.
  mutating func makeBalance(_ account: UInt32, _ asset: UInt16) -> Int32 {
    let found = balanceIndex(account, asset)
    if found >= 0 { return found }
    let index = Int32(balances.count)
    balances.append(Balance(account: account, asset: asset, next: accounts[Int(account)].firstBalance))
    accounts[Int(account)].firstBalance = index
    return index
  }

  /// The wallet that pays for an account.
  func wallet(of account: UInt32) -> UInt32 {
    UInt32(accounts[Int(account)].wallet)
  }

  /// Gives each account that is credited with `amount`, and its share.
  func forEachShare(_ beneficiary: UInt32, of amount: Int64, _ body: (UInt32, Int64) -> Void) {
    if beneficiary & Record.splitBit == 0 {
      body(beneficiary, amount)
    } else {
      let rule = catalog.splits[Int(beneficiary & ~Record.splitBit)]
      rule.split.forEachShare(of: amount) { index, share in body(rule.accounts[index], share) }
    }
  }

  // MARK: Changing balances

  /// Adds to a balance; the caller has checked that the sum fits.
  mutating func post(_ index: Int32, _ units: Int64) {
    balances[Int(index)].units &+= units
    touch(index)
  }

  mutating func hold(_ index: Int32, _ units: Int64) {
    balances[Int(index)].held &+= units
    touch(index)
  }

  mutating func touch(_ index: Int32) {
    if balances[Int(index)].isDirty { return }
    balances[Int(index)].isDirty = true
    dirtyBalances.append(index)
  }

  /// Notes that a record belongs into an account's history.
  mutating func note(_ account: UInt32, _ record: UInt64) {
    tail.append(UInt64(account) << 32 | (record - sealedThrough) & 0xffff_ffff)
  }
}

/// Holds by expiry, soonest first, and those of one time by their number; entries of holds that ended or moved are passed
/// over when they come up.
struct ExpiryQueue {
  private var heap: ContiguousArray<(expires: Int64, hold: UInt64)> = []

  var first: (expires: Int64, hold: UInt64)? { heap.first }

  mutating func add(_ hold: UInt64, expires: Int64) {
    heap.append((expires, hold))
    var index = heap.count - 1
    while index > 0 {
      let parent = (index - 1) / 2
      if heap[parent] < heap[index] { break }
      heap.swapAt(parent, index)
      index = parent
    }
  }

  mutating func removeFirst() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
        if heap[child] < heap[least] { least = child }
      }
      if least == index { return }
      heap.swapAt(index, least)
      index = least
    }
  }
}

/// How the holds that ended last have ended.
struct EndedHolds {
  private var ends: [UInt64: HoldEnd] = [:]
  /// What was added to those that were increased.
  private var increases: [UInt64: Int64] = [:]
  private var order: ContiguousArray<UInt64> = []
  private var oldest = 0

  static let capacity = 65_536

  subscript(hold: UInt64) -> HoldEnd? { ends[hold] }

  /// What was added to a hold after its reservation, or nil where the hold is not among the last.
  func increase(of hold: UInt64) -> Int64? {
    ends[hold] == nil ? nil : increases[hold] ?? 0
  }

  mutating func add(_ hold: UInt64, _ end: HoldEnd, increased: Int64) {
    ends[hold] = end
    if increased != 0 { increases[hold] = increased }
    if order.count < EndedHolds.capacity {
      order.append(hold)
    } else {
      ends[order[oldest]] = nil
      if !increases.isEmpty { increases[order[oldest]] = nil }
      order[oldest] = hold
      oldest = (oldest + 1) % EndedHolds.capacity
    }
  }
}
