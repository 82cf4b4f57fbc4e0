package import FareboxCore

/// What a plugin may do: as it asks in its manifest, as a policy allows at most, or as it is granted.
package struct PluginPermissions: Sendable, Equatable {
  /// Whether it may use the network.
  package var network = false
  /// Absolute paths that it may read, with all below them.
  package var read: [String] = []
  /// Absolute paths that it may write, with all below them.
  package var write: [String] = []
  /// Names of variables of the host's environment that it sees.
  package var environment: [String] = []
  /// Whether it may start processes.
  package var subprocess = false
  /// Whether it may keep values in the host's ledger.
  package var store = false
  /// Bytes of memory that its process may have.
  package var memoryBytes: Int64 = 256 << 20
  /// Bytes of the output of one call.
  package var outputBytes: Int64 = 1 << 20
  /// Milliseconds that one call may take.
  package var deadlineMilliseconds: Int64 = 10_000
  /// Descriptors that its process may have open.
  package var descriptors: Int64 = 64

  /// What a manifest asks for that says nothing.
  package static let none = PluginPermissions()
  /// What a policy allows that says nothing.
  package static let policyDefault = PluginPermissions(store: true)

  private static let mostPaths = 64
  private static let mostVariables = 64
  private static let memoryRange: ClosedRange<Int64> = 16 << 20...1 << 44
  private static let outputRange: ClosedRange<Int64> = 1...256 << 20
  private static let deadlineRange: ClosedRange<Int64> = 1...86_400_000
  private static let descriptorRange: ClosedRange<Int64> = 16...65_536

  /// Reads permissions; what is left out stays as in `defaults`.
  static func parse(
    _ json: JSON, path: String, defaults: PluginPermissions
  ) throws(Failure) -> PluginPermissions {
    var fields = try ManifestFields.read(json, path: path)
    var asked = defaults
    asked.network = try fields.flag("network") ?? asked.network
    asked.read = try ManifestFields.paths("read", &fields, limit: mostPaths) ?? asked.read
    asked.write = try ManifestFields.paths("write", &fields, limit: mostPaths) ?? asked.write
    asked.environment = try variables(&fields) ?? asked.environment
    asked.subprocess = try fields.flag("subprocess") ?? asked.subprocess
    asked.store = try fields.flag("store") ?? asked.store
    asked.memoryBytes =
      try ManifestFields.integer("memory_bytes", &fields, in: memoryRange) ?? asked.memoryBytes
    asked.outputBytes =
      try ManifestFields.integer("output_bytes", &fields, in: outputRange) ?? asked.outputBytes
    asked.deadlineMilliseconds =
      try ManifestFields.integer("deadline_ms", &fields, in: deadlineRange) ?? asked.deadlineMilliseconds
    asked.descriptors =
      try ManifestFields.integer("descriptors", &fields, in: descriptorRange) ?? asked.descriptors
    try fields.finish()
    return asked
  }

  private static func variables(_ fields: inout JSONFields) throws(Failure) -> [String]? {
    let names = try ManifestFields.texts("environment", &fields, limit: mostVariables, longest: Limits.toolName)
    for (index, name) in (names ?? []).enumerated() {
      let path = "\(fields.path("environment"))[\(index)]"
      guard isVariable(name) else {
        throw Failure(.invalidArgument, field: path, "must be letters, digits and _, and not begin with a digit")
      }
      // They make the dynamic linker run other code than what was verified.
      guard !name.hasPrefix("LD_"), name != "GLIBC_TUNABLES", name != "GCONV_PATH" else {
        throw Failure(.invalidArgument, field: path, "is a variable that changes what code is loaded")
      }
    }
    return names
  }

  private static func isVariable(_ name: String) -> Bool {
    name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
        true
      default: false
      }
    } && !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(name.utf8.first ?? 0x30)
  }
}

extension PluginPermissions {
  /// What a plugin that asks for this gets: all of it, with its numbers bounded by the policy's.
  ///
  /// - Throws: `pluginPolicy`, naming the permission that the policy does not grant.
  package func granted(by policy: PluginPermissions) throws(Failure) -> PluginPermissions {
    if let excess = excess(over: policy) {
      throw Failure(.pluginPolicy, field: "permissions.\(excess)", "the policy does not grant it to plugins")
    }
    var grants = self
    grants.memoryBytes = min(memoryBytes, policy.memoryBytes)
    grants.outputBytes = min(outputBytes, policy.outputBytes)
    grants.deadlineMilliseconds = min(deadlineMilliseconds, policy.deadlineMilliseconds)
    grants.descriptors = min(descriptors, policy.descriptors)
    return grants
  }

  /// The first member, other than a number, that has more than other permissions allow.
  func excess(over other: PluginPermissions) -> String? {
    if network && !other.network { return "network" }
    if let index = read.firstIndex(where: { !FilePath.isCovered($0, by: other.read) }) { return "read[\(index)]" }
    if let index = write.firstIndex(where: { !FilePath.isCovered($0, by: other.write) }) { return "write[\(index)]" }
    if let index = environment.firstIndex(where: { !other.environment.contains($0) }) {
      return "environment[\(index)]"
    }
    if subprocess && !other.subprocess { return "subprocess" }
    if store && !other.store { return "store" }
    return nil
  }

  /// The first number that is more than that of other permissions.
  func excessNumber(over other: PluginPermissions) -> String? {
    if memoryBytes > other.memoryBytes { return "memory_bytes" }
    if outputBytes > other.outputBytes { return "output_bytes" }
    if deadlineMilliseconds > other.deadlineMilliseconds { return "deadline_ms" }
    if descriptors > other.descriptors { return "descriptors" }
    return nil
  }
}
