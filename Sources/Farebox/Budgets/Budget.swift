/// A limit over a window on an account; every charge on the account or below it counts.
struct Budget {
  let account: UInt32
  let name: String
  let window: WindowKind
  /// The asset counted, or -1 for a budget that counts charges.
  let asset: Int32
  /// Atomic units, or charges.
  var limit: Int64
  /// Per cent of the limit at which an event is raised, ascending.
  var thresholds: [Int64]
  /// The record that set it first: holds that began before it are not counted.
  let created: UInt64
  var isRemoved = false
  var current = BudgetWindow()
  /// The window before: open holds that began in it still settle there.
  var previous = BudgetWindow()

  var countsCharges: Bool { asset < 0 }

  /// Moves to the window that holds `time`; only what is counted does so.
  ///
  /// A question must not: it leaves nothing in the journal, and the clock that it was asked by may go back.
  mutating func roll(to time: Int64) {
    if time < current.end && time >= current.start { return }
    (current, previous) = windows(at: time)
  }

  /// The current window and the one before it, as they are at a time.
  func windows(at time: Int64) -> (current: BudgetWindow, previous: BudgetWindow) {
    if time < current.end && time >= current.start { return (current, previous) }
    let (start, end) = window.range(around: time)
    guard start > current.start || current.end == 0 else { return (current, previous) }
    var next = BudgetWindow()
    next.start = start
    next.end = end
    return (next, current.end == 0 ? previous : current)
  }

  /// The window of a time, as it is at `now`: the one of now or the one right before it; nil for an older time.
  func window(of time: Int64, at now: Int64) -> BudgetWindow? {
    let (current, previous) = windows(at: now)
    if current.contains(time) { return current }
    // What was counted last may have been long before.
    if previous.end == current.start { return previous.contains(time) ? previous : nil }
    let before = emptyWindow(before: current)
    return before.contains(time) ? before : nil
  }

  private func emptyWindow(before current: BudgetWindow) -> BudgetWindow {
    var before = BudgetWindow()
    guard current.start > .min else { return before }
    (before.start, before.end) = window.range(around: current.start - 1)
    return before
  }

  /// Counts the excess over a hold that began before the budget was set, and so is not counted itself.
  mutating func countExcess(_ amount: Int64, at began: Int64, now: Int64) {
    roll(to: now)
    if let window = self.window(of: began, at: now), window.end <= current.start { previous = window }
    adjust(at: began, spent: amount, held: 0)
  }

  /// Replaces the thresholds; those that stay, and were told in this window, are not told again.
  mutating func setThresholds(_ new: [Int64]) {
    var raised: Int64 = 0
    for (position, threshold) in new.enumerated() {
      if let before = thresholds.firstIndex(of: threshold), current.raised >> Int64(before) & 1 != 0 {
        raised |= 1 << Int64(position)
      }
    }
    current.raised = raised
    thresholds = new
  }

  /// What a charge of `amount` would count.
  func weight(_ amount: Int64, _ asset: UInt16) -> Int64 {
    if countsCharges { return 1 }
    return Int32(asset) == self.asset ? amount : 0
  }

  /// Changes the window in which `time` lies; a time in neither window is long settled.
  mutating func adjust(at time: Int64, spent: Int64, held: Int64) {
    if time >= current.start && time < current.end {
      current.spent &+= spent
      current.held &+= held
    } else if time >= previous.start && time < previous.end {
      previous.spent &+= spent
      previous.held &+= held
    }
  }
}

/// What was counted in one window; plain data, written as it stands.
struct BudgetWindow: Equatable {
  var start: Int64 = 0
  /// 0 before the first charge.
  var end: Int64 = 0
  var spent: Int64 = 0
  var held: Int64 = 0
  /// Thresholds that have raised their event, a bit each.
  var raised: Int64 = 0
}

extension BudgetWindow {
  func contains(_ time: Int64) -> Bool { time >= start && time < end }
}

/// The budgets and limits of one account.
struct AccountGuard {
  let account: UInt32
  var budgets: [Int32] = []
  /// The asset that the two caps are in.
  var capAsset: UInt16 = 0
  /// The most that one call may cost, or nil.
  var perCall: Int64?
  /// The most that one run may cost, or nil.
  var perRun: Int64?
  /// The most charges in any sixty minutes, or nil.
  var chargesPerHour: Int?
  /// The record that set `perRun`: holds that began before it are not counted.
  var countsRunsFrom: UInt64 = 0
  /// Spent and held by run, where `perRun` is set.
  var runs: [UInt64: RunTotal] = [:]
  /// Times of the charges of the last hour, where `chargesPerHour` is set; a ring.
  var recent = RateWindow()
}

/// What one run has cost so far, held money included.
struct RunTotal {
  var total: Int64 = 0
  /// Time of its last charge; a run that has been idle for long is forgotten.
  var last: Int64 = 0

  /// A run is forgotten after thirty days without a charge.
  static let retention: Int64 = 30 * Calendar.day
}

/// A sliding window over the times of charges, exact up to its capacity.
struct RateWindow {
  private(set) var times: [Int64] = []
  /// Where the oldest stands; the ring is compacted when half of it is past.
  private var head = 0

  static let length = Calendar.hour

  init() {}

  init(times: [Int64]) {
    self.times = times
  }

  /// Charges in the hour that ends at `time`.
  ///
  /// A question must forget none: it leaves nothing in the journal, and the clock that it was asked by may go back.
  func count(at time: Int64) -> Int { times.count - firstActive(at: time) }

  /// Counts a charge; the journal's time never goes back, so what is past then is past for good.
  mutating func add(_ time: Int64) {
    head = firstActive(at: time)
    if head > 1_024 && head * 2 > times.count {
      times.removeFirst(head)
      head = 0
    }
    times.append(time)
  }

  /// The times that count in the hour that ends at `time`.
  func active(at time: Int64) -> ArraySlice<Int64> { times[firstActive(at: time)...] }

  private func firstActive(at time: Int64) -> Int {
    var low = head
    var end = times.count
    while low < end {
      let middle = (low + end) / 2
      if times[middle] <= time - RateWindow.length { low = middle + 1 } else { end = middle }
    }
    return low
  }
}
