import Farebox
import FareboxCore
import FareboxReference

extension Simulation {
  /// Plays the whole seed.
  func run() throws(Difference) {
    tally.seeds = 1
    note("\(mode), \(processes.count) processes, a seal every \(sealRecords) records")
    try open(0)
    for request in requests.opening() {
      let process = 0
      processes[process].clock.now = clock
      try ask(process, [request])
    }
    // What is relaxed reaches the disk at the latest when the ledger is closed.
    if mode == .relaxed {
      try close(0)
      try open(0)
    }
    for _ in 0..<random.below(120) + 30 {
      tally.steps += 1
      let process = random.below(processes.count)
      moveClock(toEdgeOf: process)
      if processes[process].engine == nil {
        if !isSilent { processes[process].plan = random.chance(15) ? plan() : nil }
        try open(process)
      } else {
        processes[process].plan = random.chance(22) ? plan() : nil
        // Not only at the first wait: also while it finds out what became of its commit.
        processes[process].interruption = random.chance(20) ? random.pick([0, 0, 1, 2]) : nil
        patience = random.below(4)
        try act(process)
        for process in processes {
          process.plan = nil
          process.interruption = nil
        }
      }
      if random.chance(10) { disk.flush() }
      if mode == .remote, disk.survivors.count == 1, random.chance(4) { backup = (disk.committed, world) }
      try settleDown(process)
    }
    try end()
  }

  /// Whether nothing goes wrong for now.
  private var isSilent: Bool { tally.steps < 2 }

  /// - Parameter process: whose clock comes to the edges of holds, rates and windows.
  private func moveClock(toEdgeOf process: Int) {
    if random.chance(30) { clock += Int64(random.below(20 * 60_000_000)) }
    if random.chance(5) { clock += Int64(random.below(12)) * 3_600_000_000 }
    if random.chance(2) { clock += Int64(random.below(40)) * 86_400_000_000 }
    if random.chance(4) { clock -= Int64(random.below(3_600_000_000)) }
    if random.chance(50) { clock += Int64(random.below(1_000)) }
    // The very microsecond in which a hold expires, a charge leaves its rate or a window begins; or the one before.
    if random.chance(10) {
      let edges = world.edges(after: clock + processes[process].skew)
      if !edges.isEmpty { clock = random.pick(edges) - processes[process].skew - (random.chance(30) ? 1 : 0) }
    }
    for process in processes { process.clock.now = clock + process.skew }
  }

  private func plan() -> FaultPlan {
    let local: [Fault] = [.io, .io, .full, .busy, .brokenFlush, .damage, .crash, .crash, .powerLoss]
    let remote: [Fault] = [
      .io, .full, .crash, .lostBefore, .lostBefore, .lostAfter, .lostAfter, .lostMeanwhile, .serialization, .failover,
      .damage,
    ]
    let fault = random.pick(mode == .remote ? remote : local)
    let isAtCommit = fault == .brokenFlush || random.chance(45)
    return FaultPlan(fault: fault, place: isAtCommit ? .commit : .call(random.below(random.chance(20) ? 60 : 7)))
  }

  // MARK: Acts

  /// One act of a process: mostly a request of one of its callers.
  func act(_ process: Int) throws(Difference) {
    switch random.below(100) {
    case 0..<4: try restart(process)
    case 4..<7:
      note("process \(process) ticks")
      _ = try call(process, []) { engine throws(Failure) in try engine.call("engine.tick") }
    case 7..<(lostHolds.isEmpty ? 9 : 14): try askForStrangeHold(process)
    case 14..<29: if try retry(process) { return } else { try askAnew(process) }
    default: try askAnew(process)
    }
  }

  private func askAnew(_ process: Int) throws(Difference) {
    try ask(process, requests.next(in: world, ids))
  }

  /// Tries a request again whose answer never came.
  private func retry(_ process: Int) throws(Difference) -> Bool {
    guard !unanswered.isEmpty else { return false }
    let request = unanswered.remove(at: random.below(unanswered.count))
    if let subject = request.subject, ids[subject] == nil { return false }
    note("again:")
    try ask(process, [request], isRetry: true)
    return true
  }

