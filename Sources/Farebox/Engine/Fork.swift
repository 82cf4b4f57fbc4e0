internal import CLinux
internal import Synchronization

/// Notices forks: a child must not use what its parent has opened.
public enum Fork {
  private static let counter = Atomic<UInt32>(0)

  /// A lock that no other thread holds while a fork happens, so that the child can take it.
  @safe
  private struct Lock: @unchecked Sendable {
    // Sound because a POSIX mutex is made to be shared, and this one is never destroyed.
    let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
      unsafe mutex = .allocate(capacity: 1)
      unsafe pthread_mutex_init(mutex, nil)
    }
  }

  private static let lock = Lock()

  /// Registered once, before anything is opened.
  private static let isWatching: Bool = {
    _ = lock
    let code = pthread_atfork(
      { unsafe pthread_mutex_lock(Fork.lock.mutex) },
      { unsafe pthread_mutex_unlock(Fork.lock.mutex) },
      {
        unsafe pthread_mutex_unlock(Fork.lock.mutex)
        Fork.counter.add(1, ordering: .relaxed)
      })
    return code == 0
  }()

  /// How many forks lie between the first process and this one.
  static var generation: UInt32 {
    guard isWatching else { return 0 }
    return counter.load(ordering: .relaxed)
  }

  /// Runs a short body that no fork interrupts and only one thread runs at a time.
  public static func withLock<Result>(_ body: () -> Result) -> Result {
    guard isWatching else { return body() }
    unsafe pthread_mutex_lock(lock.mutex)
    defer { unsafe pthread_mutex_unlock(lock.mutex) }
    return body()
  }
}
