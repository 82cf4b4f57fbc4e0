/// Where a member stands in a JSON text, found by the path that failures name it with.
public struct JSONPlace: Sendable, Equatable {
  /// The path of what was found: the one looked for, or that of the nearest value around it.
  public let path: String
  /// The line of the member's key, or of the element, from 1.
  public let line: Int
  /// The column in Unicode scalars, from 1.
  public let column: Int
  /// The bytes of the value.
  public let value: Range<Int>

  /// Finds `tools[0].price` in a text, or where that is absent the nearest value around it: `tools[0]`.
  ///
  /// Paths are written as `JSONFields` writes them. Where a key has a dot in it, the longest key that fits is taken.
  /// - Returns: nil when the text is not JSON.
  public static func find(_ path: String, in bytes: [UInt8]) -> JSONPlace? {
    var locator = JSONLocator(bytes, target: path)
    return try? locator.find()
  }
}

/// Descends into a text along one path; what lies beside the path is read and dropped.
private struct JSONLocator {
  private var parser: JSONParser
  private let target: String

  private struct Spot {
    var path: String
    /// The byte of the key, or of the value where there is no key.
    var start: Int
    var value: Int
  }

  init(_ bytes: [UInt8], target: String) {
    parser = JSONParser(bytes)
    self.target = target
  }

  mutating func find() throws(Failure) -> JSONPlace {
    parser.skipSpace()
    var spot = Spot(path: "", start: parser.position, value: parser.position)
    while spot.path != target, let next = try child(of: spot) { spot = next }
    parser.position = spot.value
    _ = try parser.value()
    let (line, column) = parser.lineAndColumn(of: spot.start)
    return JSONPlace(path: spot.path, line: line, column: column, value: spot.value..<parser.position)
  }

  /// The member or element that lies on the way to the target, if there is one.
  private mutating func child(of spot: Spot) throws(Failure) -> Spot? {
    parser.position = spot.value
    let isObject = parser.peek() == UInt8(ascii: "{")
    guard isObject || parser.peek() == UInt8(ascii: "[") else { return nil }
    parser.position += 1
    var found: Spot?
    var index = 0
    while true {
      parser.skipSpace()
      guard let byte = parser.peek(), byte != UInt8(ascii: "}"), byte != UInt8(ascii: "]") else { return found }
      let start = parser.position
      var path = "\(spot.path)[\(index)]"
      if isObject {
        let key = try parser.string()
        path = spot.path.isEmpty ? key : "\(spot.path).\(key)"
        parser.skipSpace()
        guard parser.take(UInt8(ascii: ":")) else { throw parser.failure("a colon must follow the key") }
        parser.skipSpace()
      }
      if leads(path), path.utf8.count > found?.path.utf8.count ?? -1 {
        found = Spot(path: path, start: start, value: parser.position)
      }
      _ = try parser.value()
      parser.skipSpace()
      _ = parser.take(UInt8(ascii: ","))
      index += 1
    }
  }

  private func leads(_ path: String) -> Bool {
    guard target.utf8.starts(with: path.utf8) else { return false }
    let rest = target.utf8.dropFirst(path.utf8.count).first
    return rest == nil || rest == UInt8(ascii: ".") || rest == UInt8(ascii: "[")
  }
}