  /// The number of a hold that was lost with the power, or that another engine would have given, names no other.
  private func askForStrangeHold(_ process: Int) throws(Difference) {
    let there = Set(heldSerials.compactMap { ids[$0] })
    // What stands in the place of a lost one is the likeliest to be taken for it.
    let taken = lostHolds.filter { lost in there.contains { ($0 ^ lost) & Simulation.holdNumber == 0 } }
    let near = there.sorted().suffix(4).map { $0 ^ (1 << 40) }
    let strange = !taken.isEmpty ? taken : random.chance(50) ? lostHolds : near
    guard !strange.isEmpty else { return try askAnew(process) }
    let id = random.pick(strange)
    note("process \(process) releases hold \(id), which is not there")
    let answer = try call(process, []) { engine throws(Failure) in
      try engine.call("hold.release", ["hold": .int(id)])
    }
    tally.answers[Status.holdNotFound.rawValue, default: 0] += 1
    guard case .failure(let failure) = answer?.result, failure.status == .holdNotFound else {
      if answer == nil { return }
      throw Difference("hold \(id) is not there, and its number names another one")
    }
  }

  /// Asks for something, and compares the answer.
  private func ask(_ process: Int, _ requests: [Request], isRetry: Bool = false) throws(Difference) {
    var sent = requests
    if isRetry, canary == .keylessRetry { for index in sent.indices { sent[index].key = "" } }
    note(
      "process \(process): "
        + sent.map { $0.call(ids) }.map { "\($0.operation) \($0.input.serialized())" }.joined(separator: "; "))
    let answer = try call(process, requests) { engine throws(Failure) in try engine.ask(sent, ids) }
    guard let answer else {
      unanswered += requests.filter(\.isRepeatable)
      return
    }
    let results = Request.answers(answer.result, to: requests.count)
    guard results.count == requests.count else { throw Difference("\(results.count) answers to \(requests.count)") }
    for (index, result) in results.enumerated() {
      try answer.outcomes[index].check(result)
      count(answer.outcomes[index])
      try learn(requests[index], answer.outcomes[index].serial, result)
    }
    if mode != .relaxed, requests.allSatisfy({ $0.isDurable || holdDurability == .full }),
      results.contains(where: { if case .success = $0 { true } else { false } })
    {
      promised = max(promised, disk.committed.end)
      let safe = disk.survivors[0].end
      if safe < promised {
        throw Difference("record \(promised), whose receipt was durable, is not on the disk, which ends at \(safe)")
      }
    }
  }

  private func count(_ outcome: ReferenceLedger.Outcome) {
    tally.answers[outcome.status.rawValue, default: 0] += 1
    if outcome.isReplayed { tally.replays += 1 }
  }

  /// Keeps the numbers that a receipt tells; a repeat must tell the same.
  ///
  /// - Parameter serial: of what came about, which an earlier request may have made.
  private func learn(_ request: Request, _ serial: Int, _ result: Result<JSON, Failure>) throws(Difference) {
    guard case .success(let json) = result, let row = json.object, let number = request.number(in: row) else { return }
    if let known = ids[serial], known != number {
      throw Difference("serial \(serial) has number \(known); a repeat says \(number)")
    }
    if world.knows(serial) {
      ids[serial] = number
      if request.makesHold { heldSerials.insert(serial) }
    }
    guard let id = row["id"]?.int64 else { return }
    receipts.append((id, row["amount"] ?? .null))
  }

  // MARK: Calls

  struct Answer {
    let result: Result<JSON, Failure>
    let outcomes: [ReferenceLedger.Outcome]
  }

  /// Calls an engine and settles what became of it; nil where the answer does not say.
  func call(
    _ process: Int, _ requests: [Request], isLast: Bool = false, _ body: (Engine) throws(Failure) -> JSON
  ) throws(Difference) -> Answer? {
    let actor = processes[process]
    guard let engine = actor.engine else { return nil }
    // Who closes the ledger writes nothing at the time of the clock.
    let call = begin(actor, Call(requests, clock: isLast ? 0 : actor.clock.now, isLast: isLast))
    let result: Result<JSON, Failure>
    do throws(Failure) {
      result = .success(try body(engine))
    } catch {
      result = .failure(error)
    }
    return try finish(process, call, result)
  }

  private func begin(_ actor: SimulatedProcess, _ call: Call) -> Call {
    actor.call = call
    actor.calls = 0
    actor.mishaps = 0
    actor.isDamaged = false
    return call
  }

