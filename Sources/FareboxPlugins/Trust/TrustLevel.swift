/// How much is known of where a plugin comes from, from the least to the most.
package enum TrustLevel: String, CaseIterable, Sendable {
  /// Nothing but that it lies in an allowed directory and is what its manifest says.
  case unsigned
  /// The policy has the digest of its manifest.
  case pinned
  /// Its manifest is signed by a key of the policy.
  case signed
  /// It is compiled into the host.
  case builtIn = "built-in"

  private var rank: Int {
    switch self {
    case .unsigned: 0
    case .pinned: 1
    case .signed: 2
    case .builtIn: 3
    }
  }
}

extension TrustLevel: Comparable {
  package static func < (left: TrustLevel, right: TrustLevel) -> Bool {
    left.rank < right.rank
  }
}
