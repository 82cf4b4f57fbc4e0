import Farebox
import FareboxCore
import FareboxReference
import FareboxStore
import Synchronization

/// Time as the simulation sets it for one process.
final class SimulatedClock: Sendable {
  let time = Atomic<Int64>(0)

  var now: Int64 {
    get { time.load(ordering: .relaxed) }
    set { time.store(newValue, ordering: .relaxed) }
  }
}

/// A process that has the ledger open, or could have.
final class SimulatedProcess {
  let clock = SimulatedClock()
  /// How far its clock is off.
  var skew: Int64 = 0
  var engine: Engine?
  var store: SimulatedStore?
  /// Whether a flush has failed it, so that it may answer nothing until it is opened again.
  var isDistrusted = false
  /// Whether the server has lost what this process knows to be safe.
  var isBetrayed = false
  /// Whether it was given a damaged segment in its present call.
  var isDamaged = false
  /// What goes wrong in its present call, and when.
  var plan: FaultPlan?
  /// Calls of the store in its present call.
  var calls = 0
  /// What went wrong in its present call.
  var mishaps = 0
  /// How often it waits for the store before another process acts meanwhile; nil where none does.
  var interruption: Int?
  var call: Call?
}

/// A call of an engine, and what the reference says of it.
final class Call {
  let requests: [Request]
  let clock: Int64
  let isOpening: Bool
  /// Whether it closes the engine.
  let isLast: Bool
  /// What the reference has answered when the call was committed.
  var outcomes: [ReferenceLedger.Outcome]?
  /// The last record of its commit.
  var end: UInt64?
  var hasSealed = false

  init(_ requests: [Request], clock: Int64, isOpening: Bool = false, isLast: Bool = false) {
    self.isLast = isLast
    self.requests = requests
    self.clock = clock
    self.isOpening = isOpening
  }
}

/// How a run counts.
struct Tally: Sendable {
  var seeds = 0
  var steps = 0
  var faults = 0
  var crashes = 0
  var seals = 0
  var replays = 0
  /// Commits whose answer was lost, and which were settled all the same.
  var settled = 0
  /// How often each status was answered, by its number.
  var answers: [Int32: Int] = [:]

  static func + (left: Tally, right: Tally) -> Tally {
    Tally(
      seeds: left.seeds + right.seeds, steps: left.steps + right.steps, faults: left.faults + right.faults,
      crashes: left.crashes + right.crashes, seals: left.seals + right.seals, replays: left.replays + right.replays,
      settled: left.settled + right.settled, answers: left.answers.merging(right.answers, uniquingKeysWith: +))
  }
}

/// One seed: several processes over one store, in one thread, compared with the reference after every step.
final class Simulation {
  enum Mode: CaseIterable {
    /// One process has the file for itself and answers before it commits.
    case relaxed
    /// Processes on one machine share a file.
    case local
    /// Processes share a server.
    case remote
  }

  let seed: UInt64
  let canary: Canary?
  let mode: Mode
  /// How often a call is tried again after a lost connection.
  var patience = 0
  var tally = Tally()
  /// What happened, for whoever replays a seed.
  var trace: [String] = []
  let isTraced: Bool

  var random: SeededGenerator
  var requests: RequestGenerator
  let disk: SimulatedDisk
  var processes: [SimulatedProcess] = []
  let words: SeededWords
  let holdDurability: Durability
  let sealRecords: Int
  var clock = NaiveCalendar.microseconds(2026, 1, 14, 12)

  /// What the committed journal amounts to.
  var world = ReferenceLedger()
  /// The worlds that a power loss may go back to, by the last record of each.
  var worlds: [(end: UInt64, world: ReferenceLedger)] = []
  var seals = 0
  /// The engine's numbers of what serials name.
  var ids: [Int: Int64] = [:]
  /// The serials of holds among them.
  var heldSerials: Set<Int> = []
  /// Numbers of holds that were lost with the power.
  var lostHolds: [Int64] = []
  /// The part of a hold's id that counts records.
  static let holdNumber: Int64 = 1 << 40 - 1
  /// Requests with a key that nobody knows the answer of.
  var unanswered: [Request] = []
  /// The last record that a receipt says is on the disk.
  var promised: UInt64 = 0
  var receipts: [(id: Int64, amount: JSON)] = []
  /// A copy of the server that may be put in its place at the end.
  var backup: (image: Image, world: ReferenceLedger)?
  /// Attempts to connect that find no server.
  var away = 0
  var isNested = false
  var difference: Difference?

  init(seed: UInt64, canary: Canary?, isTraced: Bool) {
    self.seed = seed
    self.canary = canary
    self.isTraced = isTraced
    random = SeededGenerator(seed: seed)
    requests = RequestGenerator(seed: random.next())
    words = SeededWords(seed: random.next())
    mode = random.chance(20) ? .relaxed : random.chance(50) ? .local : .remote
    holdDurability = mode == .relaxed ? .relaxed : random.chance(60) ? .normal : .full
    sealRecords = random.pick([5, 12, 30, 80, 100_000])
    world.mistake = canary.flatMap { CallMistake(rawValue: $0.rawValue) }
    worlds = [(0, world)]
    disk = SimulatedDisk(isLying: canary == .lyingFlush)
    for _ in 0..<(mode == .relaxed ? 1 : random.below(3) + 1) { processes.append(SimulatedProcess()) }
    for index in processes.indices { processes[index].skew = Int64(random.below(4_000_000)) - 2_000_000 }
  }

  func note(_ line: @autoclosure () -> String) {
    if isTraced { trace.append("\(tally.steps): \(line())") }
  }

  // MARK: What the store asks

  func call(of process: Int) -> Call? { processes[process].call }

