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
  /// What is known of the refusal of a payment beyond the status.
  let notice: Notice?

  public init(_ status: Status, field: String = "", _ message: String, details: JSON = .null) {
    self.init(status, field: field, message, details: details, notice: nil)
  }

  init(_ status: Status, field: String, _ message: String, details: JSON, notice: Notice?) {
    self.status = status
    self.field = field
    self.message = message
    self.details = details
    self.notice = notice
  }

  /// A refusal whose cause follows from more than its status.
  ///
  /// - Parameter resets: when a spent budget resets, as text, or "" where it does not.
  public init(
    _ status: Status, _ cause: PaymentRefusal.Cause, resets: String = "", _ message: String, details: JSON
  ) {
    self.init(status, field: "", message, details: details, notice: Notice(cause, resets: resets))
  }
}

extension Failure: CustomStringConvertible {
  public var description: String {
    let name = status.entry?.name ?? String(status.rawValue)
    return field.isEmpty ? "\(name): \(message)" : "\(name) (\(field)): \(message)"
  }
}
