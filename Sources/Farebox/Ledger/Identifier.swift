package import FareboxCore

/// Ids of runs and calls, which come from frameworks and gateways in any length.
///
/// An id of up to 255 bytes is kept as it is. A longer one is folded: it is kept, listed and looked for as `sha256:` and
/// the SHA-256 of its bytes in hexadecimal digits.
package enum Identifier {
  private static let prefix = "sha256:"

  /// The id as the ledger keeps it.
  package static func folded(_ id: String) -> String {
    id.utf8.count > Limits.runID ? id.withBorrowedText { prefix + digest($0).hex } : id
  }

  /// The id as the ledger keeps it; a copy in the arena where that is another text.
  package static func folded(_ id: BorrowedText, in arena: TextArena) -> BorrowedText {
    isLong(id) ? arena.add(prefix + digest(id).hex) : id
  }

  /// Whether the ledger keeps another text.
  package static func isLong(_ id: BorrowedText) -> Bool { id.count > Limits.runID }

  /// Refuses an id that no run or call can have.
  ///
  /// - Throws: `tooLong`, `invalidUTF8`.
  package static func check(_ id: BorrowedText, _ field: String) throws(Failure) {
    guard id.count <= Limits.identifier else {
      throw Failure(.tooLong, field: field, "It is longer than \(Limits.identifier) bytes.")
    }
    guard id.isText else { throw Failure(.invalidUTF8, field: field, "It is not UTF-8 text without NUL.") }
  }

  private static func digest(_ id: BorrowedText) -> Digest {
    var hasher = SHA256Hasher()
    unsafe hasher.update(id.bytes)
    return hasher.finish()
  }
}

extension ChargeRequest {
  /// Whether the id of its run or call is kept as another text.
  var hasLongIdentifier: Bool { Identifier.isLong(run) || Identifier.isLong(call) }

  /// The same request with its ids as the ledger keeps them.
  func folded(in arena: TextArena) throws(Rejection) -> ChargeRequest {
    do throws(Failure) {
      try Identifier.check(run, "run")
      try Identifier.check(call, "call")
    } catch {
      throw .failed(error)
    }
    var request = self
    request.run = Identifier.folded(run, in: arena)
    request.call = Identifier.folded(call, in: arena)
    return request
  }
}
