internal import CWorker
internal import Farebox
internal import FareboxCore

/// A call whose input was checked and counted, before anything is held for it.
struct PreparedCall {
  /// The input, at least `{}`.
  let input: [UInt8]
  /// The input as JSON, where a schema or a measure reads it.
  private let json: JSON
  /// What is known of the usage before the call.
  let usage: Usage
  /// When the call ends at the latest, by the steady clock.
  let deadline: Int64
  /// How many milliseconds a call of the tool may take, whatever its caller says.
  let longest: Int64

  private static let empty: [UInt8] = [UInt8(ascii: "{"), UInt8(ascii: "}")]

  init(_ plugin: Plugin, _ tool: Plugin.Tool, _ request: ToolRequest) throws(Failure) {
    guard request.input.count <= Limits.jsonBytes else {
      throw Failure(.tooLong, field: "input", "An input has at most \(Limits.jsonBytes) bytes.")
    }
    input = request.input.isEmpty ? PreparedCall.empty : unsafe [UInt8](request.input.bytes)
    if input == PreparedCall.empty, tool.declared.inputSchema == nil, tool.measure.isEmpty {
      json = .object(JSONObject())
    } else {
      do throws(Failure) {
        json = try JSON.parse(input)
      } catch {
        throw Failure(error.status, field: "input", error.message)
      }
      guard json.object != nil else { throw Failure(.pluginInput, field: "input", "It must be an object.") }
      try tool.declared.inputSchema?.check(json, path: "input", status: .pluginInput)
    }
    guard tool.isBounded || request.maxCost != nil || request.isUncharged else {
      throw Failure(
        .missingField, field: "max_cost",
        "What a call of '\(tool.declared.name)' costs is known only after it; say what it may cost at the most.")
    }
    var usage = Usage.oneRequest
    try tool.measure.count(json, inputBytes: input.count, outputBytes: nil, into: &usage)
    self.usage = usage
    let granted = plugin.grants.deadlineMilliseconds
    longest = min(tool.declared.deadlineMilliseconds ?? granted, granted)
    let milliseconds = request.deadlineMilliseconds > 0 ? min(longest, request.deadlineMilliseconds) : longest
    deadline = farebox_worker_steady_clock() + milliseconds * 1_000_000
  }

  /// What a call that succeeded has used: one request, what the host has counted, and what the plugin has metered.
  func used(_ outcome: ToolOutcome, _ tool: Plugin.Tool) throws(Failure) -> Usage {
    var usage = Usage.oneRequest
    try tool.measure.count(json, inputBytes: input.count, outputBytes: outcome.output.count, into: &usage)
    for (meter, micro) in outcome.usage where !tool.measure.meters.contains(meter) {
      try usage.set(meter, micro: micro)
    }
    return usage
  }
}
