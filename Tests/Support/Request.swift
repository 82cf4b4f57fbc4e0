package import FareboxCore

/// The two assets that the reference keeps.
package enum Coin: Int, CaseIterable, Sendable {
  case usd
  case credits

  package var code: String { self == .usd ? "USD" : "CREDITS" }
  package var scale: UInt8 { self == .usd ? 9 : 7 }

  /// An amount as the JSON door writes it.
  package func text(_ units: Int128) -> JSON {
    .string(Amount.text(Int64(units), scale: scale, minorDigits: 2))
  }
}

/// How a tool of the reference costs, in atomic units.
package enum Tariff: Hashable, Sendable {
  case flat(Int128)
  case perUnit(Int128, maximum: Int128?)
  /// Each part of the quantity at the rate of its own tier.
  case graduated(upTo: Int128, Int128, above: Int128)
  /// The whole quantity at the rate of the tier that holds it.
  case volume(upTo: Int128, Int128, above: Int128)
  /// The amount that the caller gives.
  case dynamic(minimum: Int128, maximum: Int128?)

  /// Whether a number of units decides what it costs.
  var isMetered: Bool {
    switch self {
    case .flat, .dynamic: false
    case .perUnit, .graduated, .volume: true
    }
  }

  /// The most that a dynamic price costs, or nil.
  var dynamicMaximum: Int128? {
    if case .dynamic(_, let maximum) = self { maximum } else { nil }
  }

  /// What a number of units costs, of a dynamic price a given amount, and whether the maximum bound it.
  func cost(_ units: Int128) -> (amount: Int128, isCapped: Bool) {
    switch self {
    case .flat(let amount): return (amount, false)
    case .perUnit(let rate, let maximum):
      let amount = rate * units
      if let maximum, amount > maximum { return (maximum, true) }
      return (amount, false)
    case .graduated(let bound, let rate, let above):
      return (min(units, bound) * rate + max(0, units - bound) * above, false)
    case .volume(let bound, let rate, let above): return (units * (units > bound ? above : rate), false)
    case .dynamic(let minimum, let maximum):
      let amount = max(units, minimum)
      if let maximum, amount > maximum { return (maximum, true) }
      return (amount, false)
    }
  }

  fileprivate func json(_ coin: Coin) -> JSON {
    func tiers(_ model: String, _ bound: Int128, _ rate: Int128, _ above: Int128) -> JSON {
      [
        "currency": .string(coin.code),
        "components": [
          [
            "meter": "units", "model": .string(model),
            "tiers": [["up_to": .int(Int64(bound)), "rate": coin.text(rate)], ["rate": coin.text(above)]],
          ]
        ],
      ]
    }
    switch self {
    case .flat(let amount): return ["currency": .string(coin.code), "cost": coin.text(amount)]
    case .perUnit(let rate, let maximum):
      var price: JSONObject = ["currency": .string(coin.code), "cost": coin.text(rate), "per": "unit"]
      if let maximum { price.append("max_cost", coin.text(maximum)) }
      return .object(price)
    case .graduated(let bound, let rate, let above): return tiers("graduated", bound, rate, above)
    case .volume(let bound, let rate, let above): return tiers("volume", bound, rate, above)
    case .dynamic(let minimum, let maximum):
      var price: JSONObject = [
        "currency": .string(coin.code), "components": [["model": "dynamic"]], "minimum": coin.text(minimum),
      ]
      if let maximum { price.append("max_cost", coin.text(maximum)) }
      return .object(price)
    }
  }
}

/// Who gets what of a charge: shares of a whole number of parts, in order.
package struct Sharing: Hashable, Sendable {
  package let accounts: [Int]
  package let parts: [Int128]

  package init(accounts: [Int], parts: [Int128]) {
    self.accounts = accounts
    self.parts = parts
  }

  /// Each share rounded down; what is left over one by one to the recipients from the first on.
  func shares(of amount: Int128) -> [Int128] {
    let whole = parts.reduce(0, +)
    var shares = parts.map { amount * $0 / whole }
    var left = amount - shares.reduce(0, +)
    for index in shares.indices where left > 0 && parts[index] > 0 {
      shares[index] += 1
      left -= 1
    }
    return shares
  }
}

