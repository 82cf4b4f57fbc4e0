internal import CLinux
package import Synchronization

/// A value that one thread at a time may use: `Mutex`, which the thread sanitizer is told about.
///
/// The sanitizer knows the locks of POSIX, and the atomics in code that was compiled for it. `Mutex` sleeps by a system
/// call of its own in a library that was not. So a build for the sanitizer says where a lock is taken and given back; any
/// other has nothing here but the `Mutex`.
package struct Lock<Value: ~Copyable>: ~Copyable {
  @usableFromInline let mutex: Mutex<Value>
  #if FAREBOX_TSAN
    @usableFromInline let place = SanitizerPlace()
  #endif

  @inlinable package init(_ value: consuming sending Value) {
    mutex = Mutex(value)
  }

  // Inlinable, or each use in another module would look its types up at run time.
  @inlinable package borrowing func withLock<Result: ~Copyable, Problem: Error>(
    _ body: (inout sending Value) throws(Problem) -> sending Result
  ) throws(Problem) -> sending Result {
    #if FAREBOX_TSAN
      try mutex.withLock { value throws(Problem) in
        place.acquire()
        defer { place.release() }
        return try body(&value)
      }
    #else
      try mutex.withLock(body)
    #endif
  }
}

extension Lock: Sendable where Value: ~Copyable {}

#if FAREBOX_TSAN
  /// An address that the thread sanitizer knows a lock by.
  @safe
  @usableFromInline final class SanitizerPlace: @unchecked Sendable {
    // Sound because nothing is ever written there.
    private let address = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

    @usableFromInline func acquire() { unsafe farebox_sanitizer_acquire(address) }
    @usableFromInline func release() { unsafe farebox_sanitizer_release(address) }

    deinit {
      unsafe address.deallocate()
    }
  }
#endif
