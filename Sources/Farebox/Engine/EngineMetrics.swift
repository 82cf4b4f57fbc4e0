internal import CLinux
internal import FareboxCore
internal import Synchronization

/// Counters of one engine since it was opened.
///
/// What the leader of a turn counts needs no atomic addition, because there is one leader at a time.
final class EngineMetrics: Sendable {
  private let opened = farebox_steady_clock()

  // What callers count.
  private let calls = InlineArray<11, Atomic<Int>> { _ in Atomic(0) }

  // What leaders count.
  let commits = Atomic<Int>(0)
  let flushes = Atomic<Int>(0)
  let records = Atomic<Int>(0)
  let expired = Atomic<Int>(0)
  let seals = Atomic<Int>(0)
  let sealed = Atomic<Int>(0)
  let sealTime = Atomic<Int>(0)
  let merges = Atomic<Int>(0)
  let mergeTime = Atomic<Int>(0)
  let retries = Atomic<Int>(0)
  let reconnects = Atomic<Int>(0)
  let groupSize = Histogram()
  let turnWait = Histogram()
  let turnWork = Histogram()
  let commitTime = Histogram()
  /// When the last commit ended.
  private let lastCommit = Atomic<Int64>(0)

  var uptime: Int64 { (farebox_steady_clock() - opened) / 1_000 }

  /// Calls are over.
  func countCalls(_ status: Status, _ count: Int = 1) {
    calls[EngineMetrics.family(status)].add(count, ordering: .relaxed)
  }

  /// The calls of a batch are over; counted by family.
  func countCalls(_ counts: InlineArray<11, Int>) {
    for family in counts.indices where counts[family] > 0 {
      calls[family].add(counts[family], ordering: .relaxed)
    }
  }

  /// The families of statuses have a hundred numbers each, in their order.
  static func family(_ status: Status) -> Int {
    min(max(0, Int(status.rawValue) / 100), 10)
  }

  var callsJSON: JSON {
    var row: JSONObject = [:]
    for (index, family) in Status.Family.allCases.enumerated() {
      row.append(family.rawValue, .int(Int64(calls[index].load(ordering: .relaxed))))
    }
    return .object(row)
  }

  func countCommit(isDurable: Bool, since start: Int64) {
    Histogram.raise(commits, by: 1)
    if isDurable { countFlush() }
    let end = farebox_steady_clock()
    lastCommit.store(end, ordering: .relaxed)
    commitTime.add(Int(clamping: (end - start) / 1_000))
  }

  func countFlush() {
    Histogram.raise(flushes, by: 1)
  }

  func countRecords(_ count: Int) {
    Histogram.raise(records, by: count)
  }

  func countExpired(_ count: Int) {
    Histogram.raise(expired, by: count)
  }

  /// A turn is tried again because the store's failure may pass.
  func countRetry() {
    Histogram.raise(retries, by: 1)
  }

  /// The connection to the store was lost and made again.
  func countReconnect() {
    Histogram.raise(reconnects, by: 1)
  }

  /// - Parameters:
  ///   - count: records that were sealed.
  ///   - merged: runs of keys that were merged meanwhile, and the nanoseconds of it.
  func countSeal(_ count: Int, since start: Int64, merged: MergeCount) {
    Histogram.raise(seals, by: 1)
    Histogram.raise(sealed, by: count)
    Histogram.raise(sealTime, by: EngineMetrics.microseconds(since: start))
    Histogram.raise(merges, by: merged.count)
    Histogram.raise(mergeTime, by: merged.nanoseconds / 1_000)
  }

  /// A turn is over.
  ///
  /// - Parameters:
  ///   - size: callers that shared it.
  ///   - waited: nanoseconds for which the first of them waited for it.
  ///   - start: when it began, or nil for one that is not timed.
  func countTurn(of size: Int, waited: Int64, since start: Int64?) {
    groupSize.add(size)
    turnWait.add(Int(clamping: waited / 1_000))
    guard let start else { return }
    // A turn that has committed is over with that, which saves a look at the clock.
    let commit = lastCommit.load(ordering: .relaxed)
    turnWork.add(Int(clamping: ((commit > start ? commit : farebox_steady_clock()) - start) / 1_000))
  }

  /// What a transaction counts as it goes along, and has to be taken back when it fails.
  struct Mark {
    let records: Int
    let expired: Int
    let seals: Int
    let sealed: Int
  }

  var mark: Mark {
    get {
      Mark(
        records: records.load(ordering: .relaxed), expired: expired.load(ordering: .relaxed),
        seals: seals.load(ordering: .relaxed), sealed: sealed.load(ordering: .relaxed))
    }
    set {
      records.store(newValue.records, ordering: .relaxed)
      expired.store(newValue.expired, ordering: .relaxed)
      seals.store(newValue.seals, ordering: .relaxed)
      sealed.store(newValue.sealed, ordering: .relaxed)
    }
  }

  static func microseconds(since start: Int64) -> Int {
    Int(clamping: (farebox_steady_clock() - start) / 1_000)
  }
}
