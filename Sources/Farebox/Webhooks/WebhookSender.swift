public import FareboxCore

/// Whose ids a replay guard compares, so that two senders may use one id.
///
/// A sender has a name, or is known by its secrets: all secrets that a webhook is tried with are one sender's, so that
/// the old and the new one share a guard while a secret is rotated.
public struct WebhookSender: Sendable {
  /// A number for the name, or for each secret; empty where senders are not told apart.
  let prints: [UInt64]

  /// Everyone who sends by a scheme.
  public static let anyone = WebhookSender(prints: [])

  private init(prints: [UInt64]) {
    self.prints = prints
  }

  /// The sender of a name, or of these secrets where the name is empty.
  ///
  /// - Throws: `tooLong`, `invalidUTF8`.
  @unsafe
  public init(
    name: BorrowedText, secrets: UnsafeBufferPointer<UnsafeBufferPointer<UInt8>>
  ) throws(Failure) {
    guard name.count <= Limits.webhookSender else {
      throw Failure(.tooLong, field: "sender", "A sender's name has at most \(Limits.webhookSender) bytes.")
    }
    guard name.isText || name.isEmpty else {
      throw Failure(.invalidUTF8, field: "sender", "It is not UTF-8 text without NUL.")
    }
    if name.isEmpty {
      prints = secrets.indices.map { unsafe WebhookSender.print(of: secrets[$0]) }
    } else {
      prints = unsafe [WebhookSender.print("name", name.bytes)]
    }
  }

  /// The sender of a name, or of these secrets where it has none.
  ///
  /// - Throws: `tooLong`, `invalidUTF8`.
  public init(name: String?, secrets: [String]) throws(Failure) {
    if let name, !name.isEmpty {
      self = try name.withBorrowedText { name throws(Failure) in
        try unsafe WebhookSender(name: name, secrets: UnsafeBufferPointer(start: nil, count: 0))
      }
    } else {
      prints = secrets.map { secret in
        var secret = secret
        return secret.withUTF8 { unsafe WebhookSender.print(of: $0) }
      }
    }
  }

  private static func print(of secret: UnsafeBufferPointer<UInt8>) -> UInt64 {
    // The prefix may be left out of a secret that is the same without it.
    let prefix = Array("whsec_".utf8)
    let start = unsafe secret.starts(with: prefix) ? prefix.count : 0
    return unsafe print("secret", UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(secret)[start...]))
  }

  private static func print(_ kind: String, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hasher = SHA256Hasher()
    hasher.update(Array("farebox webhook \(kind)\n".utf8).span)
    unsafe hasher.update(bytes)
    return hasher.finish().word0
  }
}

extension Engine {
  /// Refuses a webhook whose id the ledger has seen of this sender, and remembers a new one.
  ///
  /// - Throws: `webhookReplayed`; `invalidArgument` without an id.
  public func guardAgainstReplay(
    _ scheme: WebhookScheme, id: BorrowedText, of sender: WebhookSender = .anyone
  ) throws(Failure) {
    guard !id.isEmpty, id.count <= Limits.key else {
      throw Failure(.invalidArgument, field: "id", "A replay guard needs an id of at most \(Limits.key) bytes.")
    }
    try perform(options.durability) { ledger, context throws(Rejection) in
      try ledger.guardAgainstReplay(UInt32(scheme.rawValue), id: id, of: sender, context)
    }
  }
}

extension Ledger {
  fileprivate mutating func guardAgainstReplay(
    _ scheme: UInt32, id: BorrowedText, of sender: WebhookSender, _ context: TurnContext
  ) throws(Rejection) {
    var scopes: [UInt64] = []
    for print in sender.prints {
      let scope = webhookScope(print, scheme)
      if !scopes.contains(scope) { scopes.append(scope) }
    }
    // A record without a sender stands for all.
    for scope in scopes + [0] where try hasSeen(id, scheme, scope, context) {
      throw .failed(Failure(.webhookReplayed, field: "id", "The ledger has seen this webhook before."))
    }

    // After this point the webhook must be remembered.
    for scope in scopes.isEmpty ? [0] : scopes {
      var record = Record(.webhook, time: context.time)
      record.account = LedgerState.platform
      record.detail = scheme
      record.extra = Int64(bitPattern: scope)
      log.beginRecord()
      log.addField(.key, id)
      _ = try append(&record, key: KeyHash(id, webhookSecret(scheme, scope)))
    }
  }

  private func hasSeen(
    _ id: BorrowedText, _ scheme: UInt32, _ scope: UInt64, _ context: TurnContext
  ) throws(Rejection) -> Bool {
    do throws(Failure) {
      guard let seen = try keys.find(KeyHash(id, webhookSecret(scheme, scope)), in: context.store) else { return false }
      return try withRecord(seen, in: context.store) { record, heap throws(Failure) in
        heap[.key].equals(id) && record.extra == Int64(bitPattern: scope)
      } == true
    } catch {
      throw .failed(error)
    }
  }

  /// The number of a sender in this ledger; never 0, which stands for all.
  private func webhookScope(_ print: UInt64, _ scheme: UInt32) -> UInt64 {
    let hash = unsafe withUnsafeBytes(of: print.bigEndian) { bytes in
      unsafe sipHash128(bytes, key: webhookSecret(scheme, 0))
    }
    return max(1, hash.high)
  }
}
