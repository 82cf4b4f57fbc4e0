internal import FareboxCore

/// Standard Webhooks 1.0.0: `webhook-signature` lists `v1,<base64>` (HMAC-SHA256) and `v1a,<base64>` (Ed25519),
/// separated by spaces, over `<id>.<timestamp>.<body>`.
///
/// The timestamp must be written as a plain number. Entries of other versions, and unreadable entries beside a readable
/// one, are passed over. A signature is readable if it is the base64 of as many bytes as its version has.
extension WebhookRequest {
  func verifyStandard(_ age: WebhookAge) throws(Failure) {
    var secret = StandardSecret()
    defer { secret.erase() }
    var kinds = SecretKinds()
    guard unsafe !secrets.isEmpty else { throw .noWebhookSecret }
    for index in unsafe secrets.indices {
      try unsafe secret.read(secrets[index].span, field: webhookSecretField(index))
      try kinds.insert(secret.kind, index)
    }
    let seconds = try unsafe readStandardHeaders(age)
    let header = unsafe signature.span
    var list = try StandardHeader(header)
    for index in unsafe secrets.indices {
      // The secret that was read last is still here; of several, each is read again in its turn.
      if unsafe secrets.count > 1 { try unsafe secret.read(secrets[index].span, field: webhookSecretField(index)) }
      if unsafe matches(secret, seconds, header, &list) { return }
    }
    throw list.refusal(kinds)
  }

  private func readStandardHeaders(_ age: WebhookAge) throws(Failure) -> Int64 {
    guard unsafe !signature.isEmpty else { throw .webhookSignatureMissing }
    guard unsafe !id.isEmpty else {
      throw Failure(.signatureMalformed, field: "id", "The webhook has no webhook-id header.")
    }
    guard unsafe !timestamp.isEmpty else {
      throw Failure(.signatureMalformed, field: "timestamp", "The webhook has no webhook-timestamp header.")
    }
    guard let seconds = unsafe UnixSeconds.readCanonical(timestamp.span) else {
      throw Failure(.signatureMalformed, field: "timestamp", "The timestamp is not a whole number of seconds.")
    }
    try age.checkNotTooOld(seconds)
    try age.checkNotTooNew(seconds)
    return seconds
  }

  private func matches(
    _ secret: borrowing StandardSecret, _ seconds: Int64, _ header: Span<UInt8>, _ list: inout StandardHeader
  ) -> Bool {
    switch secret.kind {
    case .shared:
      guard list.hasShared else { return false }
      let expected = secret.withBytes { key in
        unsafe StandardHeader.authenticate(id: id.span, seconds: seconds, body: body.span, key: key)
      }
      let bytes = expected.bytes
      return list.contains(.v1, header) { constantTimeEqual(bytes.span, $0) }
    case .publicKey:
      guard list.hasKeyed else { return false }
      let message = unsafe StandardHeader.message(id: id.span, seconds: seconds, body: body.span)
      return secret.withBytes { key in
        list.contains(.v1a, header) { Ed25519.verify($0, of: message.span, publicKey: key) }
      }
    case .privateKey:
      return false
    }
  }
}

/// Which kinds of secret a webhook may be signed with.
struct SecretKinds {
  fileprivate var shared = false
  fileprivate var keyed = false

  mutating func insert(_ kind: StandardSecret.Kind, _ index: Int) throws(Failure) {
    switch kind {
    case .shared: shared = true
    case .publicKey: keyed = true
    case .privateKey:
      throw Failure(
        .secretInvalid, field: webhookSecretField(index), "A private key signs webhooks; verify with the public one.")
    }
  }
}

/// The entries of a `webhook-signature` header.
struct StandardHeader {
  private(set) var hasShared = false
  private(set) var hasKeyed = false
  private var entries = SignatureList()
  private var hasUnreadableEntry = false
  private var readShared = false
  private var readKeyed = false

  /// Splits the header.
  ///
  /// - Throws: `tooLong` for more signatures than one webhook is tried with.
  init(_ header: Span<UInt8>) throws(Failure) {
    var start = 0
    while start < header.count {
      let end = header.firstIndex(of: UInt8(ascii: " "), from: start)
      try add(header, start, end)
      start = end + 1
    }
  }

  private mutating func add(_ header: Span<UInt8>, _ start: Int, _ end: Int) throws(Failure) {
    if end - start >= 3, header[start] == UInt8(ascii: "v"), header[start + 1] == UInt8(ascii: "1") {
      if header[start + 2] == UInt8(ascii: ",") {
        hasShared = true
        return try entries.append(.v1, start + 3, end)
      }
      if end - start >= 4, header[start + 2] == UInt8(ascii: "a"), header[start + 3] == UInt8(ascii: ",") {
        hasKeyed = true
        return try entries.append(.v1a, start + 4, end)
      }
    }
    // Another version, or no version at all; two spaces in a row are nothing.
    if end > start, header.extracting(start..<end).firstIndex(of: UInt8(ascii: ","), from: 0) == end - start {
      hasUnreadableEntry = true
    }
  }

  /// Whether an entry of a version decodes to a signature that `matches` accepts.
  mutating func contains(
    _ version: SignatureList.Version, _ header: Span<UInt8>, _ matches: (Span<UInt8>) -> Bool
  ) -> Bool {
    var storage = InlineArray<80, UInt8>(repeating: 0)
    for index in 0..<entries.count {
      let entry = entries[index]
      guard entry.version == version else { continue }
      let text = header.extracting(entry.start..<entry.end)
      let wanted = version == .v1 ? Digest.byteCount : Ed25519.signatureSize
      var output = storage.mutableSpan
      // Signatures are padded, unlike secrets, which may come without.
      guard text.count & 3 == 0, Base64.decode(text, into: &output) == wanted else { continue }
      if version == .v1 { readShared = true } else { readKeyed = true }
      if matches(storage.span.extracting(..<wanted)) { return true }
    }
    return false
  }

  /// Why no entry matched.
  func refusal(_ kinds: SecretKinds) -> Failure {
    if (kinds.shared && readShared) || (kinds.keyed && readKeyed) { return .webhookSignatureMismatch }
    guard hasUnreadableEntry || (kinds.shared && hasShared) || (kinds.keyed && hasKeyed) else {
      return Failure(
        .signatureMissing, field: "signature", "The header has no signature of a version that the secrets verify.")
    }
    return Failure(.signatureMalformed, field: "signature", "The header has no signature that can be read.")
  }

  static func authenticate(id: Span<UInt8>, seconds: Int64, body: Span<UInt8>, key: Span<UInt8>) -> Digest {
    let key = HMACKey(key)
    var hasher = key.begin()
    hasher.update(id)
    UnixSeconds.hash(seconds, afterStop: true, into: &hasher)
    hasher.update(body)
    return key.finish(hasher)
  }

  /// The signed bytes in one piece, which Ed25519 needs.
  static func message(id: Span<UInt8>, seconds: Int64, body: Span<UInt8>) -> [UInt8] {
    var message: [UInt8] = []
    message.reserveCapacity(id.count + body.count + 22)
    unsafe id.withUnsafeBufferPointer { unsafe message.append(contentsOf: $0) }
    message.append(contentsOf: ".\(seconds).".utf8)
    unsafe body.withUnsafeBufferPointer { unsafe message.append(contentsOf: $0) }
    return message
  }
}
