internal import CLinux
public import FareboxCore
package import FareboxStore
internal import Synchronization

/// An open ledger: the one object that charges, holds and tells.
///
/// All methods may be called from any thread. Writing calls of many threads share a turn, and so a commit; a call
/// returns when what it did is as durable as it asked for. There is no thread of the engine's own.
///
/// `@unchecked` for what a lock guards in a way that the compiler cannot see: the ledger is only reached through
/// `withLedger`, and `store` and the variables that say so only by the thread that has the turn.
public final class Engine: @unchecked Sendable {
  let turnstile = Turnstile()
  let options: EngineOptions
  package let isExclusive: Bool
  let isReadOnly: Bool
  let isRemote: Bool
  private var guardedLedger: Ledger
  /// Held for as long as somebody looks at or changes the ledger in memory; never while the disk is waited for.
  private let ledgerLock = Lock(())
  let store: any Store
  /// When the oldest uncommitted record was made, or 0; the leader's.
  var pendingSince: Int64 = 0
  /// How far the journal is known to be on the disk; the leader's.
  var durableEnd = JournalEnd(record: 0, hash: .zero)
  /// The store's epoch in which the ledger was last read; the leader's.
  var epoch = 0
  /// The latest time that a turn was taken at; the leader's.
  var latestTime: Int64 = 0
  /// When it was last brought up to the store, by the steady clock; the leader's.
  var lastRefresh: Int64 = 0
  /// Set once the store has broken a promise; from then on nothing is done.
  private let distrust = Lock<Failure?>(nil)
  private let isClosing = Atomic(false)
  private let isClosed = Atomic(false)
  private let forkGeneration: UInt32
  let metrics = EngineMetrics()
  /// What another module keeps with the engine for as long as it is open, such as its plugins.
  package let companion = Lock<(any EngineCompanion)?>(nil)

  /// Opens the ledger at an address: a path, `sqlite:PATH`, `memory:`, or `postgresql://...`; see `StoreAddress`.
  public convenience init(url: String, options: EngineOptions = EngineOptions()) throws(Failure) {
    try PaymentRefusal.checkURL(options.paymentURL)
    try self.init(store: Engine.openStore(url, options), options: options)
  }

  /// Opens the ledger in a store, which the engine closes.
  package init(store: any Store, options: EngineOptions) throws(Failure) {
    self.store = store
    self.options = options
    isExclusive = store.isExclusive
    isReadOnly = store.isReadOnly
    isRemote = store.isRemote
    forkGeneration = Fork.generation
    let usesRelaxed = options.durability == .relaxed || options.holdDurability == .relaxed
    guard store.isExclusive || !usesRelaxed else {
      store.close()
      throw Failure(
        .invalidArgument, field: "durability", "Only a process that holds the ledger alone may be relaxed.")
    }
    guardedLedger = Ledger(keyMemoryBytes: options.keyMemoryBytes, sealRecords: options.sealRecords)
    do throws(Failure) {
      try prepare()
    } catch {
      store.close()
      throw error
    }
  }

  static func openStore(_ url: String, _ options: EngineOptions) throws(Failure) -> any Store {
    let path: String?
    switch try StoreAddress(url) {
    case .memory: path = nil
    case .file(let file): path = file
    case .server(let url):
      guard !options.isExclusive else {
        throw Failure(.unsupported, field: "exclusive", "A ledger on a server is for more than one engine.")
      }
      return try PostgreSQLStore(
        url: url, mustExist: options.mustExist, busyTimeoutMilliseconds: options.busyTimeoutMilliseconds)
    }
    return try Fork.holdingOff { () throws(Failure) in
      try SQLiteStore(
        // A ledger in memory is always a new one.
        path: path, exclusive: options.isExclusive, mustExist: options.mustExist && path != nil,
        busyTimeoutMilliseconds: options.busyTimeoutMilliseconds)
    }
  }

  /// Lends the ledger in memory to one thread at a time.
  func withLedger<Result, Problem: Error>(
    _ body: (inout Ledger) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    try ledgerLock.withLock { _ throws(Problem) in try body(&guardedLedger) }
  }

  func randomWord() throws(Failure) -> UInt64 {
    guard let word = options.randomWord() else {
      throw Failure(.internal, "The machine's random number generator failed.")
    }
    return word
  }

  // MARK: Time

  /// The time now to some milliseconds, which is near enough for a quote.
  func coarseNow() throws(Failure) -> Int64 {
    options.clock == nil ? farebox_coarse_clock() : try now()
  }

  /// As `coarseNow`, of the system's clock.
  package static func coarseSystemTime() -> Int64 { farebox_coarse_clock() }

