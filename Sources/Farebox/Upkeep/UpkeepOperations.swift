internal import FareboxCore
internal import FareboxStore

/// The ledger as files and databases through the JSON door: copies of it, and its projections made anew.
enum UpkeepOperations {
  static let all: [Operation] = [backup, copy, rebuild]

  private static let report: [OperationField] = [
    OperationField("records", .integer, "Records of the ledger."),
    OperationField("segments", .integer, "Segments of the journal."),
    OperationField("hash", .text, "SHA-256 of the last segment, as `ledger.verify` gives it."),
    OperationField("verified", .flag, "True: it was read back and adds up; anything else is LEDGER_INVALID."),
  ]

  static let backup = Operation(
    "ledger.backup",
    "Copies this ledger as it is now to an empty place and verifies the copy, while other calls go on.",
    input: [
      OperationField(
        "to", .text, "Where to: a path or `sqlite:PATH` of a file that is not there yet, or a PostgreSQL address.",
        required: true
      )
    ],
    output: report, errors: [.storeExists, .ledgerInvalid]
  ) { engine, input throws(Failure) in
    try json(engine.copyLedger(from: engine.journalSource(), to: input.text("to") ?? ""))
  }

  static let copy = Operation(
    "ledger.copy",
    "Copies another ledger to an empty place and verifies the copy: restores a backup, or moves to another store.",
    input: [
      OperationField("from", .text, "The address of the ledger; only its journal is read.", required: true),
      OperationField(
        "to", .text, "Where to: a path or `sqlite:PATH` of a file that is not there yet, or a PostgreSQL address.",
        required: true
      ),
    ],
    output: report, errors: [.storeExists, .storeNotFound, .ledgerInvalid]
  ) { engine, input throws(Failure) in
    try engine.withStore(input.text("from") ?? "", field: "from") { store throws(Failure) in
      try json(engine.copyLedger(from: JournalSource(store), to: input.text("to") ?? ""))
    }
  }

  static let rebuild = Operation(
    "ledger.rebuild",
    "Makes everything that a ledger keeps beside its journal anew from the journal, in one transaction.",
    input: [OperationField("url", .text, "The address of the ledger.", required: true)],
    output: report, errors: [.storeNotFound, .ledgerInvalid]
  ) { engine, input throws(Failure) in
    try engine.withStore(input.text("url") ?? "", field: "url") { store throws(Failure) in
      try json(LedgerRebuild.run(store, keyMemoryBytes: engine.options.keyMemoryBytes))
    }
  }

  private static func json(_ audit: Audit) -> JSON {
    [
      "records": .int(audit.records), "segments": .int(audit.segments), "hash": .string(audit.hash.hex),
      "verified": true,
    ]
  }
}

extension Engine {
  /// Copies a ledger to an address where there is none.
  func copyLedger(from source: JournalSource, to url: String) throws(Failure) -> Audit {
    guard case .file(let path) = try StoreAddress(url, field: "to") else {
      return try withStore(url, field: "to", mayBeNew: true) { store throws(Failure) in
        try LedgerCopy.write(source, into: store, keyMemoryBytes: options.keyMemoryBytes)
      }
    }
    let draft = try SQLiteDraft(path: path, tag: String(try SecureRandom.word(), radix: 16))
    do throws(Failure) {
      let audit = try LedgerCopy.write(source, into: draft.store, keyMemoryBytes: options.keyMemoryBytes)
      try draft.publish()
      return audit
    } catch {
      draft.discard()
      throw error
    }
  }

  /// Opens a store for the length of a call.
  func withStore<Result>(
    _ url: String, field: String, mayBeNew: Bool = false, _ body: (any Store) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let address = try StoreAddress(url, field: field)
    guard address != .memory else {
      throw Failure(.invalidArgument, field: field, "A ledger in memory is its engine's alone.")
    }
    var options = EngineOptions()
    options.mustExist = !mayBeNew
    options.busyTimeoutMilliseconds = self.options.busyTimeoutMilliseconds
    // One statement of a server may empty a table here, and a seal is made between two of them.
    if case .server = address { options.busyTimeoutMilliseconds = max(options.busyTimeoutMilliseconds, 300_000) }
    let store: any Store
    do throws(Failure) {
      store = try Engine.openStore(url, options)
    } catch {
      throw Failure(
        error.status, field: error.field == "url" ? field : error.field, error.message, details: error.details)
    }
    defer { store.close() }
    return try body(store)
  }
}