  func fault(_ process: Int, isCommit: Bool) -> Fault? {
    let actor = processes[process]
    defer { actor.calls += 1 }
    guard let plan = actor.plan else { return nil }
    switch plan.place {
    case .commit: guard isCommit else { return nil }
    case .call(let index): guard actor.calls >= index else { return nil }
    }
    if plan.fault == .damage || plan.fault == .brokenFlush && !isCommit { return nil }
    actor.plan = nil
    actor.mishaps += 1
    tally.faults += 1
    if plan.fault == .brokenFlush { actor.isDistrusted = true }
    if mode == .remote, random.chance(30) { away = random.below(4) }
    note("fault \(plan.fault) of process \(process) at call \(actor.calls)\(isCommit ? ", a commit" : "")")
    return plan.fault
  }

  /// The bit of a segment that is read wrongly, or nil.
  func damage(_ process: Int, in bits: Int) -> Int? {
    let actor = processes[process]
    guard let plan = actor.plan, plan.fault == .damage else { return nil }
    if case .call(let index) = plan.place, actor.calls < index { return nil }
    actor.plan = nil
    actor.mishaps += 1
    actor.isDamaged = true
    tally.faults += 1
    note("process \(process) reads a segment wrongly at call \(actor.calls)")
    return random.below(bits)
  }

  /// Whether what a dying process was about to commit is done.
  func isLucky() -> Bool { random.chance(50) }

  /// Whether a canary's fault happens now.
  func isUnlucky() -> Bool { random.below(40) == 0 }

  func isServerAway() -> Bool {
    guard away > 0 else { return false }
    away -= 1
    for process in processes where process.call != nil { process.mishaps += 1 }
    return true
  }

  /// Lets another process act while one waits for the store.
  func interleave(_ process: Int) {
    guard let waits = processes[process].interruption, !isNested, difference == nil else { return }
    processes[process].interruption = waits > 0 ? waits - 1 : nil
    guard waits == 0 else { return }
    let others = processes.indices.filter { $0 != process && processes[$0].engine != nil }
    guard !others.isEmpty else { return }
    isNested = true
    note("process \(process) is interrupted")
    do throws(Difference) {
      try act(random.pick(others))
    } catch {
      difference = difference ?? error
    }
    isNested = false
  }

  func crash(_ process: Int) {
    tally.crashes += 1
    note("process \(process) dies")
    processes[process].store?.die()
  }

  func losePower() {
    tally.crashes += 1
    for process in processes { process.store?.die() }
    disk.losePower(&random)
    // Where records are relaxed, what the present call has done comes first.
    if mode != .relaxed { goBack() }
  }

  func failOver() {
    tally.crashes += 1
    disk.losePower(&random)
    // Only now: a canary takes back what is acknowledged when a connection breaks.
    for process in processes { process.store?.disconnect() }
    goBack()
  }

  /// A commit of a process is in the journal.
  func hasCommitted(_ process: Int) {
    guard let call = processes[process].call else {
      return blame("a commit that nobody asked for")
    }
    hasCommitted(call)
  }

  func hasCommitted(_ call: Call) {
    let sealed = disk.committed.seals > seals
    seals = disk.committed.seals
    if sealed { tally.seals += 1 }
    if mode == .relaxed {
      call.hasSealed = call.hasSealed || sealed
      call.end = disk.committed.end
      return
    }
    if call.end != nil { return blame("a call has committed twice") }
    call.end = disk.committed.end
    call.outcomes = decide(call, sealed: sealed)
    worlds.append((disk.committed.end, world))
    forgetSafeWorlds()
    note("committed through record \(disk.committed.end)\(sealed ? ", with a seal" : "")")
  }

  /// Has the reference do what a call asks for.
  func decide(_ call: Call, sealed: Bool) -> [ReferenceLedger.Outcome] {
    if sealed {
      world.forgetRuns()
      world.pass(to: call.clock)
    }
    if call.isOpening {
      // An engine that opens an old ledger writes nothing, not even what is due.
      if world.changes == 0 { world.pass(to: call.clock) }
      return []
    }
    return world.decide(call.requests, at: call.clock)
  }

  func forgetSafeWorlds() {
    let safe = disk.survivors[0].end
    worlds.removeAll { $0.end < safe }
  }

  func blame(_ problem: String) {
    if difference == nil { difference = Difference(problem) }
  }

  /// The journal has lost its end: so does the reference.
  func goBack() {
    goBack(to: disk.committed.end)
  }

  func goBack(to end: UInt64) {
    note("what comes after record \(end) is lost")
    if promised > end { blame("record \(promised), whose receipt was durable, is lost; the journal ends at \(end)") }
    guard let found = worlds.last(where: { $0.end == end }) else {
      return blame("the journal ends at record \(end), inside of a turn")
    }
    world = found.world
    worlds.removeAll { $0.end > end }
    seals = disk.committed.seals
    receipts.removeAll { $0.id > end }
    for serial in ids.keys.sorted() where !world.knows(serial) {
      if let id = ids.removeValue(forKey: serial), heldSerials.remove(serial) != nil { lostHolds.append(id) }
    }
    for process in processes {
      if let call = process.call, let last = call.end, last > end {
        call.end = nil
        call.outcomes = nil
      }
    }
  }
}

/// Words for the names of writers and for secrets: no two of the first 8,192 end in the same thirteen bits, so that no
/// hold's id comes twice in a run.
final class SeededWords: Sendable {
  let state: Mutex<(generator: SeededGenerator, count: UInt64)>

  init(seed: UInt64) {
    state = Mutex((SeededGenerator(seed: seed), 0))
  }

  func next() -> UInt64 {
    state.withLock { state in
      state.count += 1
      return state.generator.next() << 13 | state.count & 8_191
    }
  }
}
