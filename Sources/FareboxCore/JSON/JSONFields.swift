/// Reads the members of one object by name and refuses those that nobody asked for.
///
/// Each failure names the member as a path, such as `components[1].tiers[0].rate`.
public struct JSONFields {
  /// The path of the object itself, or empty at the root.
  public let path: String
  private let object: JSONObject
  private var known: Set<String> = []

  /// - Throws: `invalidArgument` when the value is not an object.
  public init(_ json: JSON, path: String = "") throws(Failure) {
    guard let object = json.object else {
      throw Failure(.invalidArgument, field: path, "must be an object")
    }
    self.object = object
    self.path = path
  }

  /// The path of a member of this object.
  public func path(_ key: String) -> String {
    path.isEmpty ? key : "\(path).\(key)"
  }

  /// The value of a member, or nil when it is absent or null.
  public mutating func optional(_ key: String) -> JSON? {
    known.insert(key)
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// The value of a member that must be there.
  /// - Throws: `missingField`.
  public mutating func required(_ key: String) throws(Failure) -> JSON {
    guard let value = optional(key) else {
      throw Failure(.missingField, field: path(key), "is missing")
    }
    return value
  }

  /// Refuses the members that were not asked for.
  /// - Throws: `unknownField`, naming the first of them.
  public func finish() throws(Failure) {
    for member in object.members where !known.contains(member.key) {
      throw Failure(.unknownField, field: path(member.key), "is not a field that is known here")
    }
  }
}

extension JSONFields {
  /// The text of a member, at most `limit` bytes long, or nil when it is absent.
  public mutating func text(_ key: String, limit: Int) throws(Failure) -> String? {
    guard let value = optional(key) else { return nil }
    guard let text = value.string else { throw wrong(key, "must be a string") }
    guard text.utf8.count <= limit else {
      throw Failure(.tooLong, field: path(key), "is longer than \(limit) bytes")
    }
    return text
  }

  /// The flag of a member, or nil when it is absent.
  public mutating func flag(_ key: String) throws(Failure) -> Bool? {
    guard let value = optional(key) else { return nil }
    guard let flag = value.bool else { throw wrong(key, "must be true or false") }
    return flag
  }

  /// The integer of a member, or nil when it is absent.
  public mutating func integer(_ key: String) throws(Failure) -> Int64? {
    guard let value = optional(key) else { return nil }
    guard let integer = value.int64 else { throw wrong(key, "must be an integer of at most 64 bits") }
    return integer
  }

  /// The elements of a member, at most `limit`, or nil when it is absent.
  public mutating func list(_ key: String, limit: Int) throws(Failure) -> [JSON]? {
    guard let value = optional(key) else { return nil }
    guard let elements = value.array else { throw wrong(key, "must be an array") }
    guard elements.count <= limit else {
      throw Failure(.tooLong, field: path(key), "has more than \(limit) elements")
    }
    return elements
  }

  /// An `invalidArgument` that names a member.
  public func wrong(_ key: String, _ what: String) -> Failure {
    Failure(.invalidArgument, field: path(key), what)
  }
}
