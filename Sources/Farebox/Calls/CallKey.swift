internal import FareboxCore

/// The idempotency keys of metered calls.
///
/// A derived key is the hash of everything that makes a call the same call, each part preceded by its length so that no
/// two lists of parts are alike: payer, run, call id, the key of the call around it, the tool without its version, the
/// arguments, and the number of the call among those alike. A call that failed may be tried again: each try has a key that
/// follows from the first, so that of all tries one is charged.
struct CallKey {
  /// The key of the first try.
  let base: [UInt8]
  /// Whether the caller gave it.
  let isGiven: Bool

  /// The characters of a derived key.
  static let length = 32

  /// The key of a call, or nil where nothing names it: then each call is one of its own.
  init?(_ request: BeginRequest, tool: String) {
    if !request.key.isEmpty {
      base = unsafe [UInt8](request.key.bytes)
      isGiven = true
      return
    }
    guard !request.call.isEmpty || !request.parent.isEmpty else { return nil }
    var hasher = SHA256Hasher()
    hasher.part(request.payer)
    hasher.part(request.run)
    hasher.part(request.call)
    hasher.part(request.parent)
    tool.withBorrowedText { hasher.part($0) }
    hasher.part(request.arguments)
    unsafe withUnsafeBytes(of: request.ordinal.littleEndian) { unsafe hasher.update($0) }
    base = CallKey.text(hasher.finish())
    isGiven = false
  }

  /// The key of a hold that nothing names, for what is charged after its end.
  init(late hold: UInt64) {
    base = Array("late:\(hold)".utf8)
    isGiven = false
  }

  /// The key whose try of a number had this key.
  init(_ key: BorrowedText, attempt: Int) {
    let bytes = unsafe [UInt8](key.bytes)
    base = attempt == 0 ? bytes : Array(bytes.dropLast("#\(attempt)".utf8.count))
    isGiven = true
  }

  /// The key of a try, counted from 0.
  func attempt(_ number: Int) -> [UInt8] {
    if number == 0 { return base }
    let suffix = Array("#\(number)".utf8)
    guard base.count + suffix.count > Limits.key else { return base + suffix }
    // What does not fit is named by its hash.
    return CallKey.text(SHA256Hasher.hash(base.span)) + suffix
  }

  /// 24 of the 32 bytes of a digest, in an alphabet that needs no escape anywhere.
  private static func text(_ digest: Digest) -> [UInt8] {
    var bytes: [UInt8] = []
    for index in 0..<24 { bytes.append(digest.bytes[index]) }
    return Base64.encode(bytes.span).map { byte in
      switch byte {
      case UInt8(ascii: "+"): UInt8(ascii: "-")
      case UInt8(ascii: "/"): UInt8(ascii: "_")
      default: byte
      }
    }
  }
}

extension SHA256Hasher {
  /// Adds a part and its length.
  fileprivate mutating func part(_ text: BorrowedText) {
    unsafe withUnsafeBytes(of: UInt64(text.count).littleEndian) { unsafe update($0) }
    unsafe update(text.bytes)
  }
}
