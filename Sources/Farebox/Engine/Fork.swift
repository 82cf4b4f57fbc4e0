internal import CLinux
internal import Synchronization

/// Notices forks: a child must not use what its parent has opened.
enum Fork {
  private static let counter = Atomic<UInt32>(0)

  /// Registered once, before the first engine is opened.
  private static let isWatching: Bool = {
    pthread_atfork(nil, nil) { Fork.counter.add(1, ordering: .relaxed) }
    return true
  }()

  /// How many forks lie between the first process and this one.
  static var generation: UInt32 {
    guard isWatching else { return 0 }
    return counter.load(ordering: .relaxed)
  }
}

