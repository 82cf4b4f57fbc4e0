import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// Random operations against the slow and obvious ledger: after every step both say the same.
@Suite struct LedgerPropertyTests {
  private static let wallets = ["user:ana", "org:acme", "org:acme/dept:sales", "agent:a", "platform"]
  private static let payers = [
    "user:ana", "org:acme", "org:acme/dept:sales", "org:acme/dept:lab", "org:acme/dept:lab/agent:x",
  ]
  private static let payees = ["agent:a", "platform", "user:ana"]

  /// One engine and its reference, driven by one seed.
  private final class Run {
    let seed: UInt64
    let ledger: TestLedger
    var generator: SeededGenerator
    var reference: ReferenceLedger
    /// The engine's numbers of the reference's holds and charges.
    var holds: [Int64] = []
    var charges: [Int64] = []
    var trace: [String] = []
    var budgetNames: Set<String> = []

    init(seed: UInt64) throws {
      self.seed = seed
      generator = SeededGenerator(seed: seed)
      ledger = try TestLedger(inFile: true)
      reference = ReferenceLedger(now: ledger.clock.now)
      for (name, parent, owns) in [
        ("external", nil, true), ("platform", nil, true), ("user:ana", nil, true), ("agent:a", nil, true),
        ("org:acme", nil, true), ("org:acme/dept:sales", "org:acme", true), ("org:acme/dept:lab", "org:acme", false),
        ("org:acme/dept:lab/agent:x", "org:acme/dept:lab", false),
      ] as [(String, String?, Bool)] {
        reference.accounts[name] = ReferenceLedger.Account(parent: parent, ownsWallet: owns)
        if name != "external", name != "platform" {
          _ = try ledger.engine.call("account.open", ["account": .string(name), "wallet": owns ? "own" : "parent"])
        }
      }
    }

    func text(_ units: Int128) -> JSON { .string(Amount.text(Int64(units), scale: 9, minorDigits: 2)) }

    /// Mostly small, sometimes nothing, sometimes large.
    func amount() -> Int128 {
      switch generator.below(10) {
      case 0: 0
      case 1: Int128(generator.below(2_000_000_000_000))
      default: Int128(generator.below(4_000_000_000))
      }
    }

    func key() -> String {
      generator.chance(40) ? "key-\(generator.below(25))" : generator.chance(60) ? "new-\(generator.next())" : ""
    }

    func call(_ operation: String, _ fields: [(String, JSON)], key: String) -> (status: Status, receipt: JSONObject) {
      var input = JSONObject(fields)
      if !key.isEmpty { input.append("idempotency_key", .string(key)) }
      trace.append("\(operation) \(JSON.object(input).serialized())")
      do throws(Failure) {
        return (.ok, try ledger.engine.call(operation, .object(input)).object ?? [:])
      } catch {
        return (error.status, [:])
      }
    }

    func compare(
      _ found: (status: Status, receipt: JSONObject), _ expected: ReferenceLedger.Outcome, hasBalance: Bool = true
    ) {
      var isSame = found.status == expected.status
      if isSame, expected.status == .ok {
        isSame =
          found.receipt["amount"] == text(expected.amount) && found.receipt["replayed"] == .bool(expected.isReplayed)
        if hasBalance {
          isSame =
            isSame && found.receipt["balance"] == text(expected.balance)
            && found.receipt["available"] == text(expected.available)
        }
      }
      if !isSame { fail("expected \(expected), found \(found.status) \(JSON.object(found.receipt).serialized())") }
    }

    func fail(_ what: String) {
      Issue.record("seed \(seed), step \(trace.count): \(what)\n\(trace.suffix(12).joined(separator: "\n"))")
    }

    func compareBalances() {
      for wallet in LedgerPropertyTests.wallets {
        let expected = reference
        let found = wallet.withBorrowedText { name in try? ledger.engine.balance(of: name) }
        if Int128(found?.balance ?? 0) != expected.balance(wallet) || Int128(found?.held ?? 0) != expected.held(wallet)
          || Int128(found?.available ?? 0) != expected.available(wallet)
        {
          fail("\(wallet) has \(String(describing: found)), expected \(expected.balance(wallet))")
        }
      }
    }