  private func finish(
    _ process: Int, _ call: Call, _ result: Result<JSON, Failure>
  ) throws(Difference) -> Answer? {
    let actor = processes[process]
    actor.call = nil
    actor.plan = nil
    actor.interruption = nil
    if let difference { throw difference }
    if case .failure(let failure) = result { note("  \(failure)") }
    if case .success(let json) = result { note("  \(json.serialized())") }
    if actor.store?.isDead ?? true {
      actor.engine = nil
      actor.store = nil
      actor.isDistrusted = false
      if mode == .relaxed { try findRelaxedWorld(call, nil) }
      return nil
    }
    if case .failure(let failure) = result, failure.status.entry?.family == .store {
      try accept(failure, of: call, actor)
      return nil
    }
    if actor.isDistrusted { throw Difference("an engine whose flush has failed answers as if nothing were") }
    return Answer(result: result, outcomes: try outcomes(of: call, actor))
  }

  /// A failure of the store is right only where one happened, and says truly whether anything was done.
  private func accept(_ failure: Failure, of call: Call, _ actor: SimulatedProcess) throws(Difference) {
    tally.answers[failure.status.rawValue, default: 0] += 1
    guard actor.mishaps > 0 || actor.isDistrusted else { throw Difference("nothing was wrong, and yet: \(failure)") }
    switch failure.status {
    case .storeCorrupt, .storeNewer:
      guard actor.isDamaged || actor.isBetrayed else { throw Difference("nothing was damaged, and yet: \(failure)") }
      if mode != .relaxed, call.end != nil { throw Difference("it is done, and yet: \(failure)") }
      // A segment of a layout that nobody knows yet is no damage, as far as one can see.
      actor.isDistrusted = failure.status == .storeCorrupt
    case .storeUntrusted:
      guard actor.isDistrusted || actor.isDamaged else { throw Difference("no flush has failed, and yet: \(failure)") }
      actor.isDistrusted = true
    case .storeOutcomeUnknown:
      guard mode == .remote else { throw Difference("a file has no connection to lose, and yet: \(failure)") }
    case .storeIO, .storeFull, .storeBusy, .storeUnreachable:
      if actor.isDistrusted { throw Difference("a failed flush is called \(failure)") }
      if mode != .relaxed, call.end != nil { throw Difference("it is done, and yet: \(failure)") }
    default: throw Difference("no fault is called \(failure)")
    }
    if mode == .relaxed { try findRelaxedWorld(call, actor.isDistrusted || call.isLast ? nil : actor) }
  }

  /// What the reference says to a call that was answered.
  private func outcomes(of call: Call, _ actor: SimulatedProcess) throws(Difference) -> [ReferenceLedger.Outcome] {
    if mode == .relaxed {
      let outcomes = decide(call, sealed: call.hasSealed)
      if call.isLast {
        worlds.append((disk.committed.end, world))
      } else {
        let (end, hasSealed) = try count(actor)
        if hasSealed { sealWorld(end) } else { worlds.append((end, world)) }
      }
      forgetSafeWorlds()
      return outcomes
    }
    if let outcomes = call.outcomes {
      if actor.mishaps > 0 { tally.settled += 1 }
      return outcomes
    }
    let before = world.changes
    let outcomes = decide(call, sealed: false)
    if world.changes != before { throw Difference("it is answered, and nothing was committed") }
    return outcomes
  }

  /// How many records an engine has, those that are not committed included, and whether the question led to a seal.
  private func count(_ actor: SimulatedProcess) throws(Difference) -> (records: UInt64, hasSealed: Bool) {
    // At a time long ago nothing is due, but a seal may be.
    let now = actor.clock.now
    actor.clock.now = 0
    let look = Call([], clock: 0)
    actor.call = look
    defer {
      actor.clock.now = now
      actor.call = nil
    }
    do throws(Failure) {
      let info = try actor.engine?.call("ledger.info")
      return (UInt64(clamping: info?.object?["records"]?.int64 ?? 0), look.hasSealed)
    } catch {
      throw Difference("ledger.info: \(error)")
    }
  }

  /// A question has led to a seal, which is the last record.
  private func sealWorld(_ end: UInt64) {
    worlds.append((end - 1, world))
    world.forgetRuns()
    world.pass(to: 0)
    worlds.append((end, world))
  }

