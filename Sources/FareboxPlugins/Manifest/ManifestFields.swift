internal import FareboxCore

/// Reading objects of manifests and policies, which have no nulls: what is not meant is left out.
enum ManifestFields {
  /// - Throws: `invalidArgument` for what is not an object, and for a member that is null.
  static func read(_ json: JSON, path: String = "") throws(Failure) -> JSONFields {
    let fields = try JSONFields(json, path: path)
    for member in json.object?.members ?? [] where member.value.isNull {
      throw fields.wrong(member.key, "must not be null; leave it out")
    }
    return fields
  }

  /// The texts of a list, each once, or nil when it is absent.
  static func texts(
    _ key: String, _ fields: inout JSONFields, limit: Int, longest: Int = FilePath.longest
  ) throws(Failure) -> [String]? {
    guard let list = try fields.list(key, limit: limit) else { return nil }
    var texts: [String] = []
    var known: Set<String> = []
    for (index, element) in list.enumerated() {
      let path = "\(fields.path(key))[\(index)]"
      guard let text = element.string, !text.isEmpty else {
        throw Failure(.invalidArgument, field: path, "must be a string that is not empty")
      }
      guard text.utf8.count <= longest else {
        throw Failure(.tooLong, field: path, "is longer than \(longest) bytes")
      }
      guard known.insert(text).inserted else { throw Failure(.invalidArgument, field: path, "is in the list twice") }
      texts.append(text)
    }
    return texts
  }

  /// The absolute paths of a list, or nil when it is absent.
  static func paths(_ key: String, _ fields: inout JSONFields, limit: Int) throws(Failure) -> [String]? {
    let paths = try texts(key, &fields, limit: limit)
    for (index, path) in (paths ?? []).enumerated() where !FilePath.isAbsolute(path) {
      throw Failure(
        .invalidArgument, field: "\(fields.path(key))[\(index)]",
        "must be an absolute path without . or .. and without a slash at its end")
    }
    return paths
  }

  /// A whole number within a range, or nil when it is absent.
  static func integer(
    _ key: String, _ fields: inout JSONFields, in range: ClosedRange<Int64>
  ) throws(Failure) -> Int64? {
    guard let number = try fields.integer(key) else { return nil }
    guard range.contains(number) else {
      throw fields.wrong(key, "must be from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The text of a member that must be there and not be empty.
  static func text(_ key: String, _ fields: inout JSONFields, limit: Int) throws(Failure) -> String {
    guard let text = try fields.text(key, limit: limit) else {
      throw Failure(.missingField, field: fields.path(key), "is missing")
    }
    guard !text.isEmpty else { throw fields.wrong(key, "must not be empty") }
    return text
  }

  /// Whether a text is a plugin's id: 2 to 8 labels of lower-case letters, digits and hyphens.
  static func isPluginID(_ text: String) -> Bool {
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= Limits.toolName, (2...8).contains(labels.count) else { return false }
    return labels.allSatisfy { label in
      !label.isEmpty && label.utf8.count <= 63 && label.utf8.first != UInt8(ascii: "-")
        && label.utf8.last != UInt8(ascii: "-")
        && label.utf8.allSatisfy { byte in
          (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte &- UInt8(ascii: "0") < 10
            || byte == UInt8(ascii: "-")
        }
    }
  }
}
