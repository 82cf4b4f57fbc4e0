package import Farebox
internal import FareboxCore

/// What a call of a plugin's tool asks for; texts are borrowed for the length of the call.
package struct ToolRequest {
  package var payer = BorrowedText.empty
  package var tool = BorrowedText.empty
  /// A JSON object; empty is `{}`.
  package var input = BorrowedText.empty
  package var key = BorrowedText.empty
  package var run = BorrowedText.empty
  package var call = BorrowedText.empty
  /// The key of the metered call that this one is made inside.
  package var parent = BorrowedText.empty
  /// Counts calls that are alike in all of the above.
  package var ordinal: UInt32 = 0
  /// Atomic units that the call costs at the most; nil is no maximum.
  package var maxCost: Int64?
  package var terms = CallTerms()
  /// Milliseconds after which the caller gives up; 0 is the tool's own time.
  package var deadlineMilliseconds: Int64 = 0
  /// Of the capture; nil is what the engine was opened with.
  package var durability: Durability?
  /// Whether the host runs it at its own cost: no payer, no hold, nothing in the ledger.
  package var isUncharged = false

  package init() {}

  /// Refuses texts that no call may have, wherever they are not looked at anyway.
  func checkTexts() throws(Failure) {
    for (text, field, most) in [(payer, "payer", Limits.accountName), (key, "idempotency_key", Limits.key)] {
      guard text.count <= most else { throw Failure(.tooLong, field: field, "It has at most \(most) bytes.") }
    }
    guard payer.isText else { throw Failure(.invalidUTF8, field: "payer", "It is not UTF-8 text.") }
    try Identifier.check(run, "run")
    try Identifier.check(call, "call")
  }
}

/// What a call of a plugin's tool gave.
package struct ToolResult {
  package let output: [UInt8]
  package let kind: PluginTool.Output
  /// The capture's; nil where nothing was charged because nobody was to pay.
  package let receipt: Receipt?
  /// Id, version and SHA-256 of the plugin that ran.
  package let attribution: String
}
