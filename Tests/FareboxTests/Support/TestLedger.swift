import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// A ledger with a clock that the test sets, in the store that `TestStore` chooses.
final class TestLedger {
  let clock: ManualClock
  private(set) var engine: Engine
  private let home: TestHome
  private let options: EngineOptions

  init(
    inFile: Bool = false, startingAt time: Int64 = ManualClock.start, _ change: (inout EngineOptions) -> Void = { _ in }
  ) throws {
    let clock = ManualClock(time)
    var options = EngineOptions()
    options.durability = .normal
    options.clock = { clock.now }
    change(&options)
    self.clock = clock
    self.options = options
    home = try TestHome(inFile: inFile)
    engine = try Engine(url: home.url, options: options)
  }

  /// Closes the ledger and opens it again, with other options where `change` makes them.
  func reopen(_ change: (inout EngineOptions) -> Void = { _ in }) throws {
    try #require(home.canBeOpenedAgain, "A ledger in memory cannot be opened again.")
    var options = options
    change(&options)
    try engine.close()
    engine = try Engine(url: home.url, options: options)
  }

  /// Another engine on the same ledger.
  func another() throws -> Engine {
    try #require(home.canBeOpenedAgain, "A ledger in memory cannot be shared.")
    return try Engine(url: home.url, options: options)
  }
}

extension Engine {
  /// Seals now, however few records there are.
  func sealNow() throws {
    _ = try tick()
    try perform(.normal) { ledger, context throws(Rejection) in
      guard ledger.log.isEmpty else { return }
      do throws(Failure) {
        try ledger.seal(at: context.time, in: context.store)
      } catch {
        throw .failed(error)
      }
    }
  }

  /// Reads the whole journal and compares it with the live state.
  func expectSound(_ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let verdict = try call("ledger.verify")
    #expect(verdict.object?["valid"] == true, comment, sourceLocation: sourceLocation)
    let report = try call("ledger.reconcile")
    #expect(report.object?["balanced"] == true, comment, sourceLocation: sourceLocation)
    #expect(report.object?["orphan_holds"]?.array?.isEmpty == true, comment, sourceLocation: sourceLocation)
  }
}

/// The status that a call answers with.
func status(_ body: () throws -> Void) -> Status {
  do {
    try body()
    return .ok
  } catch let failure as Failure {
    return failure.status
  } catch {
    return .internal
  }
}
