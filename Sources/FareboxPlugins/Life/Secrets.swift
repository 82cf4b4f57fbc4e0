internal import FareboxCore
internal import Glibc

/// Secrets of a configuration: given by reference, so that they stand in no journal, log or answer.
enum Secrets {
  /// A configuration with `{"env": "NAME"}`, in the place of a member that the schema marks as secret, replaced by the
  /// value of that variable of the host's environment.
  ///
  /// - Throws: `invalidArgument`, naming the member, where the environment has no such variable.
  static func resolve(_ configuration: JSON, _ schema: JSONSchema?) throws(Failure) -> JSON {
    guard let schema else { return configuration }
    return try resolve(configuration, hidden: schema.hidingSecrets(in: configuration), path: "config")
  }

  /// What is secret is found by comparing with a copy in which it is hidden.
  private static func resolve(_ value: JSON, hidden: JSON, path: String) throws(Failure) -> JSON {
    switch (value, hidden) {
    case (.object(let object), .object(let hiddenObject)):
      var resolved = JSONObject()
      for member in object.members {
        resolved.append(
          member.key,
          try resolve(member.value, hidden: hiddenObject[member.key] ?? .null, path: "\(path).\(member.key)"))
      }
      return .object(resolved)
    case (.object(let object), _):
      guard object.count == 1, let name = object["env"]?.string else { return value }
      guard !name.utf8.contains(0), let text = unsafe getenv(name) else {
        throw Failure(.invalidArgument, field: path, "The environment has no variable '\(name.prefix(100))'.")
      }
      guard let secret = unsafe String(validatingCString: text) else {
        throw Failure(.invalidArgument, field: path, "The variable '\(name.prefix(100))' is not UTF-8.")
      }
      return .string(secret)
    case (.array(let elements), .array(let hiddenElements)):
      var resolved: [JSON] = []
      for (index, element) in elements.enumerated() {
        resolved.append(try resolve(element, hidden: hiddenElements[index], path: "\(path)[\(index)]"))
      }
      return .array(resolved)
    default: return value
    }
  }
}
