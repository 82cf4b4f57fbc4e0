internal import CLinux
internal import FareboxCore
internal import FareboxStore

/// Where a journal ends, and with what content.
struct JournalEnd {
  let record: UInt64
  let hash: Digest
}

/// The leader's work: what the thread that has the turn does for all of its group.
extension Engine {
  /// Decides and commits what a group asks for.
  func run(_ group: TurnGroup) {
    // A relaxed call takes little longer than two looks at the clock.
    let start = group.tickets[0].isRelaxed ? nil : farebox_steady_clock()
    do throws(Failure) {
      try holdingOffForks { () throws(Failure) in
        try retrying { () throws(Failure) in
          try checkTrusted()
          try turn(group)
        }
      }
    } catch {
      for ticket in group.tickets { ticket.abandon(error) }
    }
    for ticket in group.tickets { ticket.finish() }
    metrics.countTurn(of: group.tickets.count, waited: group.waited, since: start)
    if group.tickets.contains(where: \.isLast) { try? holdingOffForks { () throws(Failure) in store.close() } }
  }

  /// A turn on a server may take as long as the server; a connection has no locks that a child would take over.
  func holdingOffForks(_ body: () throws(Failure) -> Void) throws(Failure) {
    if store.isRemote { try body() } else { try Fork.holdingOff(body) }
  }

  /// Runs a body, again and again for as long as the store says that its failure may pass.
  func retrying(_ body: () throws(Failure) -> Void) throws(Failure) {
    var attempt = 0
    while true {
      do throws(Failure) {
        return try body()
      } catch {
        guard store.mayRetry(after: error, attempt: attempt) else { throw noted(error) }
        metrics.countRetry()
        attempt += 1
        // The connection may have been lost, and with it what was not on the disk.
        withLedger { $0.isStale = true }
      }
    }
  }

  private func turn(_ group: TurnGroup) throws(Failure) {
    if isReadOnly { return try runReadOnly(group) }
    if group.tickets.allSatisfy(\.isReading), try runReading(group) { return }
    if withLedger({ $0.isStale }) || isFarBehind { try lookAhead() }
    if isExclusive, group.tickets.allSatisfy(\.isRelaxed), withLedger({ !$0.wantsSeal }) {
      return try runRelaxed(group)
    }
    try runCommitted(group)
  }

  /// Whether other engines may have written so much that reading it would keep them waiting.
  private var isFarBehind: Bool {
    store.isRemote && farebox_steady_clock() - lastRefresh > Engine.restNanoseconds
  }

  /// A second without a look at the store.
  private static let restNanoseconds: Int64 = 1_000_000_000

  /// Reads what is new before the writer's turn is taken, so that no other engine has to wait for that.
  private func lookAhead() throws(Failure) {
    try store.beginRead(from: withLedger { $0.state.nextRecord })
    defer { store.endRead() }
    try withLedger { ledger throws(Failure) in try refresh(&ledger) }
  }

  /// Decides in memory; the records are committed by a later turn.
  private func runRelaxed(_ group: TurnGroup) throws(Failure) {
    let pending = try decide(group) { _ throws(Failure) in
    } seal: { _, _ throws(Failure) in
    }
    guard pending > 0 else { return }
    let now = group.tickets[0].now
    if pendingSince == 0 { pendingSince = now }
    let isOverdue = now - pendingSince >= options.relaxedMilliseconds * 1_000 || now < pendingSince
    if pending >= options.relaxedRecords || isOverdue {
      do throws(Failure) {
        try transaction(isDurable: false) { () throws(Failure) in
          try withLedger { ledger throws(Failure) in try writeLog(&ledger) }
          return true
        }
      } catch {
        // Also where it could not begin: what this group asked for must not be written by a later turn.
        withLedger { $0.isStale = true }
        throw error
      }
    } else {
      for ticket in group.tickets { ticket.isUncommitted = true }
    }
  }

