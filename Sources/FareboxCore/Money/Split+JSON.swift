extension Split {
  /// The account that keeps what a revenue share leaves.
  public static let platform = "platform"

  /// The owner's share, and the rest to the platform.
  /// - Throws: `invalidArgument` for a share above one.
  public init(owner: String, share: Ratio, field: String = "") throws(Failure) {
    guard share.complement != nil else {
      throw Failure(.invalidArgument, field: field, "a revenue share is at most one")
    }
    guard share != .one, owner != Split.platform else {
      self.init(all: owner)
      return
    }
    try self.init(
      [Part(account: owner, ratio: share), Part(account: Split.platform, ratio: .zero)], remaining: 1, field: field)
  }

  /// Reads `[{"account": "user:ana", "share": "0.7"}, {"account": "platform", "share": "remaining"}]`.
  /// - Throws: the failures of the split's initialiser and of `Ratio.parse`, with the path.
  public static func parse(_ json: JSON, path: String) throws(Failure) -> Split {
    guard let list = json.array else { throw Failure(.invalidArgument, field: path, "must be an array of shares") }
    guard list.count <= Limits.recipients else {
      throw Failure(.tooLong, field: path, "a split has at most \(Limits.recipients) recipients")
    }
    var parts: [Part] = []
    var remaining: Int?
    for (index, element) in list.enumerated() {
      var fields = try JSONFields(element, path: "\(path)[\(index)]")
      guard let account = try fields.text("account", limit: Limits.accountName), !account.isEmpty else {
        throw Failure(.missingField, field: fields.path("account"), "is missing")
      }
      guard let share = try fields.required("share").numberText else {
        throw fields.wrong("share", "must be a share such as \"0.70\", or \"remaining\"")
      }
      if share == "remaining" {
        guard remaining == nil else { throw fields.wrong("share", "only one recipient gets what remains") }
        remaining = index
      }
      let ratio = share == "remaining" ? Ratio.zero : try Ratio.parse(share, field: fields.path("share"))
      try fields.finish()
      parts.append(Part(account: account, ratio: ratio))
    }
    return try Split(parts, remaining: remaining, field: path)
  }

  /// The split as JSON that `parse` reads back.
  public var json: JSON {
    .array(
      parts.indices.map { index in
        let share = index == remaining ? "remaining" : parts[index].ratio.description
        return ["account": .string(parts[index].account), "share": .string(share)]
      })
  }
}
