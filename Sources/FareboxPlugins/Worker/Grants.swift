internal import FareboxCore

extension PluginPermissions {
  /// The permissions as they are written in a manifest.
  var json: JSON {
    [
      "network": .bool(network), "read": .array(read.map(JSON.string)), "write": .array(write.map(JSON.string)),
      "environment": .array(environment.map(JSON.string)), "subprocess": .bool(subprocess), "store": .bool(store),
      "memory_bytes": .int(memoryBytes), "output_bytes": .int(outputBytes),
      "deadline_ms": .int(deadlineMilliseconds), "descriptors": .int(descriptors),
    ]
  }
}

extension PluginTool {
  /// Meters that the host measures, to which the plugin must not add.
  var measured: MeterSet {
    usage.reduce(into: MeterSet()) { $0.insert(MeterSet($1.meter)) }
  }
}