/// A tool as a manifest declares it.
package struct ToolTerms: Hashable, Sendable {
  package let tariff: Tariff
  package let coin: Coin
  package let sharing: Sharing

  package init(tariff: Tariff, coin: Coin, sharing: Sharing) {
    self.tariff = tariff
    self.coin = coin
    self.sharing = sharing
  }
}

/// How a request writes the name of a tool.
package enum ToolForm: Hashable, Sendable {
  /// The name alone.
  case plain
  case full(skill: Int)
  case pinned(skill: Int, version: Int)
}

/// What a charge or hold asks for.
package struct Payment: Hashable, Sendable {
  package enum Cost: Hashable, Sendable {
    case amount(Int128, Coin, payee: Int)
    /// A tool and the units that it used; none for a flat price.
    case tool(Int, units: Int?)
    /// The tool with a dynamic price, and the amount that it is to cost, in the digits of credits whatever its asset.
    case dynamic(Int128?)
  }

  package var payer: Int
  package var cost: Cost
  /// 0 is none.
  package var run: Int
  package var maxCost: Int128?
  package var form = ToolForm.plain
}

package enum Policy: String, CaseIterable, Sendable {
  case reject
  case cap
  case overflow
}

package enum Taking: Hashable, Sendable {
  case rest
  case amount(Int128, Coin)
  case units(Int)
  case lines([Line])
}

/// One line of a capture.
package enum Line: Hashable, Sendable {
  /// Units of the hold's own tool.
  case units(Int)
  /// A tool by name, and the units that it used; none for a flat price.
  case tool(Int, units: Int?)
  /// In the hold's coin; without a payee to whom the hold credits.
  case amount(Int128, payee: Int?)
}

/// A metered call that is about to run.
package struct Beginning: Hashable, Sendable {
  package var payer: Int
  package var tool: Int
  package var form: ToolForm
  /// Of each of these 0 is none: the run, the id of the call, the call around it, what the tool is given, a given key.
  package var run = 0
  package var call = 0
  package var parent = 0
  package var arguments = 0
  package var key = 0
  package var ordinal = 0
  /// The units that are expected; nil is no estimate.
  package var expected: Int?
  /// Both in the digits of credits, whatever the tool's asset.
  package var amount: Int128?
  package var maxCost: Int128?
  package var chargesAfterwards = false
  package var releasesUnreported = false
  package var milliseconds: Int64

  /// Whether a repeat of it is known as one.
  package var isNamed: Bool { call != 0 || parent != 0 || key != 0 }
}

/// How a metered call ended, and what it used.
package struct Ending: Hashable, Sendable {
  package enum How: String, CaseIterable, Sendable {
    case returned
    case reportedFailure = "reported_failure"
    case failed
    case left
  }

  package enum Usage: Hashable, Sendable {
    case units(Int)
    /// Of a meter that none of the prices covers.
    case strange(Int)
  }

  package var how: How
  package var isDelivered: Bool
  package var usage: Usage?
  package var lines: [Line] = []
  /// In the digits of credits.
  package var amount: Int128?

  /// Whether nobody pays for it, whatever the price.
  package var isFree: Bool { how == .reportedFailure || !isDelivered && how != .returned }
}

package struct Leg: Hashable, Sendable {
  package let account: Int
  package let coin: Coin
  package let amount: Int128
}

package struct LimitTerms: Hashable, Sendable {
  package let coin: Coin
  package var perCall: Int128?
  package var perRun: Int128?
  package var perHour: Int?
}

package struct BudgetTerms: Hashable, Sendable {
  package let account: Int
  package let name: String
  package let window: String
  /// nil counts charges.
  package let coin: Coin?
  package let limit: Int128
  package let hasThresholds: Bool
}

/// One thing that is asked of a ledger; accounts and tools by their place in `Cast`, holds, charges and transfers by the
/// serial of the request that made them.
package enum Action: Hashable, Sendable {
  case openAsset(Coin)
  case openAccount(Int)
  case deposit(Int, Coin, Int128)
  case withdraw(Int, Coin, Int128)
  case charge(Payment)
  case reserve(Payment, milliseconds: Int64, Policy)
  case increase(hold: Int, Int128, Coin)
  /// - Parameter coin: the hold's.
  case capture(hold: Int, Taking, isFinal: Bool, coin: Coin)
  case release(hold: Int)
  case begin(Beginning)
  /// - Parameter coin: the hold's.
  case finish(hold: Int, Ending, coin: Coin)
  case extend(hold: Int, milliseconds: Int64)
  case refund(charge: Int, Int128?, Coin)
  case transfer([Leg])
  case reverse(transfer: Int)
  case setBudget(BudgetTerms)
  case removeBudget(Int, String)
  case setLimits(Int, LimitTerms)
  case setFrozen(Int, Bool)
  case close(Int)
  case setCredit(Int, Coin, Int128)
  /// A skill with as many of the tools of `Cast` as are given.
  case register(skill: Int, version: Int, [ToolTerms], keepsCurrent: Bool)
}