    func compareBudgets() {
      for budget in reference.budgets {
        guard
          let rows = try? ledger.engine.call("budget.list", ["account": .string(budget.account)]).object?["budgets"]?
            .array
        else { return fail("no budgets") }
        let row = rows.first {
          $0.object?["name"]?.string == budget.name && $0.object?["account"]?.string == budget.account
        }
        let (spent, held) = reference.counted(budget, around: reference.now)
        func shown(_ units: Int128) -> JSON { budget.countsCharges ? .string(String(units)) : text(units) }
        if row?.object?["spent"] != shown(spent) || row?.object?["held"] != shown(held) {
          fail("\(budget) has \(row?.serialized() ?? "nothing"), expected \(spent) and \(held)")
        }
      }
    }
  }

  @Test func `random operations agree with the reference ledger`() throws {
    let seed = SeededGenerator.seed()
    print("LedgerPropertyTests: FAREBOX_SEED=\(seed)")
    var seeds = SeededGenerator(seed: seed)
    for _ in 0..<200 * SeededGenerator.factor {
      let run = try Run(seed: seeds.next())
      let before = run.trace.count
      for _ in 0..<60 { try step(run) }
      run.compareBudgets()
      do {
        try run.ledger.engine.expectSound("seed \(run.seed)")
        try run.ledger.reopen()
        run.compareBalances()
        run.compareBudgets()
        try run.ledger.engine.expectSound("seed \(run.seed)")
      } catch {
        run.fail("\(error)")
      }
      #expect(run.trace.count > before)
    }
  }

  private func step(_ run: Run) throws {
    let clock = run.ledger.clock
    if run.generator.chance(30) { clock.advance(Int64(run.generator.below(20 * 60_000_000))) }
    if run.generator.chance(5) { clock.advance(Int64(run.generator.below(12)) * 3_600_000_000) }
    run.reference.now = clock.now
    switch run.generator.below(100) {
    case 0..<8: deposit(run)
    case 8..<35: charge(run)
    case 35..<55: reserve(run)
    case 55..<72: capture(run)
    case 72..<77: release(run)
    case 77..<80: extend(run)
    case 80..<86: refund(run)
    case 86..<89: transfer(run)
    case 89..<92: setBudget(run)
    case 92..<94: setLimits(run)
    case 94..<96: setFlag(run)
    case 96: setCredit(run)
    case 97: try run.ledger.engine.sealNow()
    case 98: try run.ledger.reopen()
    default: _ = try run.ledger.engine.tick()
    }
    run.reference.expire()
    run.compareBalances()
  }

  private func deposit(_ run: Run) {
    let account = run.generator.pick(Self.payers)
    let amount = run.amount() + 1
    let key = run.key()
    run.compare(
      run.call("account.deposit", [("account", .string(account)), ("amount", run.text(amount))], key: key),
      run.reference.deposit(account, amount, key: key))
  }

  private func charge(_ run: Run) {
    let account = run.generator.pick(Self.payers)
    let payee = run.generator.pick(Self.payees)
    let amount = run.amount()
    let name = run.generator.chance(50) ? "run-\(run.generator.below(3))" : ""
    let key = run.key()
    var fields: [(String, JSON)] = [
      ("payer", .string(account)), ("amount", run.text(amount)), ("payee", .string(payee)),
    ]
    if !name.isEmpty { fields.append(("run", .string(name))) }
    let found = run.call("charge.create", fields, key: key)
    let expected = run.reference.charge(account, amount, payee: payee, run: name, key: key)
    run.compare(found, expected)
    if expected.status == .ok, !expected.isReplayed { run.charges.append(found.receipt["id"]?.int64 ?? 0) }
  }

  private func reserve(_ run: Run) {
    let account = run.generator.pick(Self.payers)
    let payee = run.generator.pick(Self.payees)
    let amount = run.amount()
    let name = run.generator.chance(50) ? "run-\(run.generator.below(3))" : ""
    // A repeat with other terms is for IdempotencyTests; here the terms follow from the key.
    let key = run.key()
    let milliseconds = Int64(run.generator.below(4_000_000)) + 1
    let policy = run.generator.pick(["reject", "cap"])
    guard run.reference.keys[key]?.request.hasPrefix("reserve") != true else { return }
    var fields: [(String, JSON)] = [
      ("payer", .string(account)), ("amount", run.text(amount)), ("payee", .string(payee)),
      ("expires_in_ms", .int(milliseconds)), ("over_capture", .string(policy)),
    ]
    if !name.isEmpty { fields.append(("run", .string(name))) }
    let found = run.call("hold.reserve", fields, key: key)
    let expected = run.reference.reserve(
      account, amount, payee: payee, run: name, milliseconds: milliseconds, policy: policy, key: key)
    run.compare(found, expected)
    if expected.status == .ok, !expected.isReplayed { run.holds.append(found.receipt["hold"]?.int64 ?? 0) }
  }

