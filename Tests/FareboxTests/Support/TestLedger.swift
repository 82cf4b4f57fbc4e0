import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// A ledger with a clock that the test sets; in memory, or in a file that can be opened again.
final class TestLedger {
  let clock: ManualClock
  private(set) var engine: Engine
  private let folder: TemporaryFolder?
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
    folder = inFile ? try TemporaryFolder() : nil
    engine = try Engine(url: folder?.url() ?? "memory:", options: options)
  }

  /// Closes the file and opens it again.
  func reopen() throws {
    let folder = try #require(folder, "Only a ledger in a file can be opened again.")
    try engine.close()
    engine = try Engine(url: folder.url(), options: options)
  }

  /// Another engine on the same file.
  func another() throws -> Engine {
    let folder = try #require(folder, "Only a ledger in a file can be shared.")
    return try Engine(url: folder.url(), options: options)
  }

  /// The file, to look into it while it is closed.
  func file() throws -> String {
    try #require(folder).file()
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