  /// Lets a group that only looks do so in a read transaction.
  ///
  /// - Returns: false where a hold is due, which must be written first.
  private func runReading(_ group: TurnGroup) throws(Failure) -> Bool {
    try store.beginRead(from: withLedger { $0.state.nextRecord })
    defer { store.endRead() }
    let outcome = withLedger { ledger -> Swift.Result<Bool, Failure> in
      do throws(Failure) {
        try refresh(&ledger)
      } catch {
        return .failure(error)
      }
      let time = max(checkClocks(group, ledger), ledger.state.time)
      if let first = ledger.state.expiries.first, first.expires <= time { return .success(false) }
      let context = TurnContext(time: time, store: store)
      do throws(Failure) {
        for ticket in group.tickets where !ticket.isAbandoned { try ticket.decide(&ledger, context) }
      } catch {
        return .failure(error)
      }
      return .success(true)
    }
    return try outcome.get()
  }

  /// Lets those of a group look who only look, at the ledger as of its last record.
  private func runReadOnly(_ group: TurnGroup) throws(Failure) {
    let readers = group.tickets.filter(\.isReading)
    for ticket in group.tickets where !ticket.isReading && !ticket.isLast { ticket.abandon(Engine.readOnly) }
    guard !readers.isEmpty else { return }
    try store.beginRead(from: withLedger { $0.state.nextRecord })
    defer { store.endRead() }
    let outcome = withLedger { ledger -> Swift.Result<Void, Failure> in
      do throws(Failure) {
        try refresh(&ledger)
        let context = TurnContext(time: ledger.state.time, store: store)
        for ticket in readers { try ticket.decide(&ledger, context) }
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try outcome.get()
  }

  private static let readOnly = Failure(.storeReadOnly, "The ledger was opened where it can only be read.")

  /// Refuses the callers of a group whose clock is far ahead; the others go on.
  ///
  /// - Returns: the latest of the others' times, `Int64.min` where there is none.
  private func checkClocks(_ group: TurnGroup, _ ledger: borrowing Ledger) -> Int64 {
    // A server's clock is told with the turn, and nothing is written without one.
    let server = isRemote && !group.tickets.allSatisfy(\.isReading) ? store.serverClock : nil
    let rule = ClockRule(
      isGiven: options.clock != nil, latest: max(latestTime, ledger.state.time), server: server)
    var now = Int64.min
    for ticket in group.tickets {
      if ticket.isAbandoned { ticket.takeUp() }
      // Who closes the ledger writes nothing at that time.
      if ticket.isLast { continue }
      do throws(Failure) {
        try rule.check(ticket.now)
        now = max(now, ticket.now)
      } catch {
        ticket.abandon(error)
      }
    }
    latestTime = max(latestTime, now)
    return now
  }

  private func runCommitted(_ group: TurnGroup) throws(Failure) {
    let isDurable = group.tickets.contains(where: \.isDurable)
    let wrote = try transaction(isDurable: isDurable) { () throws(Failure) in
      var wroteRelaxed = false
      let pending = try decide(group) { ledger throws(Failure) in
        try self.refresh(&ledger)
        if !ledger.log.isEmpty {
          try self.writeLog(&ledger)
          wroteRelaxed = true
        }
      } seal: { ledger, time throws(Failure) in
        if ledger.wantsSeal {
          let start = farebox_steady_clock()
          let count = Int(ledger.state.nextRecord - 1 - ledger.state.sealedThrough)
          let merged = ledger.keys.mergeCount
          try ledger.seal(at: time, in: self.store)
          self.metrics.countSeal(count, since: start, merged: ledger.keys.mergeCount - merged)
        }
      }
      if pending > 0 {
        try withLedger { ledger throws(Failure) in try writeLog(&ledger) }
      }
      return pending > 0 || wroteRelaxed
    }
    // What was decided on others' records, a replay for instance, is not safe before they are.
    if isDurable, !wrote { try flush() }
  }

  /// Waits until all that this engine knows of is on the disk.
  private func flush() throws(Failure) {
    let end = journalEnd
    guard durableEnd.record < end.record else { return }
    try store.flush()
    metrics.countFlush()
    durableEnd = end
  }

  /// Runs the work of every ticket and returns how many records wait to be written.
  private func decide(
    _ group: TurnGroup, _ prepare: (inout Ledger) throws(Failure) -> Void,
    seal: (inout Ledger, Int64) throws(Failure) -> Void
  ) throws(Failure) -> Int {
    let outcome = withLedger { ledger -> Swift.Result<Int, Failure> in
      do throws(Failure) {
        try prepare(&ledger)
        // Time never goes back in the journal, whatever the clock does.
        let time = max(checkClocks(group, ledger), ledger.state.time)
        try seal(&ledger, time)
        try due(&ledger, time)
        let context = TurnContext(time: time, store: store)
        // Who only looks sees what is written; the callers of a group are there at once, so any order will do.
        for ticket in group.tickets where ticket.isReading && !ticket.isAbandoned {
          try ticket.decide(&ledger, context)
        }
        for ticket in group.tickets where !ticket.isReading && !ticket.isAbandoned {
          try ticket.decide(&ledger, context)
        }
        return .success(ledger.log.count)
      } catch {
        ledger.isStale = true
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  /// Expires what is due before anything is decided, so that nothing waits for a tick.
  private func due(_ ledger: inout Ledger, _ time: Int64) throws(Failure) {
    guard let first = ledger.state.expiries.first, first.expires <= time else { return }
    do throws(Rejection) {
      metrics.countExpired(try ledger.expireHolds(at: time))
    } catch {
      throw Failure(.internal, "A hold could not be expired.")
    }
  }

  // MARK: Transactions

  /// Writes the records of the log as segments.
  func writeLog(_ ledger: inout Ledger) throws(Failure) {
    var hash = ledger.state.hash
    try unsafe ledger.log.writeSegments(
      first: ledger.firstUnwritten, writer: ledger.writer, previous: &hash
    ) { first, bytes throws(Failure) in
      try unsafe store.appendSegment(first: first, bytes)
    }
    metrics.countRecords(ledger.log.count)
    ledger.state.hash = hash
    ledger.log.removeAll()
  }

  /// Runs a body in a write transaction; commits when it returns true and rolls back otherwise.
  ///
  /// - Returns: what the body returned.
  @discardableResult
  func transaction(isDurable: Bool, _ body: () throws(Failure) -> Bool) throws(Failure) -> Bool {
    let mark = metrics.mark
    do throws(Failure) {
      try store.setDurable(isDurable)
      try store.begin(from: withLedger { $0.state.nextRecord })
    } catch {
      store.rollback()
      throw error
    }
    do throws(Failure) {
      guard try body() else {
        store.rollback()
        return false
      }
      let start = farebox_steady_clock()
      do throws(Failure) {
        try store.commit()
      } catch  where error.status == .storeOutcomeUnknown {
        store.rollback()
        try settle(isDurable: isDurable)
      }
      metrics.countCommit(isDurable: isDurable, since: start)
      pendingSince = 0
      if isDurable { durableEnd = journalEnd }
      return true
    } catch {
      // What is in memory may be ahead of the store now: it is read again before the next turn.
      store.rollback()
      metrics.mark = mark
      withLedger { $0.isStale = true }
      throw error
    }
  }

  /// Finds out whether the commit whose answer was lost has happened.
  ///
  /// Whoever has the writer's turn after it sees its outcome: nothing of the old connection is under way any more.
  ///
  /// - Throws: `storeUnreachable` when it has not, so that the turn can be decided again; `storeOutcomeUnknown` when the
  ///   store cannot be asked in time.
  private func settle(isDurable: Bool) throws(Failure) {
    let end = journalEnd
    var hasHappened = false
    var attempt = 0
    while true {
      do throws(Failure) {
        try store.begin(from: end.record + 1)
        hasHappened = try holds(end)
        store.rollback()
        guard hasHappened else { break }
        if isDurable { try store.flush() }
        if epoch != store.epoch { metrics.countReconnect() }
        epoch = store.epoch
        return
      } catch {
        store.rollback()
        guard store.mayRetry(after: error, attempt: attempt) else {
          throw Failure(
            .storeOutcomeUnknown,
            "The connection was lost while committing and did not come back in time. \(error.message)")
        }
        attempt += 1
      }
    }
    throw Failure(.storeUnreachable, "The connection was lost before the commit.")
  }

  /// Whether the journal has this end, or had it before it grew.
  private func holds(_ end: JournalEnd) throws(Failure) -> Bool {
    var isThere = false
    try unsafe store.visitSegment(containing: end.record) { _, row throws(Failure) in
      let segment = try unsafe Segment(row)
      isThere = segment.hash == end.hash && segment.first &+ UInt64(segment.count) == end.record &+ 1
    }
    return isThere
  }

  /// The end of the journal as the ledger in memory has it.
  private var journalEnd: JournalEnd {
    withLedger { JournalEnd(record: $0.firstUnwritten - 1, hash: $0.state.hash) }
  }

  // MARK: Reading what others have written

  /// Brings the ledger in memory up to the store, inside a transaction.
  private func refresh(_ ledger: inout Ledger) throws(Failure) {
    if epoch != store.epoch { metrics.countReconnect() }
    if ledger.isStale || epoch != store.epoch {
      try read(&ledger)
    } else if !isExclusive {
      do throws(Failure) {
        try ledger.catchUp(from: store)
        if store.isRemote { try ledger.checkEnd(in: store) }
      } catch {
        ledger.isStale = true
        throw error
      }
    }
    lastRefresh = farebox_steady_clock()
  }

  /// Reads the ledger anew, and makes sure that what was safe on the disk is still there.
  private func read(_ ledger: inout Ledger) throws(Failure) {
    ledger.isStale = true
    try ledger.load(from: store)
    if durableEnd.record > 0, try !holds(durableEnd) {
      throw Failure(
        .storeUntrusted, "The store lacks record \(durableEnd.record), or has another in its place; it was on the disk."
      )
    }
    ledger.writer = try randomWord()
    pendingSince = 0
    epoch = store.epoch
    ledger.isStale = false
  }

  /// Reads the ledger for the first time, or makes a new one.
  func prepare() throws(Failure) {
    if isReadOnly { return try prepareToRead() }
    let now = try now()
    try holdingOffForks { () throws(Failure) in
      try retrying { () throws(Failure) in
        try transaction(isDurable: true) { () throws(Failure) in
          try withLedger { ledger throws(Failure) in
            let isNew = try ledger.identify(in: store, words: randomWord)
            try read(&ledger)
            let rule = ClockRule(
              isGiven: options.clock != nil, latest: ledger.state.time, server: store.serverClock)
            try rule.check(now)
            latestTime = max(now, ledger.state.time)
            try open(&ledger, isNew: isNew, now: now)
            guard !ledger.log.isEmpty else { return false }
            try writeLog(&ledger)
            return true
          }
        }
      }
    }
  }

  /// Reads a ledger that cannot be written.
  private func prepareToRead() throws(Failure) {
    try store.beginRead(from: 1)
    defer { store.endRead() }
    try withLedger { ledger throws(Failure) in
      guard try LedgerIdentity(of: store) != nil else {
        throw try store.meta(LedgerCopy.tokenName) == nil
          ? Failure(.storeNotFound, field: "url", "There is no ledger at this address.")
          : Failure(.storeUnfinished, "A copy into this store was not finished.")
      }
      _ = try ledger.identify(in: store, words: randomWord)
      try read(&ledger)
      guard let asset = ledger.state.catalog.assetIndex(options.defaultAsset) else {
        throw Failure(
          .assetNotFound, field: "default_asset", "The ledger has no asset '\(options.defaultAsset.prefix(24))'.")
      }
      ledger.defaultAsset = asset
    }
  }

  /// Opens what every ledger has.
  private func open(_ ledger: inout Ledger, isNew: Bool, now: Int64) throws(Failure) {
    let time = max(now, ledger.state.time)
    do throws(Rejection) {
      if isNew {
        _ = try ledger.openAccount("external", wallet: .own, unbounded: true, at: time)
        _ = try ledger.openAccount("platform", wallet: .own, at: time)
      }
      ledger.defaultAsset = try ledger.makeAsset(options.defaultAsset, field: "default_asset", at: time)
    } catch {
      throw ledger.failure(error)
    }
  }
}

extension Ledger {
  /// Makes sure that the journal in the store ends where this ledger does.
  ///
  /// A server may have gone back behind our back, to an older backup for instance, without a connection being lost.
  func checkEnd(in store: any Store) throws(Failure) {
    let last = try store.lastSegment()
    let hash = state.hash.bytes
    guard let last, last.hash.count == hash.count, hash.indices.allSatisfy({ hash[$0] == last.hash[$0] }) else {
      throw Failure(.storeUntrusted, "The journal in the store does not end where it did.")
    }
  }
}