  private func capture(_ run: Run) {
    guard !run.holds.isEmpty else { return }
    // Mostly a recent one, which may still be open.
    let index = max(0, run.holds.count - 1 - run.generator.below(run.generator.chance(80) ? 4 : 100))
    let amount: Int128? = run.generator.chance(40) ? nil : run.amount() / 2
    let isFinal = run.generator.chance(60)
    let key = run.key()
    var fields: [(String, JSON)] = [("hold", .int(run.holds[index])), ("final", .bool(isFinal))]
    if let amount { fields.append(("amount", run.text(amount))) }
    let found = run.call("hold.capture", fields, key: key)
    let expected = run.reference.capture(index, amount, isFinal: isFinal, key: key)
    run.compare(found, expected)
    if expected.status == .ok, !expected.isReplayed { run.charges.append(found.receipt["id"]?.int64 ?? 0) }
  }

  private func release(_ run: Run) {
    guard !run.holds.isEmpty else { return }
    let index = run.generator.below(run.holds.count)
    run.compare(run.call("hold.release", [("hold", .int(run.holds[index]))], key: ""), run.reference.release(index))
  }

  private func extend(_ run: Run) {
    guard !run.holds.isEmpty else { return }
    let index = run.generator.below(run.holds.count)
    let milliseconds = Int64(run.generator.below(4_000_000)) + 1
    run.compare(
      run.call("hold.extend", [("hold", .int(run.holds[index])), ("expires_in_ms", .int(milliseconds))], key: ""),
      run.reference.extend(index, milliseconds: milliseconds))
  }

  private func refund(_ run: Run) {
    guard !run.charges.isEmpty else { return }
    let index = run.generator.below(run.charges.count)
    let amount: Int128? = run.generator.chance(30) ? nil : run.amount() / 4
    let key = run.key()
    var fields: [(String, JSON)] = [("id", .int(run.charges[index]))]
    if let amount { fields.append(("amount", run.text(amount))) }
    run.compare(run.call("charge.refund", fields, key: key), run.reference.refund(index, amount, key: key))
  }

  private func transfer(_ run: Run) {
    let from = run.generator.pick(Self.wallets)
    let to = run.generator.pick(Self.wallets.filter { $0 != from })
    let amount = run.amount()
    let key = run.key()
    let postings: JSON = [
      ["account": .string(from), "amount": run.text(-amount)], ["account": .string(to), "amount": run.text(amount)],
    ]
    run.compare(
      run.call("transfer.create", [("postings", postings)], key: key),
      run.reference.transfer(from, to, amount, key: key), hasBalance: amount > 0)
  }

  private func setBudget(_ run: Run) {
    run.reference.expire()
    let account = run.generator.pick(Self.payers)
    let name = run.generator.pick(["one", "two"])
    let window = run.generator.pick(["hour", "day", "week", "month", "lifetime"])
    let countsCharges = run.generator.chance(30)
    let limit = countsCharges ? Int128(run.generator.below(20)) : run.amount() * 4
    let existing = run.reference.budgets.firstIndex { $0.account == account && $0.name == name }
    if run.generator.chance(20) {
      let found = run.call("budget.remove", [("account", .string(account)), ("name", .string(name))], key: "")
      if found.status != (existing == nil ? .budgetNotFound : .ok) { run.fail("removal: \(found.status)") }
      if let existing { run.reference.budgets.remove(at: existing) }
      return
    }
    let amount: (String, JSON) = countsCharges ? ("count", .int(Int64(limit))) : ("amount", run.text(limit))
    let found = run.call(
      "budget.set", [("account", .string(account)), ("name", .string(name)), ("window", .string(window)), amount],
      key: "")
    if found.status != .ok { run.fail("budget: \(found.status)") }
    if let existing, run.reference.budgets[existing].window == window,
      run.reference.budgets[existing].countsCharges == countsCharges
    {
      run.reference.budgets[existing].limit = limit
      return
    }
    if let existing { run.reference.budgets.remove(at: existing) }
    run.reference.budgets.append(
      ReferenceLedger.Budget(
        account: account, name: name, window: window, countsCharges: countsCharges, limit: limit,
        since: run.reference.spendings.count))
  }

