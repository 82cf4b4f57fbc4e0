internal import FareboxCore

/// Budgets, limits and the events they raise through the JSON door.
enum BudgetOperations {
  static let all: [Operation] = [set, list, remove, setLimits, getLimits, events]

  private static let account = OperationField("account", .text, "Whose it is; all below it count too.", required: true)
  private static let row = [
    OperationField("account", .text, "Whose it is."), OperationField("name", .text, "Its name."),
    OperationField("window", .text, "hour, day, week, month or lifetime, in UTC."),
    OperationField("limit", .amount, "How much, or how many charges."),
    OperationField("unit", .text, "The asset, or charges."),
    OperationField("spent", .amount, "Charged in this window."), OperationField("held", .amount, "Held in it."),
    OperationField("window_start", .integer, "Its beginning; null for lifetime."),
    OperationField("window_end", .integer, "Its end; null for lifetime."),
    OperationField("thresholds", .list, "Per cent at which an event is raised once a window."),
  ]

  static let set = Operation(
    "budget.set", "Limits what an account and all below it may spend, or how often, in a window of time.",
    input: [
      account, OperationField("name", .text, "Its name on the account; `default` where absent."),
      OperationField("window", .text, "hour, day, week (from Monday), month or lifetime, in UTC.", required: true),
      OperationField("amount", .amount, "The most that may be spent and held; or give count."),
      OperationField("asset", .text, "The amount's asset; the ledger's default where absent."),
      OperationField("count", .integer, "The most charges; or give amount."),
      OperationField("thresholds", .list, "Per cent at which an event is raised once a window."),
    ], output: row, errors: [.accountNotFound, .assetNotFound, .invalidAmount]
  ) { engine, input throws(Failure) in
    guard let window = WindowKind(name: input.text("window") ?? "") else {
      throw Failure(.invalidArgument, field: "window", "It is hour, day, week, month or lifetime.")
    }
    guard (input.value("amount") == nil) != (input.value("count") == nil) else {
      throw Failure(.invalidArgument, field: "amount", "A budget has an amount or a count.")
    }
    let name = input.text("name") ?? "default"
    guard name.utf8.count <= Limits.toolName, !name.isEmpty else {
      throw Failure(.tooLong, field: "name", "A budget's name has from 1 to \(Limits.toolName) bytes.")
    }
    guard input.list("thresholds").count <= Limits.thresholds else {
      throw Failure(.tooLong, field: "thresholds", "A budget has at most \(Limits.thresholds) thresholds.")
    }
    var thresholds: [Int64] = []
    for (index, threshold) in input.list("thresholds").enumerated() {
      guard let percent = threshold.int64 else {
        throw Failure(.invalidArgument, field: "thresholds[\(index)]", "It must be a whole number of per cent.")
      }
      thresholds.append(percent)
    }
    let percents = thresholds
    return try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      let account = try ledger.account(input)
      var asset: UInt16?
      var limit = input.integer("count") ?? 0
      if let text = input.amount("amount") {
        limit = try ledger.units(text, "amount", of: ledger.knownAsset(input))
        asset = ledger.defaultAsset
      }
      var terms = BudgetTerms(
        account: account, name: name, window: window, asset: asset, limit: limit, thresholds: percents)
      try ledger.checkBudget(terms)
      if asset != nil, let code = input.text("asset") { terms.asset = try ledger.makeAsset(code, at: context.time) }
      try ledger.setBudget(terms, at: context.time)
      return ledger.budgetRows(account, at: context.time).last { $0.object?["name"]?.string == name } ?? .null
    }
  }

  static let list = Operation(
    "budget.list", "Lists the budgets of an account and of those above it, with what is counted in them.",
    input: [account], output: [OperationField("budgets", .list, "As budget.set.")], errors: [.accountNotFound]
  ) { engine, input throws(Failure) in
    try engine.look { ledger, context throws(Rejection) in
      var rows: [JSON] = []
      var index = Int32(bitPattern: try ledger.account(input))
      while index >= 0 {
        rows += ledger.budgetRows(UInt32(bitPattern: index), at: context.time)
        index = ledger.state.accounts[Int(index)].parent
      }
      return ["budgets": .array(rows)]
    }
  }

  static let remove = Operation(
    "budget.remove", "Removes a budget.",
    input: [account, OperationField("name", .text, "Its name.", required: true)],
    output: [OperationField("removed", .flag, "True.")], errors: [.accountNotFound, .budgetNotFound]
  ) { engine, input throws(Failure) in
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      try ledger.removeBudget(try ledger.account(input), input.text("name") ?? "", at: context.time)
      return ["removed": true]
    }
  }

  private static let limits = [
    OperationField("per_call", .amount, "The most that one call may cost; none where absent."),
    OperationField("per_run", .amount, "The most that one run may cost, held money included; none where absent."),
    OperationField("charges_per_hour", .integer, "The most charges and holds in any sixty minutes; none where absent."),
    OperationField("asset", .text, "The asset of the two caps; the ledger's default where absent."),
  ]

  static let setLimits = Operation(
    "limit.set", "Sets all caps and the rate of an account and all below it; what is absent is not limited.",
    input: [account] + limits, output: limits, errors: [.accountNotFound, .assetNotFound, .invalidAmount]
  ) { engine, input throws(Failure) in
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      let account = try ledger.account(input)
      let known = try ledger.knownAsset(input)
      func cap(_ field: String, _ ledger: borrowing Ledger) throws(Rejection) -> Int64? {
        guard let text = input.amount(field) else { return nil }
        return try ledger.units(text, field, of: known)
      }
      let perCall = try cap("per_call", ledger)
      let perRun = try cap("per_run", ledger)
      let chargesPerHour = input.integer("charges_per_hour")
      try Ledger.checkLimits(perCall: perCall, perRun: perRun, chargesPerHour: chargesPerHour)
      let asset =
        try input.text("asset").map { code throws(Rejection) in
          try ledger.makeAsset(code, at: context.time)
        } ?? ledger.defaultAsset
      try ledger.setLimits(
        account, perCall: perCall, perRun: perRun, chargesPerHour: chargesPerHour, asset: asset, at: context.time)
      return ledger.limitsJSON(account)
    }
  }

  static let getLimits = Operation(
    "limit.get", "Tells an account's caps and rate.", input: [account], output: limits, errors: [.accountNotFound]
  ) { engine, input throws(Failure) in
    try engine.read { ledger, _ throws(Rejection) in ledger.limitsJSON(try ledger.account(input)) }
  }

  static let events = Operation(
    "event.list", "Lists events, newest first, such as a budget's threshold that was reached.",
    input: [
      OperationField("account", .text, "Only events of this account."),
      OperationField("before", .integer, "Only numbers below this one, for the next page."),
      OperationField("limit", .integer, "Rows, from 1 to 1,000; 100 where absent."),
    ],
    output: [
      OperationField("events", .list, "Each with id, time, type and its facts."),
      OperationField("next", .integer, "The next page's before, or null."),
    ], errors: [.accountNotFound]
  ) { engine, input throws(Failure) in
    var query: JSONObject = ["kind": .string(RecordKind.event.name)]
    for field in ["account", "before", "limit"] {
      if let value = input.value(field) { query.append(field, value) }
    }
    let page = try engine.call("transfer.list", .object(query))
    let rows = page.object?["transfers"]?.array ?? []
    return [
      "events": .array(
        rows.map { row in
          var event: JSONObject = ["id": row.object?["id"] ?? .null, "time": row.object?["time"] ?? .null]
          for member in row.object?["definition"]?.object?.members ?? [] { event.append(member.key, member.value) }
          return .object(event)
        }),
      "next": page.object?["next"] ?? .null,
    ]
  }
}

