public import FareboxCore

/// The form of account names: `kind:name`, with accounts below it after a slash; `org:acme/dept:research`.
///
/// A name is kept and compared as its bytes: nothing of it is changed, so that two forms of one letter are two accounts.
public enum AccountName {
  /// Refuses a name that is not a path of segments, none of which is blank or has a control character.
  static func validate(_ name: String, field: String) throws(Failure) {
    guard !name.isEmpty else { throw Failure(.missingField, field: field, "It must name an account.") }
    guard name.utf8.count <= Limits.accountName else {
      throw Failure(.tooLong, field: field, "An account's name has at most \(Limits.accountName) bytes.")
    }
    let segments = name.utf8.split(separator: slash, omittingEmptySubsequences: false)
    guard segments.count <= Limits.accountDepth else {
      throw Failure(
        .tooLong, field: field,
        "An account's path has at most \(Limits.accountDepth) segments; escape the slashes of an id (escape_account).")
    }
    guard segments.allSatisfy({ segment in segment.contains { $0 != UInt8(ascii: " ") } }) else {
      throw Failure(
        .invalidArgument, field: field,
        "An account's name has an empty or blank segment; a slash separates accounts, and escape_account escapes it.")
    }
    guard !name.unicodeScalars.contains(where: isControl) else {
      throw Failure(
        .invalidArgument, field: field, "An account's name has no control characters; escape_account escapes them.")
    }
  }

  /// The account above, or nil.
  static func parent(of name: String) -> String? {
    guard let place = name.utf8.lastIndex(of: slash) else { return nil }
    return String(name[..<place])
  }

  /// Writes an id of another system so that it can be a segment of an account's name: slashes, percent signs, control
  /// characters and a space at either end as `%2F` and the like, in UTF-8. `unescape` gives the id back.
  ///
  /// - Throws: `missingField` for an empty id, `tooLong` where the result is longer than a name may be.
  public static func escape(_ id: String) throws(Failure) -> String {
    guard !id.isEmpty else { throw Failure(.missingField, field: "id", "An id has at least one character.") }
    guard id.utf8.count <= Limits.accountName else { throw tooLong }
    var name: [UInt8] = []
    let last = id.unicodeScalars.index(before: id.unicodeScalars.endIndex)
    for place in id.unicodeScalars.indices {
      let scalar = id.unicodeScalars[place]
      let isAtEnd = place == id.unicodeScalars.startIndex || place == last
      let isEscaped = scalar == "/" || scalar == "%" || isControl(scalar) || scalar == " " && isAtEnd
      for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
        if isEscaped {
          name += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        } else {
          name.append(byte)
        }
      }
    }
    guard name.count <= Limits.accountName else { throw tooLong }
    return String(decoding: name, as: UTF8.self)
  }

  /// The id that `escape` wrote.
  ///
  /// - Throws: `invalidArgument` for a text that `escape` does not write.
  public static func unescape(_ name: String) throws(Failure) -> String {
    var rest = Array(name.utf8)[...]
    var id: [UInt8] = []
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        id.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(digits.firstIndex), let low = rest.popFirst().flatMap(digits.firstIndex)
      else { throw notEscaped }
      id.append(UInt8(truncatingIfNeeded: high << 4 | low))
    }
    guard let text = String(validating: id, as: UTF8.self), try escape(text).utf8.elementsEqual(name.utf8) else {
      throw notEscaped
    }
    return text
  }

  private static let slash = UInt8(ascii: "/")
  private static let digits = Array("0123456789ABCDEF".utf8)

  /// What ends a line, or acts on a terminal instead of being seen.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case ..<0x20, 0x7f...0x9f, 0x2028, 0x2029: true
    default: false
    }
  }

  private static let tooLong = Failure(
    .tooLong, field: "id", "Escaped, it is longer than the \(Limits.accountName) bytes of an account's name.")
  private static let notEscaped = Failure(
    .invalidArgument, field: "name", "It is no name that escape_account has made.")
}