  private func setLimits(_ run: Run) {
    run.reference.expire()
    let account = run.generator.pick(Self.payers)
    let before = run.reference.limits[account]
    var limits = ReferenceLedger.Limits(
      runsSince: run.reference.spendings.count, rateSince: run.reference.spendings.count)
    var fields: [(String, JSON)] = [("account", .string(account))]
    if run.generator.chance(30) {
      let limit = run.amount() + 500_000_000
      limits.perCall = limit
      fields.append(("per_call", run.text(limit)))
    }
    if run.generator.chance(40) {
      let limit = run.amount() * 3 + 500_000_000
      limits.perRun = limit
      fields.append(("per_run", run.text(limit)))
    }
    if run.generator.chance(30) {
      limits.perHour = run.generator.below(6) + 1
      fields.append(("charges_per_hour", .int(Int64(limits.perHour ?? 0))))
    }
    // A limit that was there before goes on counting.
    if let before, before.perRun != nil, limits.perRun != nil { limits.runsSince = before.runsSince }
    if let before, before.perHour != nil, limits.perHour != nil { limits.rateSince = before.rateSince }
    let found = run.call("limit.set", fields, key: "")
    if found.status != .ok { run.fail("limits: \(found.status)") }
    run.reference.limits[account] = limits
  }

  private func setFlag(_ run: Run) {
    let account = run.generator.pick(["user:ana", "org:acme/dept:lab", "org:acme/dept:sales"])
    let freezes = run.generator.chance(40)
    _ = run.call(freezes ? "account.freeze" : "account.unfreeze", [("account", .string(account))], key: "")
    run.reference.accounts[account]?.isFrozen = freezes
  }

  private func setCredit(_ run: Run) {
    let account = run.generator.pick(["user:ana", "org:acme"])
    let line = run.amount()
    _ = run.call(
      "account.set_credit_line", [("account", .string(account)), ("credit_line", run.text(line))], key: "")
    run.reference.accounts[account]?.creditLine = line
  }

  @Test func `a long sequence with keys is the same after many seals and merges`() throws {
    let seed = SeededGenerator.seed()
    print("LedgerPropertyTests: FAREBOX_SEED=\(seed)")
    var generator = SeededGenerator(seed: seed)
    let ledger = try TestLedger(inFile: true) { $0.keyMemoryBytes = 1 << 20 }
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "1000"])
    var known: [String: Int64] = [:]
    var order = ["first"]
    var balance: Int64 = 1_000_000_000_000
    // Every batch passes the threshold of 8,192 records, so each but the first begins with a seal, and the eighth of
    // these merges all runs.
    for batch in 0..<9 * SeededGenerator.factor {
      let arena = TextArena()
      let payer = arena.add("user:ana")
      let keys = (0..<8_800).map { _ in
        generator.chance(5) ? generator.pick(order) : "key-\(generator.next())"
      }
      var wrong = 0
      _ = try ledger.engine.chargeMany(count: keys.count) { _ in
        (.empty, .empty)
      } request: { index throws(Failure) in
        var request = ChargeRequest()
        request.payer = payer
        request.amount = 1
        request.key = arena.add(keys[index])
        return request
      } result: { index, result in
        guard case .success(let receipt) = result else {
          wrong += 1
          return
        }
        let before = known[keys[index]]
        if receipt.isReplayed != (before != nil) { wrong += 1 }
        if before == nil {
          balance -= 1
          order.append(keys[index])
        }
        if receipt.balance != before ?? balance { wrong += 1 }
        known[keys[index]] = receipt.balance
      }
      #expect(wrong == 0, "seed \(seed), batch \(batch)")
      if batch % 3 == 2 { try ledger.reopen() }
    }
    _ = try ledger.engine.tick()
    let levels = ledger.engine.withLedger { $0.keys.runs.map(\.level) }
    #expect(levels.contains(1), "\(levels)")
    #expect(ledger.engine.withLedger { $0.keys.bytes } <= 1 << 20)
    try ledger.engine.expectSound("seed \(seed)")
  }
}
