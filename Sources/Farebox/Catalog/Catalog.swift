internal import FareboxCore

/// What can be charged for and in what: assets, skills, tools, rate cards, prices and splits.
///
/// Entries are only ever added, so an index in a record means the same forever; a tool that changes its price gets
/// another price version, and the holds priced before keep theirs.
struct Catalog: ~Copyable {
  private(set) var assets: ContiguousArray<Asset> = []
  /// The codes padded with zeros, as receipts carry them.
  private(set) var assetCodes: ContiguousArray<InlineArray<24, UInt8>> = []
  private var assetNames = NameTable()
  private(set) var tools: ContiguousArray<Tool> = []
  private(set) var toolNames = NameTable()
  private(set) var prices: ContiguousArray<PriceVersion> = []
  private(set) var splits: ContiguousArray<SplitRule> = []
  private(set) var skills: [String: Skill] = [:]
  private(set) var rateCards: [String: StoredRateCard] = [:]
  /// Which accounts may use a skill, or may not, where somebody has said so.
  private(set) var skillAccess: [String: [UInt32: Bool]] = [:]

  // MARK: Assets

  func assetIndex(_ code: BorrowedText) -> UInt16? {
    assetNames.find(code).map { UInt16(truncatingIfNeeded: $0) }
  }

  func assetIndex(_ code: String) -> UInt16? {
    code.withBorrowedText { assetIndex($0) }
  }

  mutating func add(_ asset: Asset) {
    _ = assetNames.add(asset.code)
    assets.append(asset)
    var code = InlineArray<24, UInt8>(repeating: 0)
    for (index, byte) in asset.code.utf8.prefix(23).enumerated() { code[index] = byte }
    assetCodes.append(code)
  }

  // MARK: Tools

  /// The tool of a name; a name like `card/model` may also be one that a rule of the rate card finds.
  func toolIndex(_ name: BorrowedText) -> UInt32? {
    if name.isEmpty { return nil }
    return toolNames.find(name) ?? ruledToolIndex(name)
  }

  /// Whether a name is the tool's own, not one that a rule has led to it.
  func isName(_ name: BorrowedText, of tool: UInt32) -> Bool { toolNames.isName(name, of: tool) }

  private func ruledToolIndex(_ name: BorrowedText) -> UInt32? {
    guard !rateCards.isEmpty, name.count <= 2 * Limits.toolName + 1, let text = name.string,
      let slash = text.firstIndex(of: "/"),
      let card = rateCards[String(text[..<slash])]?.card,
      let entry = card.entry(for: String(text[text.index(after: slash)...]), customer: nil)
    else { return nil }
    return toolNames.find("\(card.name)/\(entry.fullName)")
  }

  /// The price of a tool for a customer at a time, or nil where it has none then.
  func priceIndex(_ tool: UInt32, customer: UInt32?, at time: Int64) -> UInt32? {
    if let customer, !tools[Int(tool)].overrides.isEmpty, let own = tools[Int(tool)].overrides[customer],
      let price = Tool.price(in: own, at: time)
    {
      return price
    }
    return Tool.price(in: tools[Int(tool)].periods, at: time)
  }

  /// The time after `time` at which another price of a tool may begin to apply; `Int64.max` is never.
  func priceEnd(_ tool: UInt32, customer: UInt32, after time: Int64) -> Int64 {
    var end = Int64.max
    func look(_ periods: [PricePeriod]) {
      for period in periods {
        if period.from > time { end = min(end, period.from) }
        if period.to > time { end = min(end, period.to) }
      }
    }
    look(tools[Int(tool)].periods)
    if let own = tools[Int(tool)].overrides[customer] { look(own) }
    return end
  }

  /// Whether the tool and its skill are switched on.
  func isEnabled(_ tool: UInt32) -> Bool {
    tools[Int(tool)].isEnabled && !tools[Int(tool)].isSkillDisabled
  }

  /// Applies a price version to a usage.
  ///
  /// - Parameter amount: what the callback of a dynamic price gave.
  func quote(
    _ price: UInt32, _ usage: borrowing Usage, amount: Int64?, maxCost: Int64? = nil
  ) throws(Rejection) -> QuoteTotal {
    guard price < prices.count else {
      throw .failed(Segment.corrupt("A record names a price that does not exist."))
    }
    do throws(Failure) {
      return try prices[Int(price)].price.quote(usage, dynamicAmount: amount, maxCost: maxCost) { _ in }
    } catch {
      throw .failed(error)
    }
  }

  /// The tool of a name, added where there is none.
  mutating func makeTool(_ name: String) -> UInt32 {
    if let found = toolNames.find(name) { return found }
    tools.append(Tool())
    return toolNames.add(name)
  }

  mutating func updateTool(_ index: UInt32, _ change: (inout Tool) -> Void) {
    change(&tools[Int(index)])
  }

