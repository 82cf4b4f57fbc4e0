package import FareboxCore

/// One call of a tool, as an instance of its plugin takes it.
package struct ToolCall: Sendable {
  package let tool: String
  /// JSON that the tool's input schema allows; nobody checks it again.
  package let input: [UInt8]
  /// Who pays, or empty.
  package let account: String
  /// The run that the call belongs to, or empty.
  package let run: String
  /// The call's id, or empty.
  package let call: String
  /// Nanoseconds of the steady clock; the call returns by then, except in this process.
  package let deadline: Int64
  /// Bytes of output.
  package let outputLimit: Int
  /// Gives the plugin's stored value of a key; runs on the caller's thread inside the call.
  package let stored: @Sendable (_ key: String) -> [UInt8]?
  /// Ends the call from another thread.
  package let cancel: CancelFlag

  package init(
    tool: String, input: [UInt8], account: String = "", run: String = "", call: String = "", deadline: Int64,
    outputLimit: Int, stored: @escaping @Sendable (_ key: String) -> [UInt8]? = { _ in nil },
    cancel: CancelFlag = CancelFlag()
  ) {
    self.tool = tool
    self.input = input
    self.account = account
    self.run = run
    self.call = call
    self.deadline = deadline
    self.outputLimit = outputLimit
    self.stored = stored
    self.cancel = cancel
  }
}

/// What a call that succeeded gave.
package struct ToolOutcome: Sendable {
  package let output: [UInt8]
  /// What the plugin added to meters: millionths, or atomic units of `value`.
  package let usage: [(meter: Meter, micro: Int64)]
  /// What the plugin set in its store, in the order of the first time; nil removes the key.
  package let writes: [(key: String, value: [UInt8]?)]
}
