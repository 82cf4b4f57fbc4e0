internal import CWorker
internal import Farebox
internal import FareboxCore

/// A call whose input was checked and counted, before anything is held for it.
struct PreparedCall {
  /// The input, at least `{}`.
  let input: [UInt8]
  /// The input as JSON, where a schema or a measure reads it.
  private let json: JSON
  /// The usage, where all that the price counts is known before the call.
  let expected: Tally?
  /// The input in one form for equal inputs, where the key of the call is derived from it.
  let arguments: String
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
    var usage = Usage.oneRequest
    try tool.measure.count(json, inputBytes: input.count, outputBytes: nil, into: &usage)
    let counted = tool.measure.metersBefore.subtracting(MeterSet(.requests))
    expected = tool.isCounted && !counted.isEmpty ? try Tally(usage, of: counted, scale: tool.scale) : nil
    // A key that was given says by itself what is a repeat; without a key or an id nothing is one.
    arguments = request.call.isEmpty || !request.key.isEmpty ? "" : json.canonical()
    let granted = plugin.grants.deadlineMilliseconds
    longest = min(tool.declared.deadlineMilliseconds ?? granted, granted)
    let milliseconds = request.deadlineMilliseconds > 0 ? min(longest, request.deadlineMilliseconds) : longest
    deadline = farebox_worker_steady_clock() + milliseconds * 1_000_000
  }

  /// What a call that succeeded has used: what the host has counted, and what the plugin has metered.
  ///
  /// - Parameter scale: of the asset that it is charged in.
  func used(_ outcome: ToolOutcome, _ tool: Plugin.Tool, scale: UInt8) throws(Failure) -> Tally {
    var usage = Usage.oneRequest
    try tool.measure.count(json, inputBytes: input.count, outputBytes: outcome.output.count, into: &usage)
    var meters = tool.measure.meters.reduce(into: MeterSet()) { $0.formUnion(MeterSet($1)) }
    for (meter, micro) in outcome.usage where !tool.measure.meters.contains(meter) {
      try usage.set(meter, micro: micro)
      meters.formUnion(MeterSet(meter))
    }
    return try Tally(usage, of: meters, scale: scale)
  }
}
