internal import FareboxCore

extension Catalog {
  /// Why a name like `card/model` finds no rate, with the tools that it may mean; nil for a name of no rate card.
  func unknownRate(_ name: BorrowedText) -> Failure? {
    guard name.count <= Limits.toolReference, let text = name.string, let slash = text.firstIndex(of: "/"),
      let card = rateCards[String(text[..<slash])]?.card
    else { return nil }
    let rate = text[text.index(after: slash)...]
    switch card.resolve(String(rate)) {
    case .found:
      return nil
    case .ambiguous(let names):
      return failure(
        .rateAmbiguous, card, names, "Several providers on rate card '\(card.name)' offer '\(name.shown)'", "Name one: "
      )
    case .missing(let names):
      return failure(
        .rateCardNotFound, card, names, "Rate card '\(card.name)' has no rate '\(name.shown)'", "The nearest are ")
    }
  }

  private func failure(
    _ status: Status, _ card: RateCard, _ names: [String], _ what: String, _ lead: String
  ) -> Failure {
    let tools = names.map { "\(card.name)/\($0)" }
    let list = tools.isEmpty ? "" : " \(lead)\(tools.map { "'\($0)'" }.joined(separator: ", "))."
    return Failure(
      status, field: "tool", "\(what).\(list)", details: ["candidates": .array(tools.map { .string($0) })])
  }
}