  /// The time now, by the host's clock where it has given one.
  func now() throws(Failure) -> Int64 {
    guard let clock = options.clock else { return farebox_wall_clock() }
    farebox_enter_callback()
    let time = clock()
    farebox_leave_callback()
    guard (Calendar.earliest..<Calendar.latest).contains(time) else {
      throw Failure(.invalidArgument, field: "clock", "The clock's time lies outside the years 1 to 9999.")
    }
    return time
  }

  // MARK: Turns

  /// Refuses a call that cannot be served: closed, forked, or from within a callback.
  package func checkUsable() throws(Failure) {
    if isClosed.load(ordering: .acquiring) { throw Failure(.closed, "The engine was closed.") }
    if forkGeneration != Fork.generation {
      throw Failure(.forked, "The engine was opened before a fork; open it again in the child.")
    }
    try checkNotInCallback()
  }

  /// Refuses a call on a store that has broken a promise.
  func checkTrusted() throws(Failure) {
    if let failure = distrust.withLock({ $0 }) { throw failure }
  }

  /// Notes a failure after which the store cannot be trusted, and passes it on.
  func noted(_ failure: Failure) -> Failure {
    guard failure.status == .storeUntrusted || failure.status == .storeCorrupt else { return failure }
    // What memory has is not shown any more either.
    withLedger { $0.isStale = true }
    distrust.withLock { known in
      if known == nil {
        known = Failure(
          .storeUntrusted, "The store can no longer be trusted; close the engine. It began with: \(failure.message)")
      }
    }
    return failure
  }

  /// Whether the calling thread is inside the clock of a host.
  package static var isInCallback: Bool { farebox_callbacks() > 0 }

  /// Refuses a call from within the host's own clock.
  public func checkNotInCallback() throws(Failure) {
    if Engine.isInCallback {
      throw Failure(.reentrant, "A callback may not call the engine that is calling it.")
    }
  }

  /// Does work that may write, in a turn shared with other callers.
  ///
  /// - Parameters:
  ///   - durability: what to wait for.
  ///   - isReading: whether the work only looks.
  ///   - isLast: whether the store is closed after this turn.
  ///   - isBatch: whether the work counts its calls by itself.
  ///   - work: decides against the ledger; runs on this thread or on another caller's, while this one waits.
  /// - Returns: whether the work is not committed yet.
  /// - Throws: the failure of the turn as a whole, after which nothing of it happened.
  @discardableResult
  func write<Result>(
    _ durability: Durability, isReading: Bool = false, isLast: Bool = false, isBatch: Bool = false,
    _ work: (inout Ledger, TurnContext) throws(Rejection) -> Result
  ) throws(Failure) -> (result: Swift.Result<Result, Rejection>, isUncommitted: Bool) {
    try checkUsable()
    guard durability != .relaxed || isExclusive else {
      throw Failure(
        .invalidArgument, field: "durability", "Only a process that holds the ledger alone may be relaxed.")
    }
    let now = try now()
    // Not an optional: of an optional without payload the compiler also tests bytes that nobody has written.
    var result: Swift.Result<Result, Rejection> = .failure(
      .failed(Failure(.internal, "A turn has left out one of its callers.")))
    var failure: Failure?
    var isUncommitted = false
    withoutActuallyEscaping(work) { work in
      let ticket = TurnTicket(
        isDurable: durability == .full, isRelaxed: durability == .relaxed, isReading: isReading, isLast: isLast,
        now: now
      ) { ledger, context in
        do throws(Rejection) {
          result = .success(try work(&ledger, context))
          return nil
        } catch {
          result = .failure(error)
          return error.storeFailure
        }
      }
      turnstile.pass(ticket) { group in self.run(group) }
      failure = ticket.failure
      isUncommitted = ticket.isUncommitted
    }
    if let failure {
      metrics.countCalls(failure.status)
      throw failure
    }
    if !isBatch {
      switch result {
      case .success: metrics.countCalls(.ok)
      case .failure(let rejection): metrics.countCalls(rejection.status)
      }
    }
    return (result, isUncommitted)
  }

  /// As `write`, with a refusal put into words.
  func perform<Result>(
    _ durability: Durability, _ work: (inout Ledger, TurnContext) throws(Rejection) -> Result
  ) throws(Failure) -> Result {
    let (result, _) = try write(durability, work)
    switch result {
    case .success(let value): return value
    case .failure(let rejection): throw failure(rejection)
    }
  }

  /// Puts a rejection into words.
  func failure(_ rejection: Rejection) -> Failure {
    switch rejection {
    case .failed(let failure): failure
    case .refused(let refusal): withLedger { $0.state.failure(refusal) }
    }
  }

