internal import FareboxCore
internal import FareboxStore

/// What runs cost, through the JSON door.
enum RunOperations {
  static let all: [Operation] = [cost]

  static let cost = Operation(
    "run.cost",
    "Adds up what a run cost: charges and captures less refunds, what it holds, and how much each tool took.",
    input: [
      OperationField("run", .text, "The run.", required: true),
      OperationField(
        "payer", .text, "Only what this account was charged; reads its history alone, not the whole journal."),
      OperationField("call", .text, "Only the call of this id."),
      OperationField("asset", .text, "Only this asset; each that the run was charged in where absent."),
      OperationField("from", .integer, "Reads nothing before this time, such as when the run began."),
    ],
    output: [
      OperationField("run", .text, "The run as the ledger keeps it."),
      OperationField(
        "assets", .list,
        "For each asset spent (charged and captured less refunded), charged, captured, refunded, held, count of charges "
          + "and captures, and tools: for each tool, skill, amount less refunds, and count."),
      OperationField("first", .integer, "Time of the first record that belongs to the run, or null."),
      OperationField("last", .integer, "Time of the last one, or null."),
    ], errors: [.accountNotFound, .assetNotFound, .tooLong, .overflow]
  ) { engine, input throws(Failure) in
    let run = input.text("run") ?? ""
    guard !run.isEmpty else { throw Failure(.missingField, field: "run", "Name the run.") }
    let cost = try engine.look { ledger, context throws(Rejection) in
      RunCost(
        RunCost.Question(
          filter: try OriginFilter(run: run, call: input.text("call")),
          payer: try input.text("payer").map { _ throws(Rejection) in try ledger.account(input, "payer") },
          asset: try input.text("asset").map { code throws(Rejection) -> UInt16 in
            guard let asset = ledger.state.catalog.assetIndex(code) else {
              throw .failed(Failure(.assetNotFound, field: "asset", "There is no asset '\(code.prefix(24))' here."))
            }
            return asset
          },
          from: input.integer("from") ?? .min))
    }
    var next: UInt64? = .max
    while let before = next {
      next = try engine.look { ledger, context throws(Rejection) in
        do throws(Failure) {
          return try cost.advance(before: before, in: ledger, context.store)
        } catch {
          throw .failed(error)
        }
      }
    }
    return try engine.look { ledger, _ throws(Rejection) in
      do throws(Failure) {
        return try ledger.json(cost, of: Identifier.folded(run))
      } catch {
        throw .failed(error)
      }
    }
  }
}
