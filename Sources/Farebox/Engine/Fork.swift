internal import CLinux
internal import FareboxCore
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

  /// Held to read by turns and to write by forks.
  @safe
  private struct TurnLock: @unchecked Sendable {
    // Sound for the reason above.
    let lock: UnsafeMutablePointer<pthread_rwlock_t>

    init() {
      unsafe lock = .allocate(capacity: 1)
      _ = unsafe farebox_make_fair_lock(lock)
    }
  }

  private static let turns = TurnLock()

  /// Registered once, before anything is opened.
  private static let isWatching: Bool = {
    _ = lock
    _ = turns
    let code = pthread_atfork(
      {
        if farebox_turns() == 0 { unsafe pthread_rwlock_wrlock(Fork.turns.lock) }
        unsafe pthread_mutex_lock(Fork.lock.mutex)
      },
      {
        unsafe pthread_mutex_unlock(Fork.lock.mutex)
        if farebox_turns() == 0 { unsafe pthread_rwlock_unlock(Fork.turns.lock) }
      },
      {
        unsafe pthread_mutex_unlock(Fork.lock.mutex)
        // Threads that waited for it are not in the child, and would be waited for.
        if farebox_turns() == 0 { _ = unsafe farebox_make_fair_lock(Fork.turns.lock) }
        Fork.counter.add(1, ordering: .relaxed)
        PriceGeneration.advance()
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

  /// Runs work on a store that no fork interrupts: a child takes over what SQLite thinks of its locks, and could never
  /// write where it believes another thread, which it does not have, to be in the middle of a transaction.
  static func holdingOff<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    guard isWatching, farebox_turns() == 0 else { return try body() }
    unsafe pthread_rwlock_rdlock(turns.lock)
    farebox_enter_turn()
    defer {
      farebox_leave_turn()
      unsafe pthread_rwlock_unlock(turns.lock)
    }
    return try body()
  }
}
