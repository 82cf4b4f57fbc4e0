internal import Farebox
internal import FareboxCore

extension PluginPolicy {
  /// The policy as JSON that `parse` reads; keys are public.
  var json: JSON {
    var object: JSONObject = [
      "directories": .array(directories.map { .string($0) }), "trust": .string(trust.rawValue),
      "keys": .object(JSONObject(keys.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.base64)) })),
      "pins": .array(pins.map(\.hex).sorted().map { .string($0) }),
      "revoked": .array(revoked.map(\.text).sorted().map { .string($0) }),
      "in_process": .array(inProcess.sorted().map { .string($0) }), "system_libraries": .bool(systemLibraries),
      "permissions": .object(permissions.all),
    ]
    for (name, path) in [("lock", lock), ("cache", cache), ("worker", worker)] {
      if let path { object.append(name, .string(path)) }
    }
    object.append("locked", .bool(isLocked))
    object.append("processes", .int(Int64(processes)))
    return .object(object)
  }
}

extension PluginPolicy.Revocation {
  /// The entry as it stands in a policy.
  var text: String {
    switch self {
    case .key(let key): key.base64
    case .digest(let digest): digest.hex
    case .plugin(let id): id
    case .version(let id, let version): "\(id)@\(version)"
    }
  }
}
