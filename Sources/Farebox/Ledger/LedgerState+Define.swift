internal import FareboxCore

/// How a definition stands in the journal: accounts as plain fields, because there are many of them, everything else as
/// the JSON that defined it.
extension LedgerState {
  /// Makes a definition part of the state.
  mutating func define(_ kind: RecordKind, _ record: Record, _ number: UInt64, _ heap: Heap) throws(Failure) {
    switch kind {
    case .account: try defineAccount(record, number, heap)
    case .accountState: try changeAccount(record)
    case .asset: try defineAsset(heap)
    case .skill: try defineSkill(record, number, definition(heap))
    case .toolState: try changeTool(definition(heap))
    case .rateCard: try defineRateCard(record, definition(heap))
    case .budget: try defineBudget(record, number, definition(heap))
    case .limits: try defineLimits(record, number, definition(heap))
    case .customerPrice: try defineCustomerPrice(record, definition(heap))
    case .access: try defineAccess(record, definition(heap))
    case .refund: refunds[record.reference, default: 0] &+= record.amount
    case .transfer: if record.reference != 0 { refunds[record.reference] = 1 }
    case .charge, .reserve, .increase, .capture, .release, .expire, .extend, .webhook, .event, .seal, .value: break
    }
    if kind.changesPrices { PriceGeneration.advance() }
  }

  func definition(_ heap: Heap) throws(Failure) -> JSON {
    guard let text = heap[.definition].string else { throw Segment.corrupt("A definition is not text.") }
    return try JSON.parse(text)
  }

  private mutating func defineAccount(_ record: Record, _ number: UInt64, _ heap: Heap) throws(Failure) {
    let name = heap[.name]
    guard !name.isEmpty, accountNames.find(name) == nil, record.account == accounts.count else {
      throw Segment.corrupt("An account is opened twice.")
    }
    let parent = Int32(bitPattern: record.detail) &- 1
    guard parent >= -1, parent < accounts.count else { throw Segment.corrupt("An account's parent does not exist.") }
    let index = accountNames.add(name)
    let inherits = record.flags & AccountFlags.parentWallet != 0 && parent >= 0
    accounts.append(
      Account(
        parent: parent, wallet: inherits ? accounts[Int(parent)].wallet : Int32(bitPattern: index),
        flags: record.flags, opened: number))
  }

  /// A change of flags, or of a credit line where `detail` is 1.
  private mutating func changeAccount(_ record: Record) throws(Failure) {
    guard record.account < accounts.count, record.asset < max(1, catalog.assets.count) else {
      throw Segment.corrupt("A change names an account or asset that does not exist.")
    }
    if record.detail == 1 {
      let index = makeBalance(record.account, record.asset)
      balances[Int(index)].creditLine = record.amount
      touch(index)
    } else {
      accounts[Int(record.account)].flags = record.flags
    }
  }

  private mutating func defineAsset(_ heap: Heap) throws(Failure) {
    var fields = try JSONFields(try definition(heap))
    let code = try fields.text("code", limit: Limits.assetCode) ?? ""
    let scale = try fields.integer("scale") ?? 0
    let digits = try fields.integer("minor_digits") ?? 0
    let name = try fields.text("name", limit: Limits.description) ?? ""
    guard catalog.assetIndex(code) == nil else { throw Segment.corrupt("An asset is opened twice.") }
    catalog.add(
      try Asset(code: code, scale: UInt8(clamping: scale), minorDigits: UInt8(clamping: digits), name: name))
  }

  private mutating func changeTool(_ json: JSON) throws(Failure) {
    var fields = try JSONFields(json)
    let isEnabled = try fields.flag("enabled") ?? true
    if let name = try fields.text("tool", limit: Limits.toolReference) {
      guard let tool = definedTool(name) else { throw Segment.corrupt("A change names an unknown tool.") }
      catalog.updateTool(tool) { entry in
        entry.isEnabled = isEnabled
        entry.isSwitchedOff = !isEnabled
      }
    } else if let skill = try fields.text("skill", limit: Limits.toolName) {
      catalog.enableSkill(skill, isEnabled)
    }
  }

  /// The tool that a definition names: by its full name, or in older journals by a plain one, which was unique then.
  private func definedTool(_ name: String) -> UInt32? {
    name.withBorrowedText { catalog.toolIndex($0) }
  }

  private mutating func defineAccess(_ record: Record, _ json: JSON) throws(Failure) {
    var fields = try JSONFields(json)
    let isEnabled = try fields.flag("enabled") ?? true
    guard record.account < accounts.count else { throw Segment.corrupt("An access names an unknown account.") }
    if let name = try fields.text("tool", limit: Limits.toolReference) {
      guard let tool = definedTool(name) else { throw Segment.corrupt("An access names an unknown tool.") }
      catalog.updateTool(tool) { $0.access[record.account] = isEnabled }
    } else if let skill = try fields.text("skill", limit: Limits.toolName) {
      catalog.setAccess(skill, account: record.account, isEnabled)
    }
  }