extension Ledger {
  /// The budgets of one account, with their windows as of a time.
  fileprivate func budgetRows(_ account: UInt32, at time: Int64) -> [JSON] {
    let owner = state.accounts[Int(account)].guardIndex
    guard owner >= 0 else { return [] }
    return state.guards[Int(owner)].budgets.map { index in
      let budget = state.budgets[Int(index)]
      let window = budget.windows(at: time).current
      let asset = budget.asset < 0 ? nil : state.catalog.assets[Int(budget.asset)]
      func text(_ units: Int64) -> JSON {
        .string(asset.map { Amount.text(units, scale: $0.scale, minorDigits: $0.minorDigits) } ?? String(units))
      }
      let isLifetime = budget.window == .lifetime
      return [
        "account": .string(state.accountNames[account]), "name": .string(budget.name),
        "window": .string(budget.window.name), "limit": text(budget.limit), "unit": .string(asset?.code ?? "charges"),
        "spent": text(window.spent), "held": text(window.held),
        "window_start": isLifetime ? .null : .int(window.start),
        "window_end": isLifetime ? .null : .int(window.end),
        "thresholds": .array(budget.thresholds.map { .int($0) }),
      ]
    }
  }

  fileprivate func limitsJSON(_ account: UInt32) -> JSON {
    let owner = state.accounts[Int(account)].guardIndex
    guard owner >= 0 else { return ["account": .string(state.accountNames[account])] }
    let entry = state.guards[Int(owner)]
    let asset = state.catalog.assets[Int(entry.capAsset)]
    func text(_ units: Int64?) -> JSON {
      units.map { .string(Amount.text($0, scale: asset.scale, minorDigits: asset.minorDigits)) } ?? .null
    }
    return [
      "account": .string(state.accountNames[account]), "per_call": text(entry.perCall), "per_run": text(entry.perRun),
      "charges_per_hour": entry.chargesPerHour.map { .int(Int64($0)) } ?? .null, "asset": .string(asset.code),
    ]
  }
}
