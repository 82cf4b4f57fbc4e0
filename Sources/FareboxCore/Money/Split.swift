/// How an amount is divided among accounts: exact shares that make up the whole.
///
/// Each share is rounded down; the units left over go one by one to the recipients from the first on, passing over
/// those whose share is zero. So 100 in thirds is 34, 33, 33. A negative amount is divided as its mirror image, which
/// makes the refund of a charge give back exactly what each recipient got.
public struct Split: Hashable, Sendable {
  /// One recipient and its share.
  public struct Part: Hashable, Sendable {
    /// The account's name; the ledger checks it.
    public let account: String
    /// The share of the whole.
    public let ratio: Ratio

    /// A recipient with its share.
    public init(account: String, ratio: Ratio) {
      self.account = account
      self.ratio = ratio
    }
  }

  /// The recipients in order, the remaining one with what the others leave.
  public let parts: [Part]
  /// The index of the recipient that was declared as `remaining`, or nil.
  public let remaining: Int?

  /// A split whose shares add up to one, or leave the rest to one recipient.
  ///
  /// - Parameters:
  ///   - parts: The recipients; the ratio of the remaining one is not read.
  ///   - remaining: The index of the recipient of the rest.
  /// - Throws: `invalidArgument` for no recipient, a wrong index or a wrong sum; `tooLong` beyond `Limits.recipients`;
  ///   `unrepresentable` when the sum needs a fraction beyond 64 bits.
  public init(_ parts: [Part], remaining: Int? = nil, field: String = "") throws(Failure) {
    guard !parts.isEmpty else { throw Failure(.invalidArgument, field: field, "a split needs a recipient") }
    guard parts.count <= Limits.recipients else {
      throw Failure(.tooLong, field: field, "a split has at most \(Limits.recipients) recipients")
    }
    if let remaining, !parts.indices.contains(remaining) {
      throw Failure(.invalidArgument, field: field, "the remaining recipient is not one of the split's")
    }
    let rest = try Split.rest(of: parts, without: remaining, field)
    var parts = parts
    if let remaining {
      parts[remaining] = Part(account: parts[remaining].account, ratio: rest)
    } else if rest != .zero {
      throw Failure(.invalidArgument, field: field, "the shares add up to less than one")
    }
    self.parts = parts
    self.remaining = remaining
  }

  /// All of it to one account.
  public init(all account: String) {
    parts = [Part(account: account, ratio: .one)]
    remaining = nil
  }

  private static func rest(of parts: [Part], without remaining: Int?, _ field: String) throws(Failure) -> Ratio {
    var sum = Ratio.zero
    for (index, part) in parts.enumerated() where index != remaining {
      guard let next = sum.adding(part.ratio) else {
        throw Failure(.unrepresentable, field: field, "the sum of the shares needs more than 64 bits")
      }
      sum = next
    }
    guard let rest = sum.complement else {
      throw Failure(.invalidArgument, field: field, "the shares add up to more than one")
    }
    return rest
  }
}

extension Split {
  /// The share of each recipient; together they are the amount.
  public func shares(of units: Int64) -> [Int64] {
    var shares: [Int64] = []
    shares.reserveCapacity(parts.count)
    forEachShare(of: units) { _, share in shares.append(share) }
    return shares
  }

  /// The share of one recipient; 0 for an index that the split does not have. Linear in the recipients.
  public func share(_ index: Int, of units: Int64) -> Int64 {
    var wanted: Int64 = 0
    forEachShare(of: units) { position, share in
      if position == index { wanted = share }
    }
    return wanted
  }

  /// Gives each recipient's index and share, in order, without allocating.
  public func forEachShare(of units: Int64, _ body: (Int, Int64) -> Void) {
    let magnitude = units.magnitude
    var left = magnitude
    for part in parts { left &-= part.ratio.floor(of: magnitude) }
    for index in parts.indices {
      let ratio = parts[index].ratio
      var share = ratio.floor(of: magnitude)
      if left > 0, ratio.numerator > 0 {
        share &+= 1
        left &-= 1
      }
      body(index, units < 0 ? Int64(truncatingIfNeeded: 0 &- share) : Int64(truncatingIfNeeded: share))
    }
  }
}
