package import FareboxCore

/// What asks a payer for money; it decides what the sentence of a refusal speaks of.
package enum PaymentAttempt {
  /// A call of a tool that has not run yet; empty where an amount is given instead.
  case call(BorrowedText)
  /// A charge of a tool, or of an amount where it is empty.
  case charge(BorrowedText)
  /// A capture of a hold, whose tool it is.
  case capture(UInt64)
}

extension Engine {
  /// Does what takes money, and gives a refusal of it the sentence that a model or an end user may read.
  package func paying<Result>(
    _ attempt: PaymentAttempt, _ work: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    do throws(Failure) {
      return try work()
    } catch {
      throw refusing(error, attempt)
    }
  }

  /// A failure with the sentence for a model or an end user, where it is the refusal of a payment.
  package func refusing(_ failure: Failure, _ attempt: PaymentAttempt) -> Failure {
    guard failure.refusal != nil else { return failure }
    switch attempt {
    case .call(let tool):
      return failure.refusing(.run, tool: Engine.name(tool), paymentURL: options.paymentURL)
    case .charge(let tool):
      return failure.refusing(.pay, tool: Engine.name(tool), paymentURL: options.paymentURL)
    case .capture(let hold):
      let tool = withLedger { ledger in
        let index = ledger.state.holds[HoldID(hold).number]?.tool ?? 0
        return index == 0 ? "" : ledger.state.catalog.identities[Int(index) - 1].name
      }
      return failure.refusing(.pay, tool: tool, paymentURL: options.paymentURL)
    }
  }

  /// The plain name of a tool, without its skill and version.
  private static func name(_ tool: BorrowedText) -> String {
    guard tool.count <= Limits.toolReference, let text = tool.string else { return "" }
    return ToolName(text).tool
  }
}
