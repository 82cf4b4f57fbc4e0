internal import CLinux
internal import FareboxCore
internal import FareboxStore

/// Lets one thread at a time work for all that are waiting: group commit without a thread of its own.
///
/// The first caller leads. While it works, others gather in a group; when it is done it wakes its own group with one
/// system call and passes the turn to the first of the next group, who does the work of all in it. A new leader waits a
/// moment for the callers that were just woken, because one commit for all is cheaper than two.
final class Turnstile: Sendable {
  private struct Queue: ~Copyable {
    var isBusy = false
    /// Who waits for the turn after this one.
    var waiting: TurnGroup?
    /// The most callers that ever waited at once.
    var largest = 0
  }

  private let queue = Lock(Queue())

  /// How long a new leader waits for the callers of the group before, in nanoseconds: about half a flush.
  private static let gatherNanoseconds: Int64 = 50_000

  /// Runs `lead` for a group that holds this ticket, on this thread or on another caller's.
  ///
  /// - Parameter lead: does the work of every ticket of a group; it runs on one thread at a time.
  func pass(_ ticket: TurnTicket, lead: (TurnGroup) -> Void) {
    let (group, position) = queue.withLock { queue -> (TurnGroup, Int) in
      guard queue.isBusy else {
        queue.isBusy = true
        return (TurnGroup(ticket), 0)
      }
      if let waiting = queue.waiting {
        let position = waiting.join(ticket)
        queue.largest = max(queue.largest, position + 1)
        return (waiting, position)
      }
      let waiting = TurnGroup(ticket)
      waiting.isQueued = true
      queue.waiting = waiting
      queue.largest = max(queue.largest, 1)
      return (waiting, 0)
    }
    if position > 0 {
      group.waitUntilDone()
      return
    }
    if group.isQueued {
      let start = farebox_steady_clock()
      group.waitForTurn()
      gather(group)
      group.waited = farebox_steady_clock() - start
    }
    lead(group)
    finish(group)
  }

  /// How many callers wait for a turn now, and the most that ever did at once.
  var depth: (now: Int, largest: Int) {
    queue.withLock { ($0.waiting?.tickets.count ?? 0, $0.largest) }
  }

  /// Waits for the callers of the group before to come back, then closes the group.
  private func gather(_ group: TurnGroup) {
    let deadline = farebox_steady_clock() + Turnstile.gatherNanoseconds
    while group.joined < group.expected, farebox_steady_clock() < deadline { sched_yield() }
    queue.withLock { $0.waiting = nil }
  }

  private func finish(_ group: TurnGroup) {
    // Our callers first: they are the ones the next leader is waiting for.
    let count = group.tickets.count
    if count > 1 { group.setDone() }
    let next = queue.withLock { queue -> TurnGroup? in
      guard let waiting = queue.waiting else {
        queue.isBusy = false
        return nil
      }
      waiting.expected = waiting.tickets.count + count
      return waiting
    }
    next?.giveTurn()
  }
}

/// One caller's part of a turn.
final class TurnTicket {
  let isDurable: Bool
  let isRelaxed: Bool
  /// Whether it only looks, so that no other process need wait for it.
  let isReading: Bool
  /// Whether the store is closed when this turn is over.
  let isLast: Bool
  let now: Int64
  /// Decides against the ledger; runs on the leader's thread, while the caller waits, and again when the turn has to be
  /// tried again. Nobody may hold it any more when the caller goes on, because it borrows from the caller's frame.
  private var work: ((inout Ledger, TurnContext) -> Failure?)?
  /// Why the turn as a whole failed, written by the leader.
  private(set) var failure: Failure?
  var isUncommitted = false

  init(
    isDurable: Bool, isRelaxed: Bool, isReading: Bool, isLast: Bool, now: Int64,
    work: @escaping (inout Ledger, TurnContext) -> Failure?
  ) {
    self.isDurable = isDurable
    self.isRelaxed = isRelaxed
    self.isReading = isReading
    self.isLast = isLast
    self.now = now
    self.work = work
  }

  /// Does the work.
  ///
  /// - Throws: a failure of the store, after which nothing of the turn may be committed.
  func decide(_ ledger: inout Ledger, _ context: TurnContext) throws(Failure) {
    if let failure = work?(&ledger, context) { throw failure }
  }

  /// Says why the turn has failed, whatever was decided in it.
  func abandon(_ failure: Failure) {
    self.failure = failure
  }

  /// Whether the caller was refused in this try of the turn.
  var isAbandoned: Bool { failure != nil }

  /// Lets the turn be tried again.
  func takeUp() {
    failure = nil
  }

  /// Gives up the work when the turn is over.
  func finish() {
    work = nil
  }
}

/// Callers whose requests are decided and committed together.
///
/// Tickets are added under the queue's lock until the group's leader closes it; after that only the leader reads them.
/// `@unchecked` for that hand-over, which the compiler cannot see; the two words order it.
@safe
final class TurnGroup: @unchecked Sendable {
  private(set) var tickets: [TurnTicket]
  /// Whether it had to wait for its turn.
  var isQueued = false
  /// How many callers are likely to come.
  var expected = 0
  /// Nanoseconds from its first caller's coming to its turn.
  var waited: Int64 = 0
  /// Two words to sleep on, the turn for the leader and the end for the others, and how many have joined.
  private let words: UnsafeMutablePointer<UInt32>

  init(_ ticket: TurnTicket) {
    tickets = [ticket]
    unsafe words = .allocate(capacity: 3)
    unsafe words.initialize(repeating: 0, count: 3)
    unsafe words[2] = 1
  }

  deinit {
    unsafe words.deallocate()
  }

  /// Adds a caller and returns its position.
  func join(_ ticket: TurnTicket) -> Int {
    tickets.append(ticket)
    unsafe farebox_store_release(words + 2, UInt32(tickets.count))
    return tickets.count - 1
  }

  /// How many callers there are; may be read without the queue's lock.
  var joined: Int { Int(unsafe farebox_load_acquire(words + 2)) }

  func waitForTurn() {
    unsafe TurnGroup.wait(words)
  }

  func giveTurn() {
    unsafe farebox_store_release(words, 1)
    unsafe farebox_futex_wake(words, 1)
  }

  func waitUntilDone() {
    unsafe TurnGroup.wait(words + 1)
  }

  func setDone() {
    unsafe farebox_store_release(words + 1, 1)
    unsafe farebox_futex_wake(words + 1, .max)
  }

  private static func wait(_ word: UnsafeMutablePointer<UInt32>) {
    while unsafe farebox_load_acquire(word) == 0 {
      unsafe farebox_futex_wait(word, 0)
    }
  }
}