  /// Finds the world that the ledger has, after relaxed records may have been lost.
  ///
  /// - Parameter actor: where the engine lives on, which may still have records that wait.
  private func findRelaxedWorld(_ call: Call, _ actor: SimulatedProcess?) throws(Difference) {
    if let actor, let last = worlds.last {
      let lost = disk.committed.end
      let (end, hasSealed) = try count(actor)
      let kept = hasSealed ? end - 1 : end
      if kept == last.end {
        world = last.world
      } else if kept == lost {
        goBack(to: lost)
      } else {
        throw Difference("the engine has \(kept) records; the journal has \(lost), and \(last.end) were told")
      }
      if hasSealed { sealWorld(end) }
      if let difference { throw difference }
      return
    }
    let end = disk.committed.end
    if let last = worlds.last, end > last.end {
      // What the call did is in the journal, although nobody was told.
      _ = decide(call, sealed: call.hasSealed)
      worlds.append((end, world))
    }
    goBack()
    if let difference { throw difference }
  }

  // MARK: Opening and closing

  /// Opens the ledger in a process, which may fail where a fault is planned.
  func open(_ process: Int) throws(Difference) {
    let actor = processes[process]
    actor.clock.now = clock + actor.skew
    let store = SimulatedStore(
      self, disk: disk, process: process, isExclusive: mode == .relaxed, isRemote: mode == .remote)
    var options = EngineOptions()
    let clock = actor.clock
    options.clock = { clock.now }
    options.durability = mode == .relaxed ? .relaxed : .full
    options.holdDurability = holdDurability
    options.relaxedRecords = 12
    options.isExclusive = mode == .relaxed
    options.keyMemoryBytes = 1 << 20
    options.sealRecords = sealRecords
    let words = words
    options.randomWord = { words.next() }
    actor.store = store
    let call = begin(actor, Call([], clock: actor.clock.now, isOpening: true))
    note("process \(process) opens the ledger")
    var result: Result<JSON, Failure>
    do throws(Failure) {
      actor.engine = try Engine(store: store, options: options)
      result = .success(.null)
    } catch {
      result = .failure(error)
      // It closes its store, which is not a crash.
      note("  \(error)")
      actor.call = nil
      actor.plan = nil
      if mode == .relaxed { goBack() }
      if let difference { throw difference }
      guard actor.mishaps > 0 else { throw Difference("nothing was wrong, and yet: \(error)") }
      actor.store = nil
      actor.isDistrusted = false
      return
    }
    if mode == .relaxed {
      actor.call = nil
      actor.plan = nil
      if store.isDead {
        actor.engine = nil
        actor.store = nil
        goBack()
        if let difference { throw difference }
      } else if call.end != nil || world.changes == 0 {
        _ = decide(call, sealed: false)
        worlds.append((disk.committed.end, world))
      }
      return
    }
    guard let answer = try finish(process, call, result) else { return }
    if case .failure(let failure) = answer.result { throw Difference("\(failure)") }
    if canary == .forgetfulReference { world.forgetBudgets() }
  }

  /// Closes a process's engine, or drops it as if it were killed, and opens it again.
  private func restart(_ process: Int) throws(Difference) {
    if random.chance(60) {
      try close(process)
    } else {
      tally.crashes += 1
      note("process \(process) is killed")
      drop(process)
      if mode == .relaxed { goBack() }
      if let difference { throw difference }
    }
    if processes[process].engine == nil, random.chance(70) { try open(process) }
  }

  private func drop(_ process: Int) {
    processes[process].store?.die()
    processes[process].engine = nil
    processes[process].store = nil
    processes[process].isDistrusted = false
    processes[process].isBetrayed = false
  }

  private func close(_ process: Int) throws(Difference) {
    guard processes[process].store != nil else { return }
    note("process \(process) closes the ledger")
    _ = try call(process, [], isLast: true) { engine throws(Failure) in
      try engine.close()
      return .null
    }
    drop(process)
  }

  // MARK: After each step

  /// With all faults over, an engine answers, and says what the reference says.
  private func settleDown(_ process: Int) throws(Difference) {
    away = 0
    patience = 3
    if canary == .lateReference, random.chance(5) { world.delayExpiries() }
    for index in processes.indices where processes[index].isDistrusted {
      // It may answer nothing any more, although the fault is over.
      if processes[index].store?.isDead == false, random.chance(50) {
        _ = try call(index, []) { engine throws(Failure) in try engine.call("engine.tick") }
      }
      drop(index)
    }
    if processes[process].store?.isDead ?? false { drop(process) }
    for index in processes.indices where processes[index].store?.isDead ?? false { drop(index) }
    var process = process
    if processes[process].engine == nil {
      guard let other = processes.indices.first(where: { processes[$0].engine != nil }) else {
        process = random.below(processes.count)
        try open(process)
        return try compare(process, isThorough: random.chance(30))
      }
      process = other
    }
    if random.chance(25) {
      let live = processes.indices.filter { processes[$0].engine != nil }
      process = random.pick(live)
    }
    try compare(process, isThorough: tally.steps % 16 == 0)
  }

