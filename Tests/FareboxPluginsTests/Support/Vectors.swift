import FareboxCore
import FoundationEssentials
import Testing

/// Files of the repository that tests read.
enum Vectors {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The bytes of a file, by its path in the repository.
  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: root.appending(path: path)))
  }

  /// The cases of a vector file.
  static func cases(_ name: String) throws -> [JSONObject] {
    let file = try JSON.parse(bytes("Tests/Vectors/\(name)"))
    return try #require(file.object?["cases"]?.array).compactMap(\.object)
  }
}

extension JSONObject {
  /// The text of a member that must be there.
  func text(_ key: String) throws -> String {
    try #require(self[key]?.string, "no text \(key)")
  }
}

/// What something fails with, or nil.
func failure<Value: ~Copyable>(_ body: () throws(Failure) -> Value) -> Failure? {
  do throws(Failure) {
    _ = try body()
    return nil
  } catch {
    return error
  }
}
