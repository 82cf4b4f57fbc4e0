/// Bytes that a caller lends for the length of a call: UTF-8 text, or an idempotency key.
///
/// The pointer must stay valid until the call that it was given to returns. Callers of the engine block until their
/// turn is over, so another thread may read it on their behalf during that time.
@safe
public struct BorrowedText: @unchecked Sendable {
  // Sound because the bytes are only read, and only while their owner waits; it goes when Span can be stored in a
  // queue.
  @usableFromInline let base: UnsafePointer<UInt8>?
  public let count: Int

  public static let empty = unsafe BorrowedText(nil, count: 0)

  @unsafe
  @inlinable
  public init(_ base: UnsafePointer<UInt8>?, count: Int) {
    unsafe self.base = base
    self.count = unsafe base == nil ? 0 : count
  }

  @inlinable public var isEmpty: Bool { count == 0 }

  @inlinable public var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: base, count: count)
  }

  /// The text, or nil where it is not valid UTF-8.
  public var string: String? {
    guard let base = unsafe base, count > 0 else { return "" }
    // Not `String(validating:as:)`, which looks at one character after the other.
    let bytes = unsafe UnsafeBufferPointer(start: base, count: count)
    guard let text = try? unsafe UTF8Span(validating: bytes.span) else { return nil }
    return String(copying: text)
  }

  /// Whether the bytes are valid UTF-8 without a NUL; pure ASCII is decided eight bytes at a time.
  package var isText: Bool {
    let bytes = unsafe self.bytes
    var index = 0
    while index + 8 <= count {
      let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      // High bit of a byte set: not ASCII. A zero byte borrows into its own high bit.
      if (word | (word &- 0x0101_0101_0101_0101)) & 0x8080_8080_8080_8080 != 0 { return isTextSlowly }
      index += 8
    }
    while index < count {
      let byte = unsafe bytes[index]
      if byte == 0 || byte >= 0x80 { return isTextSlowly }
      index += 1
    }
    return true
  }

  private var isTextSlowly: Bool {
    unsafe !bytes.contains(0) && string != nil
  }
}

extension String {
  /// Lends the string's UTF-8 to `body`.
  package func withBorrowedText<Result, Problem: Error>(
    _ body: (BorrowedText) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    var copy = self
    let outcome: Swift.Result<Result, Problem> = copy.withUTF8 { utf8 in
      do throws(Problem) {
        return .success(try body(unsafe BorrowedText(utf8.baseAddress, count: utf8.count)))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}
