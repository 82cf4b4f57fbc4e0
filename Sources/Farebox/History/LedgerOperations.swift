internal import FareboxCore
internal import FareboxStore

/// The ledger as a whole through the JSON door: proof, state and upkeep.
enum LedgerOperations {
  static let all: [Operation] = [verify, reconcile, info, tick]

  static let verify = Operation(
    "ledger.verify",
    "Reads the whole journal, checks its hash chain, and compares what it amounts to with the balances.",
    output: [
      OperationField("valid", .flag, "True; anything else is the error LEDGER_INVALID."),
      OperationField("records", .integer, "Records read."), OperationField("segments", .integer, "Segments read."),
      OperationField("hash", .text, "SHA-256 of the last segment: the whole journal in 64 digits."),
    ], errors: [.ledgerInvalid]
  ) { engine, _ throws(Failure) in
    let audit = try engine.audit()
    guard audit.problems.isEmpty else {
      throw Failure(
        .ledgerInvalid, "The ledger does not verify: \(audit.problems[0])",
        details: ["problems": .array(audit.problems.prefix(20).map { .string($0) })])
    }
    return [
      "valid": true, "records": .int(audit.records), "segments": .int(audit.segments), "hash": .string(audit.hash.hex),
    ]
  }

  static let reconcile = Operation(
    "ledger.reconcile", "Lists whatever does not add up: balances against postings, holds, budgets and the hash chain.",
    output: [
      OperationField("balanced", .flag, "Whether everything adds up."),
      OperationField("problems", .list, "What does not, in words."),
      OperationField(
        "assets", .list, "For each asset the sum over all accounts, which must be zero, and what is held."),
      OperationField("open_holds", .integer, "Holds that are open."),
      OperationField("orphan_holds", .list, "Open holds whose time is over."),
      OperationField("records", .integer, "Records read."),
    ]
  ) { engine, _ throws(Failure) in
    let audit = try engine.audit()
    return [
      "balanced": .bool(audit.problems.isEmpty), "problems": .array(audit.problems.map { .string($0) }),
      "assets": .array(
        audit.sums.map { sum in
          [
            "asset": .string(sum.asset.code), "sum": .string(sum.total.description),
            "held": .string(Amount.text(sum.held, scale: sum.asset.scale, minorDigits: sum.asset.minorDigits)),
          ]
        }),
      "open_holds": .int(audit.openHolds), "orphan_holds": .array(audit.orphans.map { Shapes.number($0) }),
      "records": .int(audit.records),
    ]
  }

  static let info = Operation(
    "ledger.info", "Tells what the ledger has in it and how big it is.",
    output: [
      OperationField("records", .integer, "Records in the journal."), OperationField("accounts", .integer, "Accounts."),
      OperationField("tools", .integer, "Tools and rates."), OperationField("open_holds", .integer, "Open holds."),
      OperationField("sealed_records", .integer, "Records in sealed indexes."),
      OperationField("key_memory_bytes", .integer, "Memory of the idempotency keys."),
      OperationField("store_bytes", .integer, "Size on disk."),
      OperationField("default_asset", .text, "Asset of amounts that name none."),
      OperationField("time", .integer, "Time of the last record."),
    ]
  ) { engine, _ throws(Failure) in
    try engine.look { ledger, context throws(Rejection) in
      [
        "records": Shapes.number(ledger.state.nextRecord - 1), "accounts": .int(Int64(ledger.state.accounts.count)),
        "tools": .int(Int64(ledger.state.catalog.tools.count)), "open_holds": .int(Int64(ledger.state.holds.count)),
        "sealed_records": Shapes.number(ledger.state.sealedThrough),
        "key_memory_bytes": .int(Int64(ledger.keys.bytes)), "store_bytes": .int(context.store.sizeOnDisk()),
        "default_asset": .string(ledger.state.catalog.assets[Int(ledger.defaultAsset)].code),
        "time": .int(ledger.state.time),
      ]
    }
  }

  static let tick = Operation(
    "engine.tick", "Does what is due: expires holds, commits relaxed records, seals indexes.",
    output: [
      OperationField("expired_holds", .integer, "Holds that expired."),
      OperationField("committed", .integer, "Relaxed records made durable."),
      OperationField("sealed", .integer, "Records moved into sealed indexes."),
    ]
  ) { engine, _ throws(Failure) in
    let report = try engine.tick()
    return [
      "expired_holds": .int(Int64(report.expiredHolds)), "committed": .int(Int64(report.committed)),
      "sealed": .int(Int64(report.sealed)),
    ]
  }
}