package struct Request: Sendable {
  package var action: Action
  /// Empty is none.
  package var key: String
  /// Names what comes about.
  package let serial: Int

  package init(_ action: Action, key: String = "", serial: Int) {
    self.action = action
    self.key = key
    self.serial = serial
  }

  /// Whether its receipt waits for the disk where the engine is opened as usual.
  package var isDurable: Bool {
    switch action {
    case .reserve, .increase, .release, .extend, .begin: false
    case .finish(_, let ending, _): !ending.isFree
    default: true
    }
  }

  /// Whether what comes about is a hold.
  package var makesHold: Bool {
    switch action {
    case .reserve, .begin: true
    default: false
    }
  }

  /// Whether it can be asked again when its answer was lost.
  package var isRepeatable: Bool {
    switch action {
    case .begin(let call): call.isNamed
    case .finish: true
    default: !key.isEmpty
    }
  }

  /// The serial of the hold, charge or transfer that the request is about, or nil.
  package var subject: Int? {
    switch action {
    case .increase(let serial, _, _), .capture(let serial, _, _, _), .release(let serial), .extend(let serial, _),
      .refund(let serial, _, _), .finish(let serial, _, _),
      .reverse(let serial):
      serial
    default: nil
    }
  }
}

/// The accounts and tools of every run.
package enum Cast {
  package static let accounts: [(name: String, parent: Int?, ownsWallet: Bool)] = [
    ("external", nil, true), ("platform", nil, true), ("user:ana", nil, true), ("agent:a", nil, true),
    ("agent:b", nil, true), ("org:acme", nil, true), ("org:acme/dept:sales", 5, true), ("org:acme/dept:lab", 5, false),
    ("org:acme/dept:lab/agent:x", 7, false), ("org:acme/dept:lab/agent:y", 7, false),
  ]
  package static let builtIn = 2
  package static let payers = [2, 5, 6, 7, 8]
  package static let payees = [1, 2, 3, 4, 5, 7, 8, 9]
  package static let wallets = [1, 2, 3, 4, 5, 6]
  package static let everybody = Array(2...8)
  /// An account on another's wallet that only earns, and may be closed.
  package static let closable = 9
  package static let tools = ["search", "read", "write", "haggle"]
  package static let toolCoins: [Coin] = [.usd, .usd, .credits]
  /// The tool with a dynamic price, whose asset is another one in some versions.
  package static let dynamicTool = 3
  /// Both may have all of the tools.
  package static let skills = ["work", "rival"]

  /// The name of a tool as a request writes it.
  static func name(of tool: Int, _ form: ToolForm) -> String {
    switch form {
    case .plain: tools[tool]
    case .full(let skill): "\(skills[skill])#\(tools[tool])"
    case .pinned(let skill, let version): "\(skills[skill])@1.0.\(version)#\(tools[tool])"
    }
  }
}

extension Request {
  /// The operation and its input at the JSON door.
  ///
  /// - Parameter ids: the engine's numbers of what serials name.
  package func call(_ ids: [Int: Int64]) -> (operation: String, input: JSON) {
    let (operation, fields) = body(ids)
    var input = JSONObject(fields)
    if !key.isEmpty { input.append("idempotency_key", .string(key)) }
    return (operation, .object(input))
  }

