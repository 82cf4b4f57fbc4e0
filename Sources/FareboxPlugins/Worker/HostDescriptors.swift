internal import Farebox
internal import Glibc
internal import Synchronization

/// The descriptors by which this process holds its workers.
///
/// A child of a fork closes them before anything else runs in it. Otherwise a worker, which lives as long as somebody holds
/// the other end of its lifeline, would outlive the host that started it.
enum HostDescriptors {
  /// Only touched under `Fork.withLock`, and in the child of a fork, which has one thread.
  private nonisolated(unsafe) static var open: Set<Int32> = []

  private static let isWatching: Bool = {
    // The lock of forks is registered first, so that it is free again when the child comes to this.
    Fork.withLock {}
    return pthread_atfork(
      nil, nil,
      {
        for descriptor in unsafe HostDescriptors.open { Glibc.close(descriptor) }
        unsafe HostDescriptors.open.removeAll(keepingCapacity: true)
        HostDescriptors.forks.add(1, ordering: .relaxed)
      }) == 0
  }()

  private static let forks = Atomic<UInt32>(0)

  /// How many forks lie between the first process that started a worker and this one.
  static var generation: UInt32 { forks.load(ordering: .relaxed) }

  static func add(_ descriptors: [Int32]) {
    _ = isWatching
    Fork.withLock { unsafe open.formUnion(descriptors.filter { $0 >= 0 }) }
  }

  /// Closes descriptors, unless a fork's child has done so.
  static func close(_ descriptors: [Int32]) {
    Fork.withLock {
      for descriptor in descriptors where unsafe open.remove(descriptor) != nil { _ = Glibc.close(descriptor) }
    }
  }
}
