internal import FareboxCore

/// What a validator has found out about a plugin.
struct ValidationReport {
  enum Outcome: String {
    case passed
    /// It works, and could be better.
    case warned
    case failed
    case skipped
  }

  /// One test.
  struct Test {
    let name: String
    var outcome = Outcome.passed
    var message = ""
    /// What it takes to see it again: the tool, the input, the seed that made it.
    var reproduction: JSONObject = [:]

    var json: JSON {
      var object: JSONObject = ["name": .string(name), "outcome": .string(outcome.rawValue)]
      if !message.isEmpty { object.append("message", .string(message)) }
      if !reproduction.isEmpty { object.append("reproduction", .object(reproduction)) }
      return .object(object)
    }
  }

  let seed: UInt64
  var plugin = ""
  var version = ""
  var sandbox: JSON = .null
  private(set) var tests: [Test] = []

  init(seed: UInt64) {
    self.seed = seed
  }

  /// Runs a test, whose failure is a finding and no failure of the validator.
  mutating func test(_ name: String, _ body: (inout Test) throws(Failure) -> Void) {
    var test = Test(name: name)
    do throws(Failure) {
      try body(&test)
    } catch {
      test.outcome = .failed
      test.message = "\(error.status.name): \(error.message)"
    }
    tests.append(test)
  }

  private func count(_ outcome: Outcome) -> JSON {
    .int(Int64(tests.count { $0.outcome == outcome }))
  }

  var json: JSON {
    [
      "plugin": .string(plugin), "version": .string(version), "seed": .string(String(seed)),
      "valid": .bool(!tests.contains { $0.outcome == .failed }), "passed": count(.passed), "warned": count(.warned),
      "failed": count(.failed), "skipped": count(.skipped), "sandbox": sandbox,
      "tests": .array(tests.map(\.json)),
    ]
  }
}
