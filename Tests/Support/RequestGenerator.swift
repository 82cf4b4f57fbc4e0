/// Random requests of several callers, that make sense in a world: they name what is there, repeat what was asked, and
/// ask for more than there is.
package struct RequestGenerator {
  package var random: SeededGenerator
  private var serial = 0
  private var version = 0
  /// Everything that was asked with a key.
  private var asked: [Request] = []
  /// Metered calls that were begun, and how some were finished.
  private var begun: [Beginning] = []
  private var finished: [(hold: Int, ending: Ending, coin: Coin)] = []

  package init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
  }

  /// What brings the cast and some money in.
  package mutating func opening() -> [Request] {
    var actions: [Action] = [.openAsset(.credits)]
    for account in Cast.accounts.indices.dropFirst(Cast.builtIn) { actions.append(.openAccount(account)) }
    for coin in Coin.allCases {
      actions.append(.deposit(2, coin, 20 * unit(coin)))
      actions.append(.deposit(5, coin, 20 * unit(coin)))
    }
    actions.append(version(of: 0, tools: Cast.tools.count))
    // So that something is counted from the beginning, in windows that change often.
    for (account, window) in [(2, "hour"), (5, "hour"), (5, "day"), (7, "day")] {
      actions.append(
        .setBudget(
          BudgetTerms(
            account: account, name: window, window: window, coin: .usd, limit: 40 * unit(.usd), hasThresholds: false)))
    }
    actions.append(.setLimits(5, LimitTerms(coin: .usd, perCall: nil, perRun: 15 * unit(.usd), perHour: nil)))
    return actions.map { request($0, key: "") }
  }

  /// Requests for one turn: mostly one, sometimes a batch of charges.
  package mutating func next(in world: ReferenceLedger, _ ids: [Int: Int64]) -> [Request] {
    if random.chance(8) {
      var batch: [Request] = []
      for _ in 0..<random.below(6) + 2 {
        let key = key()
        let payment = payment(in: world)
        batch.append(request(.charge(payment), key: key))
        if random.chance(15), !key.isEmpty { batch.append(batch[batch.count - 1]) }
      }
      return batch
    }
    if random.chance(10), let again = again(ids) { return [again] }
    return [request(action(in: world, ids), key: key())]
  }

  /// A deposit, which nothing refuses.
  package mutating func deposit() -> Request {
    request(.deposit(random.pick(Cast.everybody), .usd, amount(.usd) + 1), key: "")
  }

  /// A request that was made before, or another under its key.
  private mutating func again(_ ids: [Int: Int64]) -> Request? {
    guard !asked.isEmpty else { return nil }
    var request = random.pick(asked)
    if let subject = request.subject, ids[subject] == nil { return nil }
    guard random.chance(30) else { return request }
    switch request.action {
    case .deposit(let account, let coin, let amount): request.action = .deposit(account, coin, amount + 1)
    case .withdraw(let account, let coin, let amount): request.action = .withdraw(account, coin, amount + 1)
    case .charge(let payment): request.action = .charge(changed(payment))
    case .reserve(let payment, let milliseconds, let policy):
      request.action =
        random.chance(70)
        ? .reserve(changed(payment), milliseconds: milliseconds, policy)
        : .reserve(payment, milliseconds: milliseconds + 1, policy)
    case .increase(let hold, let amount, let coin):
      request.action = .increase(hold: hold, amount + 1, coin)
    case .capture(let hold, .lines(let lines), let isFinal, let coin) where random.chance(50):
      // Another order is another request.
      request.action = .capture(
        hold: hold, .lines([.amount(1, payee: nil)] + lines.reversed()), isFinal: isFinal, coin: coin)
    case .capture(let hold, let taking, let isFinal, let coin):
      request.action = .capture(hold: hold, taking, isFinal: !isFinal, coin: coin)
    case .refund(let charge, let amount, let coin):
      request.action = .refund(charge: charge, (amount ?? 0) + 1, coin)
    case .transfer(let legs):
      request.action = .transfer(legs.map { Leg(account: $0.account, coin: $0.coin, amount: $0.amount * 2) })
    default: return nil
    }
    return request
  }

  /// A payment that differs in one thing from another.
  private mutating func changed(_ payment: Payment) -> Payment {
    var payment = payment
    switch random.below(5) {
    case 0: payment.maxCost = payment.maxCost.map { $0 + 1 } ?? 0
    case 1: payment.payer = random.pick(Cast.payers.filter { $0 != payment.payer })
    case 2:
      switch payment.cost {
      case .amount(let amount, let coin, let payee): payment.cost = .amount(amount + 1, coin, payee: payee)
      case .tool(let tool, let units?): payment.cost = .tool(tool, units: units + 1)
      case .tool(_, nil): payment.run += 1
      case .dynamic(let amount): payment.cost = .dynamic(amount.map { $0 + 1 } ?? 0)
      }
    case 3:
      // Another payee, also one on the same wallet.
      if case .amount(let amount, let coin, let payee) = payment.cost {
        payment.cost = .amount(amount, coin, payee: random.pick(Cast.payees.filter { $0 != payee }))
      } else {
        payment.run += 1
      }
    default: payment.run += 1
    }
    return payment
  }

  private mutating func request(_ action: Action, key: String) -> Request {
    serial += 1
    var takesKey = true
    switch action {
    case .charge, .reserve, .increase, .capture, .refund, .transfer, .reverse, .deposit, .withdraw: break
    default: takesKey = false
    }
    let request = Request(action, key: takesKey ? key : "", serial: serial)
    if !request.key.isEmpty { asked.append(request) }
    return request
  }

  private mutating func key() -> String {
    random.chance(75) ? "key-\(serial)-\(random.below(1_000_000))" : ""
  }

  private func unit(_ coin: Coin) -> Int128 {
    coin == .usd ? 1_000_000_000 : 10_000_000
  }

  private mutating func coin() -> Coin { random.chance(75) ? .usd : .credits }

  /// Mostly small, sometimes nothing, sometimes large.
  private mutating func amount(_ coin: Coin) -> Int128 {
    switch random.below(12) {
    case 0: 0
    case 1: Int128(random.below(2_000)) * unit(coin)
    default: Int128(random.below(4_000)) * unit(coin) / 1_000 + Int128(random.below(1_000))
    }
  }

  // MARK: What is asked

  private mutating func action(in world: ReferenceLedger, _ ids: [Int: Int64]) -> Action {
    if random.chance(24) {
      if random.chance(50), let end = finish(in: world, ids) { return end }
      return .begin(beginning(in: world))
    }
    switch random.below(100) {
    case 0..<8:
      let coin = coin()
      return .deposit(random.pick(Cast.everybody + [Cast.closable]), coin, amount(coin) + 1)
    case 8..<10:
      if random.chance(20) { return .close(Cast.closable) }
      let coin = coin()
      return .withdraw(random.pick(Cast.everybody), coin, amount(coin) / 2 + 1)
    case 10..<31: return .charge(payment(in: world))
    case 31..<35:
      if let hold = hold(in: world, ids, { $0.call == nil }) { return increase(hold, in: world) }
    case 35..<53: return reservation(in: world)
    case 53..<69:
      if let hold = hold(in: world, ids, { $0.call == nil }) { return capture(hold, in: world) }
    case 69..<73:
      if let hold = hold(in: world, ids) { return .release(hold: hold.serial) }
    case 73..<76:
      if let hold = hold(in: world, ids) {
        return .extend(hold: hold.serial, milliseconds: Int64(random.below(4_000_000)) + 1)
      }
    case 76..<83:
      let known = world.charges.filter { ids[$0.serial] != nil }
      if !known.isEmpty {
        // What was charged last is still in a window that is counted.
        let charge = random.pick(random.chance(50) ? known.suffix(3) : known)
        let part: Int128? = random.chance(30) ? nil : charge.amount * Int128(random.below(120)) / 200
        return .refund(charge: charge.serial, part, charge.coin)
      }
    case 83..<87: return transfer()
    case 87..<88:
      let known = world.transfers.filter { ids[$0.serial] != nil }
      if !known.isEmpty { return .reverse(transfer: random.pick(known).serial) }
    case 88..<92: return budget()
    case 92..<94: return limits()
    case 94..<96: return .setFrozen(random.pick([2, 5, 6, 7]), random.chance(35))
    case 96..<97:
      let coin = coin()
      return .setCredit(random.pick([2, 5]), coin, amount(coin))
    case 97..<99: return register(in: world)
    default: break
    }
    return .charge(payment(in: world))
  }

  private mutating func payment(in world: ReferenceLedger) -> Payment {
    var payment = Payment(payer: random.pick(Cast.payers), cost: .tool(0, units: nil), run: 0, maxCost: nil)
    if random.chance(45) {
      // The first tool is flat in every version, the last dynamic, and the others are neither.
      let tool = random.below(Cast.tools.count)
      if tool == Cast.dynamicTool {
        payment.cost = .dynamic(random.chance(90) ? amount(.credits) : nil)
      } else {
        payment.cost = .tool(tool, units: tool == 0 ? nil : random.below(400) + 2)
      }
      payment.form = form(in: world)
      if random.chance(25) { payment.maxCost = random.chance(10) ? 0 : Int128(random.below(40_000_000)) + 1 }
    } else {
      let coin = coin()
      if random.chance(40) { payment.run = random.below(3) + 1 }
      var units = amount(coin)
      let edges = world.edges(for: payment.payer, coin, run: payment.run)
      if !edges.isEmpty, random.chance(15) { units = random.pick(edges) + (random.chance(50) ? 1 : 0) }
      payment.cost = .amount(units, coin, payee: random.pick(Cast.payees))
      if random.chance(10) { payment.maxCost = units * Int128(random.below(150)) / 100 }
      return payment
    }
    if random.chance(40) { payment.run = random.below(3) + 1 }
    return payment
  }

  /// A name of a tool, which mostly leads somewhere.
  private mutating func form(in world: ReferenceLedger) -> ToolForm {
    let skill = random.chance(25) ? 1 : 0
    switch random.below(10) {
    case 0..<4: return .plain
    case 4..<7: return .full(skill: skill)
    default:
      let versions = world.skills[skill].map { $0.versions.keys.sorted() } ?? []
      return .pinned(skill: skill, version: versions.isEmpty || random.chance(3) ? 0 : random.pick(versions))
    }
  }

  private mutating func reservation(in world: ReferenceLedger) -> Action {
    let milliseconds = random.chance(15) ? random.below(60 * 86_400_000) : random.below(4_000_000)
    return .reserve(payment(in: world), milliseconds: Int64(milliseconds) + 1, random.pick(Policy.allCases))
  }

  /// A hold whose number is known; mostly one that is open.
  private mutating func hold(
    in world: ReferenceLedger, _ ids: [Int: Int64], _ isWanted: (ReferenceLedger.Hold) -> Bool = { _ in true }
  ) -> ReferenceLedger.Hold? {
    let known = world.holds.filter { ids[$0.serial] != nil && isWanted($0) }
    let open = known.filter { $0.end == nil }
    if !open.isEmpty, random.chance(85) { return random.pick(open) }
    return known.isEmpty ? nil : random.pick(known)
  }

  // MARK: Metered calls

  /// A call that begins: mostly a new one, and often one that was tried before.
  private mutating func beginning(in world: ReferenceLedger) -> Beginning {
    if !begun.isEmpty, random.chance(35) {
      var call = random.pick(random.chance(70) ? Array(begun.suffix(5)) : begun)
      // A retry may estimate something else, and another call may have the same key.
      if random.chance(20) { call.expected = random.below(300) }
      if random.chance(25) {
        switch random.below(6) {
        case 0: call.arguments = 3 - call.arguments
        case 1: call.run = random.below(3) + 1
        case 2: call.payer = random.pick(Cast.payers)
        case 3: call.call += 1
        case 4: call.ordinal += 1
        default: call.form = form(in: world)
        }
      }
      return call
    }
    let tool = random.below(Cast.tools.count)
    var call = Beginning(
      payer: random.pick(Cast.payers), tool: tool, form: form(in: world),
      milliseconds: Int64(random.chance(15) ? random.below(60_000) : random.below(4_000_000)) + 1)
    if random.chance(40) { call.run = random.below(3) + 1 }
    if random.chance(60) {
      call.call = random.below(6) + 1
      call.arguments = random.below(3)
      if random.chance(20) { call.ordinal = random.below(3) }
    }
    if random.chance(20) { call.parent = random.below(3) + 1 }
    if random.chance(15) { call.key = serial + 1 }
    if tool == Cast.dynamicTool ? random.chance(95) : random.chance(2) { call.amount = amount(.credits) }
    if random.chance(50) { call.expected = random.chance(5) ? 0 : random.below(300) + 1 }
    if random.chance(40) { call.maxCost = random.chance(10) ? 0 : Int128(random.below(40_000_000)) + 1 }
    call.chargesAfterwards = random.chance(60)
    call.releasesUnreported = random.chance(25)
    begun.append(call)
    return call
  }

  /// The end of a call: of one that is under way, of one whose hold is over, or one that came before.
  private mutating func finish(in world: ReferenceLedger, _ ids: [Int: Int64]) -> Action? {
    if !finished.isEmpty, random.chance(12) {
      let again = random.pick(Array(finished.suffix(5)))
      if ids[again.hold] != nil { return .finish(hold: again.hold, again.ending, coin: again.coin) }
    }
    guard let hold = hold(in: world, ids, { $0.call != nil }) else { return nil }
    var ending = Ending(how: .returned, isDelivered: random.chance(45), usage: nil)
    switch random.below(100) {
    case 0..<48: ending.how = .returned
    case 48..<60: ending.how = .reportedFailure
    case 60..<80: ending.how = .failed
    default: ending.how = .left
    }
    switch random.below(100) {
    case 0..<50: ending.usage = .units(random.below(random.chance(20) ? 4_000 : 500))
    case 50..<56: ending.usage = .units(0)
    case 56..<64: ending.usage = .strange(random.below(5) + 1)
    default: break
    }
    if hold.tariff?.isMetered == false, random.chance(30) { ending.amount = amount(.credits) }
    if random.chance(15) {
      for _ in 0..<random.below(2) + 1 {
        let tool = random.below(Cast.toolCoins.count)
        if random.chance(50), Cast.toolCoins[tool] == hold.coin || random.chance(5) {
          ending.lines.append(.tool(tool, units: tool == 0 ? nil : random.below(300) + 2))
        } else {
          ending.lines.append(
            .amount(amount(hold.coin), payee: random.chance(50) ? random.pick(Cast.payees) : nil))
        }
      }
    }
    finished.append((hold.serial, ending, hold.coin))
    return .finish(hold: hold.serial, ending, coin: hold.coin)
  }

  private mutating func increase(_ hold: ReferenceLedger.Hold, in world: ReferenceLedger) -> Action {
    let edges = world.increaseEdges(of: hold)
    if !edges.isEmpty, random.chance(25) {
      return .increase(hold: hold.serial, random.pick(edges) + (random.chance(50) ? 1 : 0), hold.coin)
    }
    return .increase(hold: hold.serial, amount(hold.coin), hold.coin)
  }

  private mutating func capture(_ hold: ReferenceLedger.Hold, in world: ReferenceLedger) -> Action {
    let isFinal = random.chance(60)
    if random.chance(25) { return lines(hold, in: world, isFinal: isFinal) }
    if hold.tariff?.isMetered == true, random.chance(40) {
      return .capture(hold: hold.serial, .units(random.below(500) + 2), isFinal: isFinal, coin: hold.coin)
    }
    if random.chance(30) { return .capture(hold: hold.serial, .rest, isFinal: isFinal, coin: hold.coin) }
    if hold.policy == .overflow, hold.end == nil, random.chance(40) {
      let edges = world.edges(of: hold)
      if !edges.isEmpty {
        let most = random.pick(edges) + (random.chance(50) ? 1 : 0)
        return .capture(hold: hold.serial, .amount(most, hold.coin), isFinal: isFinal, coin: hold.coin)
      }
    }
    let most = hold.remaining > 0 ? hold.remaining : 1_000_000
    return .capture(
      hold: hold.serial, .amount(most * Int128(random.below(160)) / 100, hold.coin), isFinal: isFinal,
      coin: hold.coin)
  }

  /// A capture of several lines, which mostly fit into what is left of the hold.
  private mutating func lines(
    _ hold: ReferenceLedger.Hold, in world: ReferenceLedger, isFinal: Bool
  ) -> Action {
    let count = random.below(4) + 1
    var lines: [Line] = []
    for _ in 0..<count {
      switch random.below(4) {
      case 0 where hold.tariff?.isMetered != false: lines.append(.units(random.below(300) + 2))
      case 1:
        let tool = random.below(Cast.toolCoins.count)
        // The first tool is flat, these others never.
        if Cast.toolCoins[tool] == hold.coin || random.chance(10) {
          lines.append(.tool(tool, units: tool == 0 ? nil : random.below(300) + 2))
        }
      default:
        let most = hold.remaining > 0 ? hold.remaining : 1_000_000
        let amount = most * Int128(random.below(120)) / 100 / Int128(count)
        lines.append(.amount(amount, payee: random.chance(50) ? random.pick(Cast.payees) : nil))
      }
    }
    if lines.isEmpty { lines.append(.amount(Int128(random.below(1_000)), payee: nil)) }
    return .capture(hold: hold.serial, .lines(lines), isFinal: isFinal, coin: hold.coin)
  }

  private mutating func transfer() -> Action {
    var legs: [Leg] = []
    for _ in 0..<(random.chance(25) ? 2 : 1) {
      let coin = coin()
      let amount = amount(coin) + 2
      let from = random.pick(Cast.everybody)
      let to = random.pick((Cast.everybody + [Cast.closable]).filter { $0 != from })
      legs.append(Leg(account: from, coin: coin, amount: -amount))
      if random.chance(30) {
        legs.append(Leg(account: to, coin: coin, amount: amount - amount / 2))
        legs.append(Leg(account: random.pick(Cast.payees), coin: coin, amount: amount / 2))
      } else {
        legs.append(Leg(account: to, coin: coin, amount: amount))
      }
    }
    return .transfer(legs)
  }

  private mutating func budget() -> Action {
    let account = random.pick(Cast.payers)
    let name = random.pick(["one", "two"])
    if random.chance(25) { return .removeBudget(account, name) }
    let coin: Coin? = random.chance(30) ? nil : coin()
    return .setBudget(
      BudgetTerms(
        account: account, name: name, window: random.pick(["hour", "day", "week", "month", "lifetime"]), coin: coin,
        limit: coin.map { amount($0) * 4 } ?? Int128(random.below(20)), hasThresholds: random.chance(30)))
  }

  private mutating func limits() -> Action {
    let coin = coin()
    var terms = LimitTerms(coin: coin, perCall: nil, perRun: nil, perHour: nil)
    if random.chance(30) { terms.perCall = amount(coin) + unit(coin) / 2 }
    if random.chance(50) { terms.perRun = amount(coin) * 3 + unit(coin) / 2 }
    if random.chance(25) { terms.perHour = random.below(random.chance(50) ? 2 : 8) + 1 }
    return .setLimits(random.pick(Cast.payers), terms)
  }

  /// A version of a skill: a new one, or one that was registered before.
  private mutating func register(in world: ReferenceLedger) -> Action {
    let skill = random.chance(40) ? 1 : 0
    if let known = world.skills[skill], random.chance(35) {
      let version = random.pick(known.versions.keys.sorted())
      if let tools = known.versions[version] {
        return .register(skill: skill, version: version, tools, keepsCurrent: random.chance(50))
      }
    }
    // The second skill mostly has none of the tools, so that plain names go on leading somewhere.
    let count = Cast.tools.count
    return version(of: skill, tools: random.chance(skill == 0 ? 25 : 60) ? random.below(count) : skill == 0 ? count : 0)
  }

  /// A new version of a skill, with other prices and splits.
  private mutating func version(of skill: Int, tools count: Int) -> Action {
    version += 1
    var tools: [ToolTerms] = []
    for (index, coin) in Cast.toolCoins.prefix(count).enumerated() {
      let tariff: Tariff
      func rate() -> Int128 { Int128(random.below(300)) * unit(coin) / 100_000 + Int128(random.below(10)) }
      // The first tool is flat for good, so that a repeat under another version has the usage that its price needs.
      switch index == 0 ? 0 : random.below(3) + 1 {
      case 0: tariff = .flat(Int128(random.below(900)) * unit(coin) / 1_000 + 1)
      case 1: tariff = .perUnit(rate(), maximum: random.chance(40) ? unit(coin) / 3 : nil)
      case 2: tariff = .graduated(upTo: Int128(random.below(200)) + 1, rate(), above: rate())
      default: tariff = .volume(upTo: Int128(random.below(200)) + 1, rate(), above: rate())
      }
      tools.append(ToolTerms(tariff: tariff, coin: coin, sharing: sharing()))
    }
    if count > Cast.dynamicTool {
      let coin = coin()
      let minimum = random.chance(30) ? unit(coin) / (random.chance(50) ? 2 : 100) : 0
      let tariff = Tariff.dynamic(minimum: minimum, maximum: random.chance(50) ? unit(coin) : nil)
      tools.append(ToolTerms(tariff: tariff, coin: coin, sharing: sharing()))
    }
    return .register(skill: skill, version: version, tools, keepsCurrent: random.chance(50))
  }

  private mutating func sharing() -> Sharing {
    var accounts = [1, 3, 4, 6, 7] + (random.chance(10) ? [Cast.closable] : [])
    accounts.shuffle(using: &random)
    let count = random.below(3) + 1
    return Sharing(
      accounts: Array(accounts.prefix(count)), parts: (0..<count).map { _ in Int128(random.below(7)) + 1 })
  }
}
