internal import FareboxCore

/// One call of a tool, as an instance of its plugin takes it.
struct ToolCall: Sendable {
  let tool: String
  /// JSON that the tool's input schema allows; nobody checks it again.
  let input: [UInt8]
  /// Who pays, or empty.
  var account = ""
  /// The run that the call belongs to, or empty.
  var run = ""
  /// The call's id, or empty.
  var call = ""
  /// Nanoseconds of the steady clock; the call returns by then, except in this process.
  let deadline: Int64
  /// Bytes of output.
  let outputLimit: Int
  /// Gives the plugin's stored value of a key; runs on the caller's thread inside the call.
  var stored: @Sendable (_ key: String) -> [UInt8]? = { _ in nil }
  /// Ends the call from another thread.
  var cancel = CancelFlag()
}

/// What a call that succeeded gave.
struct ToolOutcome: Sendable {
  let output: [UInt8]
  /// What the plugin added to meters: millionths, or atomic units of `value`.
  let usage: [(meter: Meter, micro: Int64)]
  /// What the plugin set in its store, in the order of the first time; nil removes the key.
  let writes: [(key: String, value: [UInt8]?)]
}
