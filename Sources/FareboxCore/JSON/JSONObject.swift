/// The members of a JSON object, in their order, each key once.
///
/// Small objects are searched; from seventeen members on an index makes lookup and append constant in time. Equality
/// ignores the order, as JSON does.
public struct JSONObject: Sendable {
  /// One key with its value.
  public struct Member: Sendable, Equatable {
    /// The key.
    public let key: String
    /// The value.
    public var value: JSON

    /// A key with its value.
    public init(key: String, value: JSON) {
      self.key = key
      self.value = value
    }
  }

  /// The members in the order in which they were read or appended.
  public private(set) var members: [Member] = []
  private var index: [String: Int] = [:]

  private static let searched = 16

  /// An object without members.
  public init() {}

  /// An object of these members; of two with the same key the later value wins, in the earlier place.
  public init(_ members: [(String, JSON)]) {
    self.members.reserveCapacity(members.count)
    for (key, value) in members {
      append(key, value)
    }
  }

  /// The number of members.
  public var count: Int { members.count }

  /// Whether there is no member.
  public var isEmpty: Bool { members.isEmpty }

  /// The keys in the order of the members.
  public var keys: [String] { members.map(\.key) }

  /// The value of a key, or nil when there is no such member; setting nil to an absent key does nothing.
  public subscript(key: String) -> JSON? {
    get {
      position(of: key).map { members[$0].value }
    }
    set {
      if let newValue {
        append(key, newValue)
      } else {
        remove(key)
      }
    }
  }

  /// Adds a member at the end, or replaces the value of a key that is there.
  public mutating func append(_ key: String, _ value: JSON) {
    if let position = position(of: key) {
      members[position].value = value
    } else {
      add(key, value)
    }
  }

  /// Adds a member that must be new; returns false, and changes nothing, when the key is there.
  mutating func insert(_ key: String, _ value: JSON) -> Bool {
    guard position(of: key) == nil else { return false }
    add(key, value)
    return true
  }

  private func position(of key: String) -> Int? {
    guard members.count > JSONObject.searched else {
      return members.firstIndex { $0.key == key }
    }
    return index[key]
  }

  private mutating func add(_ key: String, _ value: JSON) {
    members.append(Member(key: key, value: value))
    if members.count == JSONObject.searched + 1 {
      rebuildIndex()
    } else if members.count > JSONObject.searched {
      index[key] = members.count - 1
    }
  }

  private mutating func remove(_ key: String) {
    guard let position = position(of: key) else { return }
    members.remove(at: position)
    rebuildIndex()
  }

  private mutating func rebuildIndex() {
    index.removeAll()
    guard members.count > JSONObject.searched else { return }
    for (position, member) in members.enumerated() {
      index[member.key] = position
    }
  }
}

extension JSONObject: Equatable {
  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.count == right.count && left.members.allSatisfy { right[$0.key] == $0.value }
  }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, JSON)...) {
    self.init(elements)
  }
}
