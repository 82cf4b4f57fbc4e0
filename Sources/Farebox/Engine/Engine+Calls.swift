package import FareboxCore

/// Metered calls: the host runs the tool between `begin` and `finish`.
extension Engine {
  /// Holds money for a metered call that is about to run; what it throws says why the tool must not run.
  package func begin(_ request: BeginRequest, durability: Durability? = nil) throws(Failure) -> MeteredCall {
    try paying(.call(request.tool)) { () throws(Failure) in
      let (result, _) = try write(durability ?? holdDurability) { ledger, context throws(Rejection) in
        try ledger.begin(request, at: context.time, in: context.store)
      }
      switch result {
      case .success(let call): return call
      case .failure(let rejection): throw failure(rejection)
      }
    }
  }

  /// Charges a metered call that ended, or releases its hold; again, it gives the first receipt.
  package func finish(
    _ call: MeteredCall, _ end: FinishRequest, durability: Durability? = nil
  ) throws(Failure) -> Receipt {
    // Who gets nothing need not wait for the disk.
    let waits = end.onlyReleases ? holdDurability : durability ?? options.durability
    let (result, isUncommitted) = try write(waits) { ledger, context throws(Rejection) in
      try ledger.finish(call, end, at: context.time, in: context.store)
    }
    switch result {
    case .success(let finished):
      if let failure = finished.failure { throw refusing(failure, .capture(call.hold)) }
      var receipt = finished.receipt
      receipt.isUncommitted = isUncommitted
      return receipt
    case .failure(let rejection): throw refusing(failure(rejection), .capture(call.hold))
    }
  }
}
