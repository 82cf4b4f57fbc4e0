internal import Synchronization

/// Counters of one engine since it was opened.
final class EngineMetrics: Sendable {
  let commits = Atomic<Int>(0)
  let records = Atomic<Int>(0)
  let expired = Atomic<Int>(0)
  let seals = Atomic<Int>(0)
  let sealed = Atomic<Int>(0)
  let retries = Atomic<Int>(0)

  func countCommit() {
    commits.add(1, ordering: .relaxed)
  }

  func countRecords(_ count: Int) {
    records.add(count, ordering: .relaxed)
  }

  func countExpired(_ count: Int) {
    expired.add(count, ordering: .relaxed)
  }

  /// A turn is tried again because the store's failure may pass.
  func countRetry() {
    retries.add(1, ordering: .relaxed)
  }

  func countSeal(_ count: Int) {
    seals.add(1, ordering: .relaxed)
    sealed.add(count, ordering: .relaxed)
  }
}
