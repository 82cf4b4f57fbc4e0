internal import Farebox
internal import FareboxCore

/// What the host itself counts of a call, as the manifest's `usage` says: a plugin cannot make it more or less.
struct UsageMeasure: Sendable {
  private let rules: [UsageRule]
  /// Meters that the plugin may not add to.
  let meters: Set<Meter>
  /// Meters whose count is known before the call.
  let metersBefore: MeterSet

  init(_ tool: PluginTool) {
    rules = tool.usage
    meters = Set(tool.usage.map(\.meter))
    metersBefore = tool.usage.reduce(into: MeterSet(.requests)) { known, rule in
      if rule.source != .output { known.formUnion(MeterSet(rule.meter)) }
    }
  }

  var isEmpty: Bool { rules.isEmpty }

  /// Counts what can be counted of an input, and of the output once it is there.
  ///
  /// - Throws: `pluginInput` for an argument that is absent or cannot be counted.
  func count(
    _ input: JSON, inputBytes: Int, outputBytes: Int?, into usage: inout Usage
  ) throws(Failure) {
    for rule in rules {
      let count: Int64
      switch rule.source {
      case .input: count = Int64(inputBytes)
      case .output:
        guard let outputBytes else { continue }
        count = Int64(outputBytes)
      case .bytes(let argument): count = try bytes(input, argument)
      case .value(let argument):
        guard let value = input.object?[argument]?.int64, value >= 0 else {
          throw Failure(.pluginInput, field: "input.\(argument)", "It must be a whole number that is not negative.")
        }
        count = value
      }
      try usage.set(rule.meter, count: count)
    }
  }

  /// The bytes that an argument stands for: those of its text, or those that its base64 says.
  private func bytes(_ input: JSON, _ argument: String) throws(Failure) -> Int64 {
    switch input.object?[argument] {
    case .string(let text): return Int64(text.utf8.count)
    case .object(let object):
      if object.count == 1, let text = object["base64"]?.string, let bytes = Base64.bytes(text) {
        return Int64(bytes.count)
      }
    default: break
    }
    throw Failure(.pluginInput, field: "input.\(argument)", "It must be text, or bytes as {\"base64\": ...}.")
  }
}