  /// Compares what an engine has with the reference.
  private func compare(_ process: Int, isThorough: Bool) throws(Difference) {
    try look(process) { engine, world throws(Failure) in try world.checkBalances(engine) }
    if isThorough || tally.steps % 4 == 0 {
      try look(process) { engine, world throws(Failure) in try world.checkBudgets(engine) }
    }
    guard isThorough else { return }
    try look(process) { engine, world throws(Failure) in try world.checkHolds(engine) }
    try look(process) { engine, world throws(Failure) in try world.checkEvents(engine) }
    for _ in 0..<min(3, receipts.count) {
      let receipt = random.pick(receipts)
      try look(process) { engine, _ throws(Failure) in
        let found = try engine.call("transfer.get", ["id": .int(receipt.id)])
        guard found.object?["amount"] != receipt.amount else { return nil }
        return Difference("receipt \(receipt.id) is about \(receipt.amount); found \(found.serialized())")
      }
    }
    if random.chance(40) {
      try look(process) { engine, _ throws(Failure) in try engine.checkSoundness() }
    }
  }

  /// Looks at an engine, which may have to expire holds, to seal or to write what is relaxed before it answers.
  private func look(
    _ process: Int, _ body: (Engine, ReferenceLedger) throws(Failure) -> Difference?
  ) throws(Difference) {
    let isTicking = random.chance(50)
    _ = try call(process, []) { engine throws(Failure) in
      if isTicking { return try engine.call("engine.tick") }
      return try engine.call("account.get", ["account": "platform"])
    }
    var found: Difference?
    let answer = try call(process, []) { engine throws(Failure) in
      found = try body(engine, world)
      return .null
    }
    if let found { throw found }
    guard let answer else { throw Difference("an engine is silent although nothing is wrong") }
    if case .failure(let failure) = answer.result { throw Difference("\(failure)") }
  }

  /// Puts an old copy in the place of a server: whoever has seen more must say that it is not what it was.
  private func restore(_ backup: (image: Image, world: ReferenceLedger)) throws(Difference) {
    // All are up to date, and know that it is on the disk.
    for index in processes.indices where processes[index].engine != nil {
      try ask(index, [requests.deposit()])
      try look(index) { _, _ throws(Failure) in nil }
    }
    let end = disk.committed.end
    guard backup.image.end < end else { return }
    let isNoticed = random.chance(50)
    note("the server is put back to record \(backup.image.end)\(isNoticed ? ", and its connections break" : "")")
    disk.forget(to: backup.image)
    promised = 0
    worlds = [(backup.image.end, backup.world)]
    goBack()
    if isNoticed { for process in processes { process.store?.disconnect() } }
    let witnesses = processes.indices.filter { processes[$0].engine != nil }
    // Somebody who has not seen any of it goes on, perhaps to where the journal ended.
    processes.append(SimulatedProcess())
    let newcomer = processes.count - 1
    try open(newcomer)
    for _ in 0..<random.below(Int(end - backup.image.end) + 3) { try ask(newcomer, [requests.deposit()]) }
    for index in witnesses {
      processes[index].isDistrusted = true
      processes[index].isBetrayed = true
      let answer = try call(index, []) { engine throws(Failure) in try engine.call("engine.tick") }
      if answer != nil { throw Difference("process \(index) had seen record \(end), which is lost, and goes on") }
      drop(index)
    }
  }

  /// Closes everything, opens it again and looks at all of it.
  private func end() throws(Difference) {
    away = 0
    patience = 3
    if let backup { try restore(backup) }
    for process in processes.indices where processes[process].engine != nil { try close(process) }
    try open(0)
    try compare(0, isThorough: true)
    try look(0) { engine, _ throws(Failure) in try engine.checkSoundness() }
    for coin in Coin.allCases where world.sum(coin) != 0 { throw Difference("the reference has made money") }
  }
}