  private func body(_ ids: [Int: Int64]) -> (String, [(String, JSON)]) {
    func name(_ account: Int) -> JSON { .string(Cast.accounts[account].name) }
    func id(_ serial: Int) -> JSON { .int(ids[serial] ?? 0) }
    switch action {
    case .openAsset(let coin): return ("asset.open", [("asset", .string(coin.code))])
    case .openAccount(let account):
      return (
        "account.open",
        [("account", name(account)), ("wallet", Cast.accounts[account].ownsWallet ? "own" : "parent")]
      )
    case .deposit(let account, let coin, let amount), .withdraw(let account, let coin, let amount):
      let isDeposit = if case .deposit = action { true } else { false }
      return (
        isDeposit ? "account.deposit" : "account.withdraw",
        [("account", name(account)), ("asset", .string(coin.code)), ("amount", coin.text(amount))]
      )
    case .charge(let payment): return ("charge.create", fields(payment))
    case .reserve(let payment, let milliseconds, let policy):
      return (
        "hold.reserve",
        fields(payment) + [("expires_in_ms", .int(milliseconds)), ("over_capture", .string(policy.rawValue))]
      )
    case .increase(let hold, let amount, let coin):
      return ("hold.increase", [("hold", id(hold)), ("amount", coin.text(amount))])
    case .capture(let hold, let taking, let isFinal, let coin):
      var fields = [("hold", id(hold)), ("final", .bool(isFinal))]
      switch taking {
      case .rest: break
      case .amount(let amount, let coin): fields.append(("amount", coin.text(amount)))
      case .units(let units): fields.append(("usage", ["units": .int(Int64(units))]))
      case .lines(let lines): fields.append(("lines", .array(lines.map { Request.json($0, coin) })))
      }
      return ("hold.capture", fields)
    case .release(let hold): return ("hold.release", [("hold", id(hold))])
    case .begin(let call): return ("call.begin", Request.fields(call))
    case .finish(let hold, let ending, let coin):
      return ("call.finish", [("hold", id(hold))] + Request.fields(ending, coin))
    case .extend(let hold, let milliseconds):
      return ("hold.extend", [("hold", id(hold)), ("expires_in_ms", .int(milliseconds))])
    case .refund(let charge, let amount, let coin):
      return ("charge.refund", [("id", id(charge))] + (amount.map { [("amount", coin.text($0))] } ?? []))
    case .transfer(let legs):
      return (
        "transfer.create",
        [
          (
            "postings",
            .array(
              legs.map {
                ["account": name($0.account), "asset": .string($0.coin.code), "amount": $0.coin.text($0.amount)]
              })
          )
        ]
      )
    case .reverse(let transfer): return ("transfer.reverse", [("id", id(transfer))])
    case .setBudget(let terms):
      let most: (String, JSON) =
        terms.coin.map { ("amount", $0.text(terms.limit)) } ?? ("count", .int(Int64(terms.limit)))
      var fields = [
        ("account", name(terms.account)), ("name", .string(terms.name)), ("window", .string(terms.window)), most,
      ]
      if let coin = terms.coin { fields.append(("asset", .string(coin.code))) }
      if terms.hasThresholds { fields.append(("thresholds", [50, 100])) }
      return ("budget.set", fields)
    case .removeBudget(let account, let budget):
      return ("budget.remove", [("account", name(account)), ("name", .string(budget))])
    case .setLimits(let account, let terms):
      var fields: [(String, JSON)] = [("account", name(account)), ("asset", .string(terms.coin.code))]
      if let limit = terms.perCall { fields.append(("per_call", terms.coin.text(limit))) }
      if let limit = terms.perRun { fields.append(("per_run", terms.coin.text(limit))) }
      if let limit = terms.perHour { fields.append(("charges_per_hour", .int(Int64(limit)))) }
      return ("limit.set", fields)
    case .setFrozen(let account, let isFrozen):
      return (isFrozen ? "account.freeze" : "account.unfreeze", [("account", name(account))])
    case .close(let account): return ("account.close", [("account", name(account))])
    case .setCredit(let account, let coin, let line):
      return (
        "account.set_credit_line",
        [("account", name(account)), ("asset", .string(coin.code)), ("credit_line", coin.text(line))]
      )
    case .register(let skill, let version, let tools, let keepsCurrent):
      let manifest: JSON = [
        "id": .string(Cast.skills[skill]), "version": .string("1.0.\(version)"),
        "tools": .array(zip(Cast.tools, tools).map { Request.json($0, $1) }),
      ]
      return ("skill.register", [("manifest", manifest), ("keep_current", .bool(keepsCurrent))])
    }
  }

