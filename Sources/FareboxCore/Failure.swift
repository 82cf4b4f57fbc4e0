/// Why a call was not carried out: a status, the field to blame, a sentence, and the facts behind it.
///
/// Nothing secret goes in: no webhook secret, no payload, no SQL argument. The facts are for programs, the sentence for
/// people; a program must not read the sentence.
public struct Failure: Error, Sendable {
  public let status: Status
  /// The input field that caused it, as a path (`postings[2].account`), or empty.
  public let field: String
  public let message: String
  /// Machine-readable facts, for example the binding constraint with its limit, spent and held; an object or null.
  public let details: JSON

  public init(_ status: Status, field: String = "", _ message: String, details: JSON = .null) {
    self.status = status
    self.field = field
    self.message = message
    self.details = details
  }
}

extension Failure: CustomStringConvertible {
  public var description: String {
    let name = status.entry?.name ?? String(status.rawValue)
    return field.isEmpty ? "\(name): \(message)" : "\(name) (\(field)): \(message)"
  }
}
