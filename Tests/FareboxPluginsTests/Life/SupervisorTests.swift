import FareboxCore
import Synchronization
import Testing

@testable import FareboxPlugins

/// How the instances of a plugin are lent, replaced and ended.
@Suite struct SupervisorTests {
  private let world = World()

  private func supervisor(limit: Int = 1) -> Supervisor {
    Supervisor(limit: limit) { [world] () throws(Failure) in try world.start() }
  }

  private var soon: Int64 { Steady.now + 50_000_000 }
  private var later: Int64 { Steady.now + 20_000_000_000 }

  @Test func `an instance is kept and lent again`() throws {
    let supervisor = supervisor()
    for _ in 0..<3 { try supervisor.withInstance(until: later) { _ throws(Failure) in } }
    #expect(world.started == 1 && world.ended == 0)
  }

  @Test func `a call that failed in its own way keeps its instance`() throws {
    let supervisor = supervisor()
    for _ in 0..<9 {
      let status = status(of: supervisor) { _ throws(Failure) in throw Failure(.pluginFailed, "no") }
      #expect(status == .pluginFailed)
    }
    #expect(world.started == 1)
  }

  @Test func `a crashed instance is replaced, at once after the first time and later after more`() throws {
    let supervisor = supervisor()
    func crash() -> Status {
      status(of: supervisor) { instance throws(Failure) in
        (instance as? Instance)?.isDead.store(true, ordering: .relaxed)
        throw Failure(.pluginCrashed, "crashed")
      }
    }
    #expect(crash() == .pluginCrashed)
    #expect(crash() == .pluginCrashed)
    #expect(world.started == 2 && world.ended == 2)
    // Two in a row: turned away without a new instance.
    #expect(crash() == .pluginUnavailable)
    #expect(world.started == 2)
  }

  @Test func `what cannot be started counts as a failure`() throws {
    world.isBroken.store(true, ordering: .relaxed)
    let supervisor = supervisor()
    #expect(status(of: supervisor) { _ throws(Failure) in } == .pluginBroken)
    #expect(status(of: supervisor) { _ throws(Failure) in } == .pluginBroken)
    #expect(status(of: supervisor) { _ throws(Failure) in } == .pluginUnavailable)
    #expect(world.started == 2)
  }

  @Test func `no more instances run at once than may, and who waits too long is told`() throws {
    let supervisor = supervisor(limit: 2)
    try supervisor.withInstance(until: later) { _ throws(Failure) in
      try supervisor.withInstance(until: later) { _ throws(Failure) in
        #expect(status(of: supervisor, until: soon) { _ throws(Failure) in } == .pluginUnavailable)
      }
    }
    #expect(world.started == 2 && world.ended == 0)
  }

  @Test func `renewing stops what is idle now and what is lent when it comes back`() throws {
    let supervisor = supervisor(limit: 2)
    try supervisor.withInstance(until: later) { _ throws(Failure) in
      try supervisor.withInstance(until: later) { _ throws(Failure) in }
      supervisor.renew()
      #expect(world.ended == 1)
    }
    #expect(world.ended == 2)
    try supervisor.withInstance(until: later) { _ throws(Failure) in }
    #expect(world.started == 3)
  }

  @Test func `one instance takes a new configuration and the others are replaced`() throws {
    let supervisor = supervisor(limit: 2)
    try supervisor.withInstance(until: later) { _ throws(Failure) in
      try supervisor.withInstance(until: later) { _ throws(Failure) in }
    }
    try supervisor.configure("{\"a\":1}")
    #expect(world.ended == 1 && world.started == 2)
    world.refusesConfiguration.store(true, ordering: .relaxed)
    #expect(throws: Failure.self) { try supervisor.configure("{}") }
    #expect(world.ended == 1)
  }

  @Test func `draining turns calls away and ends all instances`() throws {
    let supervisor = supervisor()
    try supervisor.withInstance(until: later) { _ throws(Failure) in }
    #expect(supervisor.drain(until: later))
    #expect(world.ended == 1)
    #expect(status(of: supervisor) { _ throws(Failure) in } == .pluginInactive)
  }

  @Test func `draining waits for a call, but not beyond its deadline`() throws {
    let supervisor = supervisor()
    try supervisor.withInstance(until: later) { _ throws(Failure) in
      #expect(!supervisor.drain(until: soon))
    }
    #expect(world.ended == 1)
  }

  private func status(
    of supervisor: Supervisor, until deadline: Int64? = nil,
    _ body: (any PluginInstance) throws(Failure) -> Void
  ) -> Status {
    do throws(Failure) {
      try supervisor.withInstance(until: deadline ?? later, body)
      return .ok
    } catch {
      return error.status
    }
  }
}

/// What a supervisor starts in these tests, and what became of it. The supervisor's rules are the subject; real instances
/// have tests of their own.
private final class World: Sendable {
  private let starts = Atomic(0)
  fileprivate let ends = Atomic(0)
  let isBroken = Atomic(false)
  let refusesConfiguration = Atomic(false)

  var started: Int { starts.load(ordering: .relaxed) }
  var ended: Int { ends.load(ordering: .relaxed) }

  func start() throws(Failure) -> any PluginInstance {
    starts.add(1, ordering: .relaxed)
    if isBroken.load(ordering: .relaxed) { throw Failure(.pluginBroken, "broken") }
    return Instance(self)
  }
}

private final class Instance: PluginInstance {
  private let world: World
  let isDead = Atomic(false)

  init(_ world: World) {
    self.world = world
  }

  var isUsable: Bool { !isDead.load(ordering: .relaxed) }
  var processID: Int32? { nil }
  func initialise(config: String) {}
  func activate() {}
  func call(_ call: ToolCall) -> ToolOutcome { ToolOutcome(output: [], usage: [], writes: []) }
  func health() {}
  func configure(_ config: String) throws(Failure) {
    if world.refusesConfiguration.load(ordering: .relaxed) { throw Failure(.pluginInput, "no") }
  }
  func deactivate() {}
  func shutdown() { world.ends.add(1, ordering: .relaxed) }
}