  private static func fields(_ call: Beginning) -> [(String, JSON)] {
    var fields: [(String, JSON)] = [
      ("payer", .string(Cast.accounts[call.payer].name)), ("tool", .string(Cast.name(of: call.tool, call.form))),
      ("expires_in_ms", .int(call.milliseconds)),
    ]
    if call.run != 0 { fields.append(("run", .string("run-\(call.run)"))) }
    if call.call != 0 { fields.append(("call", .string("call-\(call.call)"))) }
    if call.parent != 0 { fields.append(("parent", .string("parent-\(call.parent)"))) }
    if call.arguments != 0 { fields.append(("arguments", ["query": .int(Int64(call.arguments))])) }
    if call.key != 0 { fields.append(("idempotency_key", .string("given-\(call.key)"))) }
    if call.ordinal != 0 { fields.append(("ordinal", .int(Int64(call.ordinal)))) }
    if let units = call.expected { fields.append(("expected", ["units": .int(Int64(units))])) }
    if let amount = call.amount { fields.append(("amount", Coin.credits.text(amount))) }
    if let most = call.maxCost { fields.append(("max_cost", Coin.credits.text(most))) }
    if call.chargesAfterwards { fields.append(("charge_afterwards", true)) }
    if call.releasesUnreported { fields.append(("release_unreported", true)) }
    return fields
  }

  private static func fields(_ ending: Ending, _ coin: Coin) -> [(String, JSON)] {
    var fields: [(String, JSON)] = [("ending", .string(ending.how.rawValue)), ("delivered", .bool(ending.isDelivered))]
    switch ending.usage {
    case .units(let units)?: fields.append(("usage", ["units": .int(Int64(units))]))
    case .strange(let count)?: fields.append(("usage", ["images": .int(Int64(count))]))
    case nil: break
    }
    if !ending.lines.isEmpty { fields.append(("lines", .array(ending.lines.map { Request.json($0, coin) }))) }
    if let amount = ending.amount { fields.append(("amount", Coin.credits.text(amount))) }
    return fields
  }

  private static func json(_ line: Line, _ coin: Coin) -> JSON {
    switch line {
    case .units(let units): return ["usage": ["units": .int(Int64(units))]]
    case .tool(let tool, let units?):
      return ["tool": .string(Cast.tools[tool]), "usage": ["units": .int(Int64(units))]]
    case .tool(let tool, nil): return ["tool": .string(Cast.tools[tool])]
    case .amount(let amount, let payee?):
      return ["amount": coin.text(amount), "payee": .string(Cast.accounts[payee].name)]
    case .amount(let amount, nil): return ["amount": coin.text(amount)]
    }
  }

  private static func json(_ name: String, _ tool: ToolTerms) -> JSON {
    let whole = tool.sharing.parts.reduce(0, +)
    return [
      "name": .string(name), "pricing": tool.tariff.json(tool.coin),
      "split": .array(
        zip(tool.sharing.accounts, tool.sharing.parts).map {
          ["account": .string(Cast.accounts[$0].name), "share": .string("\($1)/\(whole)")]
        }),
    ]
  }

  private func fields(_ payment: Payment) -> [(String, JSON)] {
    var fields: [(String, JSON)] = [("payer", .string(Cast.accounts[payment.payer].name))]
    switch payment.cost {
    case .amount(let amount, let coin, let payee):
      fields.append(("amount", coin.text(amount)))
      fields.append(("asset", .string(coin.code)))
      fields.append(("payee", .string(Cast.accounts[payee].name)))
      if let most = payment.maxCost { fields.append(("max_cost", coin.text(most))) }
    case .tool(let tool, let units):
      fields.append(("tool", .string(Cast.name(of: tool, payment.form))))
      if let units { fields.append(("usage", ["units": .int(Int64(units))])) }
      // Seven digits are exact in both assets.
      if let most = payment.maxCost { fields.append(("max_cost", Coin.credits.text(most))) }
    case .dynamic(let amount):
      fields.append(("tool", .string(Cast.name(of: Cast.dynamicTool, payment.form))))
      if let amount { fields.append(("amount", Coin.credits.text(amount))) }
      if let most = payment.maxCost { fields.append(("max_cost", Coin.credits.text(most))) }
    }
    if payment.run != 0 { fields.append(("run", .string("run-\(payment.run)"))) }
    return fields
  }
}
