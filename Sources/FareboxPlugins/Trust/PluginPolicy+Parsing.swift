internal import Farebox
package import FareboxCore

extension PluginPolicy {
  private static let mostDirectories = 64
  private static let mostKeys = 64
  private static let mostEntries = 4_096

  /// Reads a policy; unknown members are refused, and every failure names its member.
  ///
  /// - Throws: `invalidArgument`, `unknownField`, `missingField`, `tooLong`, `invalidUTF8` or `invalidJSON`.
  package static func parse(_ bytes: [UInt8]) throws(Failure) -> PluginPolicy {
    guard bytes.count <= longest else { throw Failure(.tooLong, "A policy has at most \(longest) bytes.") }
    var fields = try ManifestFields.read(JSON.parse(bytes))
    guard let directories = try ManifestFields.paths("directories", &fields, limit: mostDirectories) else {
      throw Failure(.missingField, field: "directories", "is missing")
    }
    let permissions = fields.optional("permissions") ?? .object(JSONObject())
    let policy = PluginPolicy(
      directories: directories,
      trust: try trust(&fields),
      keys: try keys(&fields),
      pins: try pins(&fields),
      revoked: try revoked(&fields),
      inProcess: try inProcess(&fields),
      systemLibraries: try fields.flag("system_libraries") ?? false,
      permissions: try PluginPermissions.parse(permissions, path: "permissions", defaults: .policyDefault),
      lock: try path("lock", &fields),
      isLocked: try fields.flag("locked") ?? false,
      cache: try path("cache", &fields),
      worker: try path("worker", &fields),
      processes: Int(try ManifestFields.integer("processes", &fields, in: 1...16) ?? 1))
    try fields.finish()
    guard !policy.isLocked || policy.lock != nil else {
      throw Failure(.missingField, field: "lock", "is missing: the policy says that it is locked")
    }
    return policy
  }

  private static func trust(_ fields: inout JSONFields) throws(Failure) -> TrustLevel {
    guard let text = try fields.text("trust", limit: 16) else { return .signed }
    guard let trust = TrustLevel(rawValue: text), trust != .builtIn else {
      throw fields.wrong("trust", "must be signed, pinned or unsigned")
    }
    return trust
  }

  private static func keys(_ fields: inout JSONFields) throws(Failure) -> [String: PublicKey] {
    guard let json = fields.optional("keys") else { return [:] }
    var reader = try ManifestFields.read(json, path: "keys")
    let members = json.object?.members ?? []
    guard members.count <= mostKeys else { throw Failure(.tooLong, field: "keys", "has more than \(mostKeys) keys") }
    var keys: [String: PublicKey] = [:]
    for member in members {
      guard !member.key.isEmpty, member.key.utf8.count <= Limits.toolName else {
        throw reader.wrong(member.key, "the name of a key has 1 to \(Limits.toolName) bytes")
      }
      guard let text = try reader.text(member.key, limit: 64), let key = PublicKey(base64: text) else {
        throw reader.wrong(member.key, "must be the 32 bytes of an Ed25519 public key, in Base64")
      }
      keys[member.key] = key
    }
    return keys
  }

  private static func pins(_ fields: inout JSONFields) throws(Failure) -> Set<Digest> {
    var pins: Set<Digest> = []
    for (index, text) in (try ManifestFields.texts("pins", &fields, limit: mostEntries) ?? []).enumerated() {
      guard let digest = Digest(hex: text) else {
        throw Failure(
          .invalidArgument, field: "pins[\(index)]", "must be the 64 lower-case hexadecimal digits of a SHA-256")
      }
      pins.insert(digest)
    }
    return pins
  }

  private static func revoked(_ fields: inout JSONFields) throws(Failure) -> Set<Revocation> {
    var revoked: Set<Revocation> = []
    for (index, text) in (try ManifestFields.texts("revoked", &fields, limit: mostEntries) ?? []).enumerated() {
      guard let entry = Revocation(text) else {
        throw Failure(
          .invalidArgument, field: "revoked[\(index)]", "must be a key in Base64, a SHA-256, an id or id@version")
      }
      revoked.insert(entry)
    }
    return revoked
  }

  private static func inProcess(_ fields: inout JSONFields) throws(Failure) -> Set<String> {
    let ids = try ManifestFields.texts("in_process", &fields, limit: mostEntries) ?? []
    for (index, id) in ids.enumerated() where !ManifestFields.isPluginID(id) {
      throw Failure(.invalidArgument, field: "in_process[\(index)]", "must be the id of a plugin")
    }
    return Set(ids)
  }

  private static func path(_ key: String, _ fields: inout JSONFields) throws(Failure) -> String? {
    guard let path = try fields.text(key, limit: FilePath.longest) else { return nil }
    guard FilePath.isAbsolute(path), path != "/" else {
      throw fields.wrong(key, "must be the absolute path of a file, without . or ..")
    }
    return path
  }
}

extension PluginPolicy.Revocation {
  /// Reads what the policy says: the forms cannot be taken for one another.
  init?(_ text: String) {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    if let digest = Digest(hex: text) {
      self = .digest(digest)
    } else if ManifestFields.isPluginID(text) {
      self = .plugin(text)
    } else if parts.count == 2, ManifestFields.isPluginID(parts[0]), SemanticVersion(parts[1]) != nil {
      self = .version(id: parts[0], version: parts[1])
    } else if let key = PublicKey(base64: text) {
      self = .key(key)
    } else {
      return nil
    }
  }
}
