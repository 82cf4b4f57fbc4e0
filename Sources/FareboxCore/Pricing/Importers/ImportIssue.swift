/// One thing that an import could not carry over as it stands.
public struct ImportIssue: Hashable, Sendable {
  /// What became of it.
  public enum What: String, Sendable, CaseIterable {
    /// The value was rounded half to even at 1e-12; the detail has both.
    case changed
    /// The model is priced without this field, which no meter of ours counts.
    case unrepresentable
    /// The model has no price, because the field would have changed what its meters cost.
    case skipped
  }

  /// The model, as the source names it; with its provider before a slash where the source has providers.
  public let model: String
  /// The field, as a path in the model.
  public let field: String
  /// What became of the field.
  public let what: What
  /// One sentence for a person.
  public let detail: String

  /// An issue; the fields explain themselves.
  public init(model: String, field: String, what: What, detail: String) {
    self.model = model
    self.field = field
    self.what = what
    self.detail = detail
  }

  /// The issue as JSON.
  public var json: JSON {
    [
      "model": .string(model), "field": .string(field), "what": .string(what.rawValue), "detail": .string(detail),
    ]
  }
}

/// Turns the price lists of other projects into rate cards in US dollars, naming whatever it cannot carry over.
///
/// In both sources input tokens include the cached ones; our meters are disjoint. So where a source gives a class of
/// token no rate of its own (cache reads, cache writes, audio, reasoning), that class is counted together with plain
/// input or output, which is what the source charges for it.
public enum RateCardImporter {
  /// A card and what was lost on the way.
  public typealias Result = (card: RateCard, issues: [ImportIssue])

  /// Whether a text can be a name on a card; a number sign would part a skill from its tool.
  static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= RateCard.longestName && !text.utf8.contains(UInt8(ascii: "#"))
  }

  static let noName = "a name on a card has from 1 to \(RateCard.longestName) bytes and no number sign"
}
