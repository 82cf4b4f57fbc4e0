internal import CWorker
internal import Farebox

/// Says from any thread that a call is to stop.
@safe
package final class CancelFlag: @unchecked Sendable {
  // Sound because the word is only read and written as a whole, and lives as long as this.
  /// 1 once the call is to stop.
  package let word: UnsafeMutablePointer<UInt32>
  /// The event descriptor of the thread that waits for the call, or -1.
  private let waiting = Lock<Int32>(-1)

  package init() {
    unsafe word = .allocate(capacity: 1)
    unsafe word.initialize(to: 0)
  }

  deinit {
    unsafe word.deallocate()
  }

  package var isCancelled: Bool { unsafe farebox_word_load(word) != 0 }

  /// Asks the call to stop, and wakes the thread that waits for it.
  package func cancel() {
    waiting.withLock { descriptor in
      unsafe farebox_word_store(word, 1)
      if descriptor >= 0 { farebox_signal_event(descriptor) }
    }
  }

  /// Has `cancel` signal this descriptor from now on; an earlier cancel signals it at once.
  func beginWaiting(_ descriptor: Int32) {
    waiting.withLock { waiting in
      waiting = descriptor
      if isCancelled { farebox_signal_event(descriptor) }
    }
  }

  /// Ends that, and takes the signal back.
  func endWaiting(_ descriptor: Int32) {
    waiting.withLock { waiting in
      if isCancelled { farebox_clear_event(descriptor) }
      waiting = -1
    }
  }
}