  private mutating func defineBudget(_ record: Record, _ number: UInt64, _ json: JSON) throws(Failure) {
    var fields = try JSONFields(json)
    let name = try fields.text("name", limit: Limits.toolName) ?? ""
    let isRemoved = try fields.flag("removed") ?? false
    let window = WindowKind(name: try fields.text("window", limit: 16) ?? "") ?? .lifetime
    let countsCharges = try fields.flag("counts_charges") ?? false
    let limit = try fields.integer("limit") ?? 0
    var thresholds: [Int64] = []
    for threshold in try fields.list("thresholds", limit: Limits.thresholds) ?? [] {
      thresholds.append(threshold.int64 ?? 0)
    }
    guard record.account < accounts.count, record.asset < catalog.assets.count else {
      throw Segment.corrupt("A budget names an unknown account or asset.")
    }
    let owner = makeGuard(record.account)
    let asset = countsCharges ? -1 : Int32(record.asset)
    let existing = guards[owner].budgets.first { budgets[Int($0)].name == name && !budgets[Int($0)].isRemoved }
    if let existing, isRemoved || (budgets[Int(existing)].window == window && budgets[Int(existing)].asset == asset) {
      // The same window goes on counting under a new limit.
      budgets[Int(existing)].isRemoved = isRemoved
      budgets[Int(existing)].limit = limit
      budgets[Int(existing)].setThresholds(thresholds)
      if isRemoved { guards[owner].budgets.removeAll { $0 == existing } }
      return
    }
    if let existing {
      budgets[Int(existing)].isRemoved = true
      guards[owner].budgets.removeAll { $0 == existing }
    }
    guard !isRemoved else { return }
    guards[owner].budgets.append(Int32(budgets.count))
    budgets.append(
      Budget(
        account: record.account, name: name, window: window, asset: asset, limit: limit, thresholds: thresholds,
        created: number))
  }

  private mutating func defineLimits(_ record: Record, _ number: UInt64, _ json: JSON) throws(Failure) {
    guard record.account < accounts.count, record.asset < catalog.assets.count else {
      throw Segment.corrupt("A limit names an unknown account or asset.")
    }
    var fields = try JSONFields(json)
    let perCall = try fields.integer("per_call")
    let perRun = try fields.integer("per_run")
    let rate = try fields.integer("charges_per_hour")
    let owner = makeGuard(record.account)
    if guards[owner].perRun == nil || guards[owner].capAsset != record.asset {
      guards[owner].runs = [:]
      guards[owner].countsRunsFrom = number
    }
    guards[owner].capAsset = record.asset
    guards[owner].perCall = perCall
    guards[owner].perRun = perRun
    if perRun == nil { guards[owner].runs = [:] }
    guards[owner].chargesPerHour = rate.map { Int(clamping: $0) }
    if rate == nil { guards[owner].recent = RateWindow() }
  }

  /// The index of an account's guard, made where it has none.
  mutating func makeGuard(_ account: UInt32) -> Int {
    let found = accounts[Int(account)].guardIndex
    if found >= 0 { return Int(found) }
    accounts[Int(account)].guardIndex = Int32(guards.count)
    guards.append(AccountGuard(account: account))
    return guards.count - 1
  }

  // MARK: Skills and rate cards

  private mutating func defineSkill(_ record: Record, _ number: UInt64, _ json: JSON) throws(Failure) {
    let assets = catalog.assets
    let manifest = try SkillManifest.parse(json, asset: { code in assets.first { $0.code == code } })
    var prices: [(tool: UInt32, price: UInt32)] = []
    for tool in manifest.tools {
      let index = catalog.makeTool(tool.name, of: manifest.id)
      let (beneficiary, payee) = try makeBeneficiary(tool.split)
      guard let asset = catalog.assetIndex(tool.price.asset.code) else {
        throw Segment.corrupt("A price names an unknown asset.")
      }
      let price = catalog.addPrice(
        tool.price, asset: asset, tool: index, beneficiary: beneficiary, payee: payee)
      let period = PricePeriod(from: record.time, to: .max, price: price)
      catalog.updateTool(index) { entry in
        entry.isEnabled = tool.isEnabled && !entry.isSwitchedOff
        Tool.insert(period, into: &entry.periods)
      }
      prices.append((index, price))
    }
    catalog.setSkill(
      manifest, SkillVersion(digest: manifest.digest, record: number, registered: record.time), prices: prices)
  }

