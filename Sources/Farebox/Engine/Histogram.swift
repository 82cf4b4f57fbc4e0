internal import FareboxCore
internal import Synchronization

/// How values are distributed, in buckets whose bounds are the powers of two: the first takes 0, the n-th takes those of
/// n - 1 bits.
///
/// One thread at a time adds to it, which is the one that has the turn; anybody may read it meanwhile.
struct Histogram: ~Copyable, Sendable {
  private let buckets = InlineArray<40, Atomic<Int>> { _ in Atomic(0) }
  private let total = Atomic(0)
  private let largest = Atomic(0)

  private static let last = 39

  func add(_ value: Int) {
    let bucket = min(Histogram.last, Int.bitWidth - max(0, value).leadingZeroBitCount)
    Histogram.raise(buckets[bucket], by: 1)
    Histogram.raise(total, by: value)
    if value > largest.load(ordering: .relaxed) { largest.store(value, ordering: .relaxed) }
  }

  /// Adds without the bus lock that an atomic addition would take: only one thread writes at a time.
  static func raise(_ counter: borrowing Atomic<Int>, by count: Int) {
    counter.store(counter.load(ordering: .relaxed) &+ count, ordering: .relaxed)
  }

  /// Count, sum, median, 99th percentile and largest; a percentile is the upper bound of the bucket that it lies in.
  ///
  /// - Parameter unit: appended to the names of what has one.
  func json(unit: String) -> JSON {
    let counts = (0...Histogram.last).map { buckets[$0].load(ordering: .relaxed) }
    let count = counts.reduce(0, +)
    let most = largest.load(ordering: .relaxed)
    func percentile(_ percent: Int) -> JSON {
      // The first value that at least so many per cent do not exceed.
      let rank = (count * percent + 99) / 100
      var seen = 0
      for (bucket, inside) in counts.enumerated() {
        seen += inside
        if seen >= rank { return .int(Int64(min(most, (1 << bucket) - 1))) }
      }
      return .int(Int64(most))
    }
    let used = (counts.lastIndex { $0 > 0 } ?? -1) + 1
    return [
      "count": .int(Int64(count)), "sum\(unit)": .int(Int64(total.load(ordering: .relaxed))),
      "p50\(unit)": percentile(50), "p99\(unit)": percentile(99), "max\(unit)": .int(Int64(most)),
      "buckets": .array(counts[..<used].map { .int(Int64($0)) }),
    ]
  }
}
