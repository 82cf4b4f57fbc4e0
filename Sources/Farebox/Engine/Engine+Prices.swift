package import FareboxCore

/// A price that was checked, and how long the answer stands.
package struct CheckedPrice: Sendable {
  /// It stands while this is `PriceGeneration.current`.
  package let generation: UInt64
  /// The time from which another price may apply; `Int64.max` is never, `Int64.min` where only the host's clock can tell.
  package let until: Int64
}

extension Engine {
  /// Checks a charge against what is in memory: payer, tool, price and `max_cost`, but neither wallet nor limits.
  ///
  /// As with `quote`, another process's changes are seen after the next call that reads or writes the ledger.
  package func check(_ request: ChargeRequest) throws(Failure) -> CheckedPrice {
    try checkUsable()
    let generation = PriceGeneration.current
    let moment = try coarseNow()
    if withLedger({ $0.isStale }) { try look { _, _ throws(Rejection) in } }
    do throws(Rejection) {
      let end = try withLedger { ledger throws(Rejection) in
        let time = max(moment, ledger.state.time)
        let order = try ledger.resolve(request, known: .nothing, at: time, reserving: false)
        return ledger.state.catalog.priceEnd(order.tool - 1, customer: order.account, after: time)
      }
      return CheckedPrice(generation: generation, until: end == .max || options.clock == nil ? end : .min)
    } catch {
      throw failure(error)
    }
  }

  /// Makes sure that a plain name does not fit several tools that are in memory.
  package func checkUnambiguous(_ name: BorrowedText) throws(Failure) {
    try withLedger { ledger throws(Failure) in
      if ledger.state.catalog.find(name)?.isAmbiguous == true { throw ledger.state.catalog.unresolved(name) }
    }
  }

  /// Makes sure that there is a tool of this name, switched on or off, whether or not it has a price now.
  package func checkTool(_ name: BorrowedText) throws(Failure) {
    try read { ledger, _ throws(Rejection) in _ = try ledger.tool(name) }
  }
}