  /// Who a split credits, as a record names it, and who it names.
  mutating func makeBeneficiary(_ split: Split) throws(Failure) -> (beneficiary: UInt32, payee: UInt32) {
    var recipients: [UInt32] = []
    for part in split.parts {
      guard let account = accountNames.find(part.account) else {
        throw Segment.corrupt("A split names an unknown account.")
      }
      recipients.append(account)
    }
    let wallets = recipients.map { wallet(of: $0) }
    if wallets.count == 1 { return (wallets[0], recipients[0]) }
    let rule = catalog.makeSplit(split, accounts: wallets, recipients: recipients) | Record.splitBit
    return (rule, rule)
  }

  private mutating func defineRateCard(_ record: Record, _ json: JSON) throws(Failure) {
    let assets = catalog.assets
    let card = try RateCard.parse(json, asset: { code in assets.first { $0.code == code } })
    let before = catalog.rateCards[card.name]
    let found = card.finds(before?.names ?? [])
    endRates(of: card.name, before?.names ?? [], keeping: card.priced.union(found.values.joined()), at: record.time)
    for entry in card.entries {
      let customer = entry.customer.flatMap { accountNames.find($0) }
      // Names that once were on the card and that a rule of the new version finds have the rate of that entry.
      let once = customer == nil && entry.customer == nil ? found[entry.fullName] ?? [] : []
      let tools = ([entry.fullName] + entry.aliases + once).map { catalog.makeRate("\(card.name)/\($0)") }
      for version in entry.versions {
        guard let asset = catalog.assetIndex(version.price.asset.code) else {
          throw Segment.corrupt("A rate names an unknown asset.")
        }
        let price = catalog.addPrice(
          version.price, asset: asset, tool: tools[0], beneficiary: LedgerState.platform, payee: LedgerState.platform)
        // A rate without a date takes over when its card is published; before that it applies where nothing else does.
        let isDated = version.effectiveFrom != .min || before == nil
        let period = PricePeriod(
          from: isDated ? version.effectiveFrom : record.time, to: version.effectiveTo, price: price)
        for tool in tools {
          catalog.updateTool(tool) { known in
            if let customer {
              Tool.insert(period, into: &known.overrides[customer, default: []])
            } else {
              Tool.insert(period, into: &known.periods)
            }
          }
        }
      }
    }
    let stored = StoredRateCard(
      card: card, published: record.time, version: (before?.version ?? 0) + 1,
      names: (before?.names ?? []).union(card.names))
    catalog.setRateCard(stored, name: card.name)
  }

  /// A price of one customer, credited like the tool's own.
  private mutating func defineCustomerPrice(_ record: Record, _ json: JSON) throws(Failure) {
    var fields = try JSONFields(json)
    let name = try fields.text("tool", limit: Limits.toolReference) ?? ""
    let assets = catalog.assets
    let price = try Price.parse(
      fields.required("price"), asset: { code in assets.first { $0.code == code } }, path: "price")
    guard let tool = definedTool(name), record.account < accounts.count,
      let asset = catalog.assetIndex(price.asset.code)
    else { throw Segment.corrupt("A customer's price names an unknown tool, account or asset.") }
    // A rate that only single customers have is credited like every other.
    let own = catalog.tools[Int(tool)].periods.first.map { catalog.prices[Int($0.price)] }
    let version = catalog.addPrice(
      price, asset: asset, tool: tool, beneficiary: own?.beneficiary ?? LedgerState.platform,
      payee: own?.payee ?? LedgerState.platform)
    let period = PricePeriod(
      from: try fields.integer("from") ?? record.time, to: try fields.integer("to") ?? .max, price: version)
    catalog.updateTool(tool) { Tool.insert(period, into: &$0.overrides[record.account, default: []]) }
  }

  /// Ends what a new version of a card takes from the versions before: names that it has no rate for, and rates that have
  /// not begun.
  ///
  /// Prices of single customers stay until their own end.
  private mutating func endRates(of card: String, _ names: Set<String>, keeping kept: Set<String>, at time: Int64) {
    for name in names {
      guard let tool = catalog.rateIndex("\(card)/\(name)") else { continue }
      catalog.updateTool(tool) { known in
        known.periods.removeAll { $0.from > time }
        if !kept.contains(name) { known.periods = known.periods.map { $0.ended(at: time) } }
      }
    }
  }
}

extension RateCard {
  /// The exact names of everybody's entries.
  fileprivate var names: Set<String> {
    Set(entries.filter { $0.customer == nil }.flatMap { [$0.fullName] + $0.aliases })
  }

  /// Those of entries that have a price at some time.
  fileprivate var priced: Set<String> {
    Set(entries.filter { $0.customer == nil && !$0.versions.isEmpty }.flatMap { [$0.fullName] + $0.aliases })
  }

  /// Names that a rule of the card finds, by the entry that has a price for them.
  fileprivate func finds(_ once: Set<String>) -> [String: [String]] {
    var found: [String: [String]] = [:]
    for name in once.subtracting(names) {
      guard let entry = entry(for: name, customer: nil), !entry.versions.isEmpty else { continue }
      found[entry.fullName, default: []].append(name)
    }
    return found
  }
}
