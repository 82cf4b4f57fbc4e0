import FareboxCore
import FoundationEssentials
import Testing

/// The vectors that every language runs.
enum Vectors {
  /// The whole of a vector file.
  static func load(_ name: String) throws -> JSON {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: tests.appending(path: "Vectors").appending(path: name))
    return try JSON.parse([UInt8](data))
  }

  /// The cases of a vector file.
  static func cases(_ name: String) throws -> [JSONObject] {
    let file = try #require(load(name).object)
    return try #require(file["cases"]?.array).compactMap(\.object)
  }
}

extension JSONObject {
  /// The text of a member that must be there.
  func text(_ key: String) throws -> String {
    try #require(self[key]?.string, "no text \(key)")
  }

  /// The name of the status that a case expects, or nil when it expects a value.
  var expectedError: String? {
    self["expect"]?.object?["error"]?.string
  }
}

/// Runs something and gives its result, or the name of the status that it failed with.
func outcome<Value>(_ body: () throws -> Value) -> (value: Value?, error: String?) {
  do {
    return (try body(), nil)
  } catch let failure as Failure {
    return (nil, failure.status.entry?.name ?? "?")
  } catch {
    return (nil, "\(error)")
  }
}

/// The status and field of a failure.
func failure<Value>(_ body: () throws -> Value) -> (status: Status, field: String) {
  do {
    _ = try body()
    return (.ok, "")
  } catch let failure as Failure {
    return (failure.status, failure.field)
  } catch {
    return (.internal, "\(error)")
  }
}

/// A price from JSON text with the built-in assets.
func price(_ text: String) throws -> Price {
  try Price.parse(JSON.parse(text), asset: { Asset.builtIn($0) })
}