  /// Reads from memory alone where nobody else can have written, and otherwise after catching up.
  ///
  /// The time that the work is given is that of a record that would be written now: it never goes back.
  func read<Result>(_ work: (borrowing Ledger, Int64) throws(Rejection) -> Result) throws(Failure) -> Result {
    try checkUsable()
    let now = try now()
    if isExclusive {
      // Not an optional result, for the reason that `write` gives.
      var isReady = false
      let result = withLedger { ledger -> Swift.Result<Result, Rejection> in
        let isDue = ledger.state.expiries.first.map { $0.expires <= now } ?? false
        guard !ledger.isStale, !isDue else { return .failure(.failed(Engine.behind)) }
        // A turn says what is wrong with a clock that is far ahead.
        guard ClockRule.isNear(now, ledger.state.time) else { return .failure(.failed(Engine.behind)) }
        isReady = true
        do throws(Rejection) {
          return .success(try work(ledger, max(now, ledger.state.time)))
        } catch {
          return .failure(error)
        }
      }
      if isReady {
        switch result {
        case .success(let value): return value
        case .failure(let rejection): throw failure(rejection)
        }
      }
    }
    return try look { ledger, context throws(Rejection) in try work(ledger, context.time) }
  }

  private static let behind = Failure(.internal, "The ledger in memory is behind the store.")

  /// Does work that only looks, but may need the store; no other process waits for it.
  func look<Result>(
    _ work: (inout Ledger, TurnContext) throws(Rejection) -> Result
  ) throws(Failure) -> Result {
    let (result, _) = try write(isExclusive ? .relaxed : .normal, isReading: true, work)
    switch result {
    case .success(let value): return value
    case .failure(let rejection): throw failure(rejection)
    }
  }

  // MARK: Opening and closing

  /// Gives up what a child has taken over from its parent, before it opens anything itself: SQLite would lend it the
  /// parent's locks, which the child does not have.
  public func leaveToParent() {
    if forkGeneration != Fork.generation { store.abandon() }
  }

  /// Commits what is relaxed, and closes the ledger; calls that run on other threads finish first.
  public func close() throws(Failure) {
    if forkGeneration != Fork.generation {
      isClosed.store(true, ordering: .releasing)
      throw Failure(.forked, "The engine was opened before a fork; the parent closes it.")
    }
    guard !isClosing.exchange(true, ordering: .acquiringAndReleasing) else {
      throw Failure(.closed, "The engine was closed.")
    }
    companion.withLock { $0 }?.engineWillClose()
    // The last turn waits for those that are under way; whoever comes later finds the store closed.
    defer {
      isClosed.store(true, ordering: .releasing)
      PriceGeneration.advance()
    }
    _ = try write(.full, isLast: true) { _, _ throws(Rejection) in }
  }
}

/// What belongs to an engine and ends with it.
package protocol EngineCompanion: AnyObject, Sendable {
  /// The engine is about to close; calls that are under way may still use it until they return.
  func engineWillClose()
}

/// What the work of a turn may use besides the ledger.
struct TurnContext {
  let time: Int64
  let store: any Store
}

extension Ledger {
  /// Puts a rejection into words.
  func failure(_ rejection: Rejection) -> Failure {
    switch rejection {
    case .failed(let failure): failure
    case .refused(let refusal): state.failure(refusal)
    }
  }

  /// Reads who the ledger is, or decides it for a new one; returns whether it is new.
  mutating func identify(
    in store: any Store, words: () throws(Failure) -> UInt64
  ) throws(Failure) -> Bool {
    writer = try words()
    if let secretBytes = try store.meta("key_secret"), let id = try store.meta("ledger_id") {
      guard secretBytes.count == 16, id.count == 16 else { throw Segment.corrupt("The ledger's identity is damaged.") }
      secret = SipHashKey(bytes: secretBytes)
      return false
    }
    guard try store.meta(LedgerCopy.tokenName) == nil else {
      throw Failure(.storeUnfinished, "A copy into this store was not finished.")
    }
    secret = SipHashKey(word0: try words(), word1: try words())
    try store.setMeta("key_secret", secret.bytes)
    try store.setMeta("ledger_id", SipHashKey(word0: try words(), word1: try words()).bytes)
    return true
  }
}

extension SipHashKey {
  /// For hashes that need not be secret.
  static let zero = SipHashKey(word0: 0, word1: 0)

  /// Sixteen bytes, as they are stored.
  var bytes: [UInt8] {
    [word0, word1].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
  }

  init(bytes: [UInt8]) {
    func word(_ start: Int) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << ($1 * 8) }
    }
    self.init(word0: word(0), word1: word(8))
  }
}
