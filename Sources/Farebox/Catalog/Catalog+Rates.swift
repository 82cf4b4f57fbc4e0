internal import FareboxCore

extension Catalog {
  /// Why a name finds no rate on a card, with the tools that it may mean.
  func unknownRate(_ name: String, on card: RateCard) -> Failure {
    let shown = name.count > 60 ? "\(name.prefix(60))..." : name
    switch card.resolve(name) {
    case .found(let entry):
      return failure(.rateCardNotFound, card, [], "'\(entry.fullName)' on rate card '\(card.name)' has no price.", "")
    case .ambiguous(let names):
      return failure(
        .rateAmbiguous, card, names, "Several providers on rate card '\(card.name)' offer '\(shown)'.", "Name one: ")
    case .missing(let names):
      return failure(
        .rateCardNotFound, card, names, "Rate card '\(card.name)' has no rate '\(shown)'.", "The nearest are ")
    }
  }

  private func failure(
    _ status: Status, _ card: RateCard, _ names: [String], _ what: String, _ lead: String
  ) -> Failure {
    let tools = names.map { "\(card.name)/\($0)" }
    let list = tools.isEmpty ? "" : " \(lead)\(tools.map { "'\($0)'" }.joined(separator: ", "))."
    return Failure(
      status, field: "tool", what + list, details: ["candidates": .array(tools.map { .string($0) })])
  }
}
