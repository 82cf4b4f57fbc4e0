import FareboxCore
import FareboxReference
import Glibc

/// Plays seeds and says what became of them.
@main
enum Simulator {
  static func main() async {
    do throws(Usage) {
      let options = try RunOptions(Array(CommandLine.arguments.dropFirst()))
      exit(await run(options) ? 0 : 1)
    } catch {
      print(error.message)
      exit(2)
    }
  }

  private static func run(_ options: RunOptions) async -> Bool {
    var tally = Tally()
    var failures: [SeedFailure] = []
    if options.canaries != .only {
      let result = await play(options.from, options.count, canary: nil, options, isStopping: false)
      tally = result.tally
      failures = result.failures
      // A run that does not come to everything is blind somewhere.
      if options.count >= Simulator.thoroughCount {
        for status in Simulator.expected where tally.answers[status.rawValue] == nil {
          failures.append(
            SeedFailure(seed: options.from, step: 0, problem: "nothing was ever answered \(name(status))"))
        }
      }
      for failure in failures { failure.tell(canary: nil) }
    }
    var found = 0
    var sought: [Canary] = []
    if options.canaries != .none {
      sought = options.canary.map { [$0] } ?? Canary.allCases
      for canary in sought {
        let result = await play(options.from, Simulator.canarySeeds, canary: canary, options, isStopping: true)
        // What is found must be the canary and nothing else.
        let isCanary =
          result.failures.first.map { failure in
            playChunk([failure.seed], canary: nil, isTraced: false, isStopping: true).1.isEmpty
          } ?? false
        if let failure = result.failures.first, isCanary {
          found += 1
          print("canary \(canary.rawValue): found by seed \(failure.seed): \(failure.problem)")
        } else {
          print("canary \(canary.rawValue): NOT FOUND in \(Simulator.canarySeeds) seeds")
        }
      }
    }
    print(
      "Simulator: \(tally.seeds) seeds, \(tally.steps) steps, \(tally.faults) faults, \(tally.crashes) crashes, "
        + "\(tally.seals) seals, \(found)/\(sought.count) canaries found, \(failures.count) failed")
    if options.tellsAnswers {
      for (status, count) in tally.answers.sorted(by: { $0.key < $1.key }) {
        print("  \(name(Status(rawValue: status))): \(count)")
      }
      print("  replayed: \(tally.replays), settled: \(tally.settled)")
    }
    return failures.isEmpty && found == sought.count
  }

  /// Seeds in which every one of the expected answers has to come.
  private static let thoroughCount = 1_000
  private static let expected: [Status] = [
    .ok, .missingField, .keyConflict, .accountFrozen, .accountClosed, .unpriceable, .insufficientFunds, .overBudget,
    .overCallCap, .overRunCap, .rateLimited, .overMaxCost, .overRefund, .overCapture, .holdCaptured, .holdReleased,
    .holdExpired, .holdNotFound, .budgetNotFound, .storeIO, .storeBusy, .storeFull, .storeUnreachable,
    .storeOutcomeUnknown, .storeUntrusted, .storeCorrupt,
  ]

  static func name(_ status: Status) -> String { status.entry?.name ?? String(status.rawValue) }

  /// Seeds in which a canary has to be found.
  private static let canarySeeds = 400

  /// Plays seeds on a few threads, each seed on one.
  private static func play(
    _ from: UInt64, _ count: Int, canary: Canary?, _ options: RunOptions, isStopping: Bool
  ) async -> (tally: Tally, failures: [SeedFailure]) {
    let chunk = max(1, min(50, count / (options.jobs * 4)))
    var starts = Array(stride(from: 0, to: count, by: chunk))[...]
    var tally = Tally()
    var failures: [SeedFailure] = []
    await withTaskGroup(of: (Tally, [SeedFailure]).self) { group in
      func add() {
        guard let start = starts.popFirst() else { return }
        let seeds = (start..<min(count, start + chunk)).map { from &+ UInt64($0) }
        group.addTask { playChunk(seeds, canary: canary, isTraced: options.isTraced, isStopping: isStopping) }
      }
      for _ in 0..<options.jobs { add() }
      while let (part, found) = await group.next() {
        if (tally.seeds + part.seeds) / Simulator.progressCount > tally.seeds / Simulator.progressCount {
          print("\(tally.seeds + part.seeds) seeds played, from \(from) on")
        }
        tally = tally + part
        failures += found
        if failures.count >= Simulator.mostFailures || (isStopping && !failures.isEmpty) { starts = [] }
        add()
      }
    }
    return (tally, failures.sorted { $0.seed < $1.seed })
  }

  /// Seeds after which a long run says how far it is.
  private static let progressCount = 50_000

  /// Failures after which a run ends.
  private static let mostFailures = 10

  private static func playChunk(
    _ seeds: [UInt64], canary: Canary?, isTraced: Bool, isStopping: Bool
  ) -> (Tally, [SeedFailure]) {
    var tally = Tally()
    var failures: [SeedFailure] = []
    for seed in seeds {
      let simulation = Simulation(seed: seed, canary: canary, isTraced: isTraced)
      do throws(Difference) {
        try simulation.run()
      } catch {
        failures.append(SeedFailure(seed: seed, step: simulation.tally.steps, problem: error.description))
      }
      for line in simulation.trace { print(line) }
      tally = tally + simulation.tally
      if isStopping, !failures.isEmpty { break }
    }
    return (tally, failures)
  }
}

/// A seed that went wrong.
struct SeedFailure: Sendable {
  let seed: UInt64
  let step: Int
  let problem: String

  func tell(canary: Canary?) {
    let flag = canary.map { " --canary \($0.rawValue)" } ?? ""
    print("seed \(seed) failed at step \(step): \(problem); replay: Tests/Simulator/run --seed \(seed)\(flag)")
  }
}

struct Usage: Error {
  let message: String
}

/// What the command line asks for.
struct RunOptions: Sendable {
  enum Canaries {
    case none
    case all
    case only
  }

  var from: UInt64 = 1
  var count = 4_000
  var canary: Canary?
  var canaries = Canaries.all
  var isTraced = false
  var tellsAnswers = false
  var jobs = 2

  init(_ arguments: [String]) throws(Usage) {
    if SeededGenerator.factor > 1 { count = RunOptions.longCount }
    var index = 0
    func value() throws(Usage) -> String {
      index += 1
      guard index < arguments.count else { throw Usage(message: "\(arguments[index - 1]) needs a value") }
      return arguments[index]
    }
    func number<Number: FixedWidthInteger>() throws(Usage) -> Number {
      let text = try value()
      guard let number = Number(text) else { throw Usage(message: "'\(text)' is not a number") }
      return number
    }
    while index < arguments.count {
      switch arguments[index] {
      case "--long": count = RunOptions.longCount
      case "--seed":
        from = try number()
        count = 1
        canaries = .none
        isTraced = true
      case "--answers": tellsAnswers = true
      case "--from": from = try number()
      case "--count": count = try number()
      case "--jobs": jobs = max(1, try number())
      case "--canary":
        let name = try value()
        if name == "none" {
          canaries = .none
          break
        }
        guard let found = Canary(rawValue: name) else {
          throw Usage(message: "canaries: none \(Canary.allCases.map(\.rawValue).joined(separator: " "))")
        }
        canary = found
        canaries = .only
      default:
        throw Usage(
          message: "run [--long] [--seed N] [--from N] [--count N] [--jobs N] [--canary NAME] [--answers]")
      }
      index += 1
    }
  }

  /// Seeds of a long run.
  private static let longCount = 1_000_000
}
