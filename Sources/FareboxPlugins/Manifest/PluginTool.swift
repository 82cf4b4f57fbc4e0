package import FareboxCore

/// What running one tool of a plugin takes; what it costs is in the plugin's skill.
package struct PluginTool: Sendable, Equatable {
  /// What the bytes of a tool's output are.
  package enum Output: String, CaseIterable, Sendable {
    case json, text, bytes
  }

  package let name: String
  /// What inputs are allowed; nil is any object.
  package let inputSchema: JSONSchema?
  /// What outputs are allowed; nil is any.
  package let outputSchema: JSONSchema?
  package let output: Output
  /// The tool's own deadline, or nil: then that of the permissions.
  package let deadlineMilliseconds: Int64?
  /// What the host measures of each call.
  package let usage: [UsageRule]
  /// Of a foreign plugin's tool, and only there: the function to call.
  package let foreign: ForeignFunction?
}

/// A meter that the host counts of a call.
package struct UsageRule: Sendable, Equatable {
  package enum Source: Sendable, Equatable {
    /// The bytes of an argument: decoded where it is Base64, otherwise of its UTF-8.
    case bytes(String)
    /// An argument that is a whole number.
    case value(String)
    /// The bytes of the input.
    case input
    /// The bytes of the output.
    case output

    /// Reads `bytes:ARG`, `value:ARG`, `input` or `output`; nil for anything else.
    init?(_ text: String) {
      let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
      switch (parts.first, parts.count) {
      case ("input", 1): self = .input
      case ("output", 1): self = .output
      case ("bytes", 2): self = .bytes(parts[1])
      case ("value", 2): self = .value(parts[1])
      default: return nil
      }
      guard description.utf8.elementsEqual(text.utf8) else { return nil }
    }

    private var description: String {
      switch self {
      case .bytes(let argument): "bytes:\(argument)"
      case .value(let argument): "value:\(argument)"
      case .input: "input"
      case .output: "output"
      }
    }
  }

  package let meter: Meter
  package let source: Source
}

/// A C function that is called by its declared signature.
package struct ForeignFunction: Sendable, Equatable {
  /// What a result must be for the call to have worked.
  package enum Success: Sendable, Equatable {
    case equal(Int64)
    case unequal(Int64)
    case minimum(Int64)
  }

  /// How large the out-buffer of a call is: the bytes of an argument x percent / 100, and `plus`.
  package struct Capacity: Sendable, Equatable {
    package let argument: String?
    package let percent: Int64
    package let plus: Int64
  }

  package let symbol: String
  package let signature: Signature
  /// nil: every call works.
  package let success: Success?
  /// nil exactly where the signature has no out-buffer.
  package let capacity: Capacity?
}