  mutating func addPrice(
    _ price: Price, asset: UInt16, tool: UInt32, beneficiary: UInt32, payee: UInt32
  ) -> UInt32 {
    prices.append(PriceVersion(price: price, asset: asset, tool: tool, beneficiary: beneficiary, payee: payee))
    return UInt32(prices.count - 1)
  }

  /// The index of a split among accounts; equal splits share one.
  mutating func makeSplit(_ split: Split, accounts: [UInt32], recipients: [UInt32]) -> UInt32 {
    if let found = splits.firstIndex(where: { $0.accounts == accounts && $0.split == split }) { return UInt32(found) }
    splits.append(SplitRule(split: split, accounts: accounts, recipients: recipients))
    return UInt32(splits.count - 1)
  }

  mutating func setSkill(_ skill: Skill) {
    skills[skill.manifest.id] = skill
    enableSkill(skill.manifest.id, skill.isEnabled)
  }

  /// Switches a skill, and with it each of its tools, so that a charge need not look for the skill.
  mutating func enableSkill(_ id: String, _ isEnabled: Bool) {
    skills[id]?.isEnabled = isEnabled
    for tool in skills[id]?.manifest.tools ?? [] {
      if let index = toolNames.find(tool.name) { tools[Int(index)].isSkillDisabled = !isEnabled }
    }
  }

  mutating func setAccess(_ skill: String, account: UInt32, _ isEnabled: Bool) {
    skillAccess[skill, default: [:]][account] = isEnabled
  }

  /// What somebody has said of an account's use of a tool, or nil; of the tool before of its skill.
  func access(_ tool: UInt32, account: UInt32) -> Bool? {
    let entry = tools[Int(tool)]
    return entry.access[account] ?? entry.skill.flatMap { skillAccess[$0]?[account] }
  }

  /// Whether nobody has said anything about who may use a tool.
  func isOpenToAll(_ tool: UInt32) -> Bool {
    tools[Int(tool)].access.isEmpty && skillAccess.isEmpty
  }

  mutating func setRateCard(_ card: StoredRateCard, name: String) {
    rateCards[name] = card
  }
}

/// Something with a price that can be called by name.
struct Tool {
  /// The id of its skill, or nil for an entry of a rate card.
  var skill: String?
  var isEnabled = true
  /// Whether somebody has switched it off, which a new version of its skill does not undo.
  var isSwitchedOff = false
  /// Whether its skill as a whole is switched off.
  var isSkillDisabled = false
  /// Prices by time, latest start first.
  var periods: [PricePeriod] = []
  /// Prices of single customers, by account.
  var overrides: [UInt32: [PricePeriod]] = [:]
  /// Which accounts may use it, or may not, where somebody has said so.
  var access: [UInt32: Bool] = [:]

  /// The price that applies at a time: the period with the latest start that has begun and not ended.
  static func price(in periods: [PricePeriod], at time: Int64) -> UInt32? {
    for period in periods where period.from <= time && time < period.to { return period.price }
    return nil
  }

  /// Adds a period before those that start no later than it.
  static func insert(_ period: PricePeriod, into periods: inout [PricePeriod]) {
    let place = periods.firstIndex { $0.from <= period.from } ?? periods.endIndex
    periods.insert(period, at: place)
  }
}

/// When a price version applies: from a time until before another.
struct PricePeriod {
  let from: Int64
  let to: Int64
  let price: UInt32

  func ended(at time: Int64) -> PricePeriod {
    PricePeriod(from: from, to: min(to, time), price: price)
  }
}

/// A price as it was at one time; a class, because the hot path must not copy its arrays.
final class PriceVersion: Sendable {
  let price: Price
  let asset: UInt16
  let tool: UInt32
  /// Who is credited: the account of a wallet, or a split with `Record.splitBit`.
  let beneficiary: UInt32
  /// Who was named to be credited: `beneficiary`, or an account that draws on its wallet.
  let payee: UInt32

  init(price: Price, asset: UInt16, tool: UInt32, beneficiary: UInt32, payee: UInt32) {
    self.price = price
    self.asset = asset
    self.tool = tool
    self.beneficiary = beneficiary
    self.payee = payee
  }
}

/// A split whose recipients are accounts of the ledger.
final class SplitRule: Sendable {
  let split: Split
  /// Whose wallets are credited.
  let accounts: [UInt32]
  /// Who was named, which may draw on the wallet of an account above it.
  let recipients: [UInt32]

  init(split: Split, accounts: [UInt32], recipients: [UInt32]) {
    self.split = split
    self.accounts = accounts
    self.recipients = recipients
  }
}

/// A registered skill in its newest version.
struct Skill {
  let manifest: SkillManifest
  var isEnabled = true
  /// When this version was registered.
  let registered: Int64
}

/// A published rate card in its newest version.
struct StoredRateCard {
  let card: RateCard
  let published: Int64
  /// Counted from 1.
  let version: Int64
}

extension RateCard.Entry {
  /// The name with its provider, which is unique on the card.
  var fullName: String { provider.map { "\($0)/\(name)" } ?? name }
}
