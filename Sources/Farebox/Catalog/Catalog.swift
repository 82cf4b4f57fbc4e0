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
  /// Who each tool is, apart from what a charge looks at.
  private(set) var identities: ContiguousArray<ToolIdentity> = []
  private var toolNames = ToolNames()
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

  /// What a name stands for, `ambiguous` where it fits several tools, or nil for an unknown one; a name like `card/model`
  /// may also be one that a rule of the rate card finds.
  @inline(__always)
  func find(_ name: BorrowedText) -> NamedTool? {
    if name.isEmpty { return nil }
    guard let found = toolNames.find(name) else { return unlisted(name) }
    return found
  }

  func find(_ name: String) -> NamedTool? {
    name.withBorrowedText { find($0) }
  }

  /// The one tool of a name, or nil.
  func toolIndex(_ name: BorrowedText) -> UInt32? {
    find(name).flatMap { $0.isAmbiguous ? nil : $0.tool }
  }

  /// A name that is in no table: a rate by a rule of its card, or one that says with a `#` before it that it is a rate.
  private func unlisted(_ name: BorrowedText) -> NamedTool? {
    guard !rateCards.isEmpty, name.count <= Limits.toolReference, let text = name.string else { return nil }
    if text.utf8.first == UInt8(ascii: "#") { return rateIndex(String(text.dropFirst())).map { NamedTool($0) } }
    guard let slash = text.firstIndex(of: "/"),
      let card = rateCards[String(text[..<slash])]?.card,
      let entry = card.entry(for: String(text[text.index(after: slash)...]), customer: nil)
    else { return nil }
    return rateIndex("\(card.name)/\(entry.fullName)").map { NamedTool($0) }
  }

  /// The tool of a rate, whether or not a skill's tool has the same name.
  func rateIndex(_ name: String) -> UInt32? {
    toolNames.all(name).first { identities[Int($0)].skill == nil }
  }

  /// Whether a name is a tool's own, plain or with its skill, also where it fits others by now; not one that a rule has
  /// led to it, nor one that names a version.
  func isOwnName(_ name: BorrowedText, of tool: UInt32) -> Bool {
    plain(name, is: tool) || toolNames.find(name) == NamedTool(tool)
  }

  private func plain(_ name: BorrowedText, is tool: UInt32) -> Bool {
    identities[Int(tool)].name.withBorrowedText { $0.equals(name) }
  }

  /// The name of a tool that no other tool has: `skill#tool`, or `card/model`.
  func fullName(_ tool: UInt32) -> String {
    let entry = identities[Int(tool)]
    guard entry.skill == nil, toolNames.all(entry.name).count > 1 else { return entry.fullName }
    return ToolName(skill: "", tool: entry.name).text
  }

  /// The full names of the tools among which a plain name does not decide.
  func candidates(_ name: String) -> [String] {
    toolNames.candidates(name).map { fullName($0) }
  }

  /// The price of a tool for a customer at a time, or nil where it has none then.
  ///
  /// A customer's own price comes first, then that of the version that was named.
  func priceIndex(_ named: NamedTool, customer: UInt32?, at time: Int64) -> UInt32? {
    let tool = Int(named.tool)
    if let customer, !tools[tool].overrides.isEmpty, let own = tools[tool].overrides[customer],
      let price = Tool.price(in: own, at: time)
    {
      return price
    }
    return named.price ?? Tool.price(in: tools[tool].periods, at: time)
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

  /// Whether the tool and its skill are switched on, and its skill still offers it; a version that is named always does.
  @inline(__always)
  func isForSale(_ named: NamedTool) -> Bool {
    let tool = Int(named.tool)
    return tools[tool].isEnabled && !tools[tool].isSkillDisabled && (tools[tool].isOffered || named.price != nil)
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

  /// The tool of a skill, added where there is none.
  mutating func makeTool(_ name: String, of skill: String) -> UInt32 {
    let identity = ToolIdentity(name: name, skill: skill)
    if let found = toolNames.find(identity.fullName) { return found.tool }
    let index = addTool(identity)
    toolNames.set(identity.fullName, NamedTool(index))
    return index
  }

  /// The tool of a rate, added where there is none.
  mutating func makeRate(_ name: String) -> UInt32 {
    rateIndex(name) ?? addTool(ToolIdentity(name: name, skill: nil))
  }

  private mutating func addTool(_ identity: ToolIdentity) -> UInt32 {
    let index = UInt32(tools.count)
    tools.append(Tool())
    identities.append(identity)
    toolNames.addPlain(identity.name, index) { tools[Int($0)].isOffered }
    return index
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

  /// Makes a version of a skill the current one.
  ///
  /// - Parameter prices: the tools of the manifest, each with the price that the version declares.
  mutating func setSkill(
    _ manifest: SkillManifest, _ version: SkillVersion, prices: [(tool: UInt32, price: UInt32)]
  ) {
    let isKnown = skills[manifest.id]?.versions[manifest.version] != nil
    skills[manifest.id, default: Skill(manifest)].setCurrent(manifest, version)
    for (tool, price) in prices {
      let pinned = ToolName(skill: manifest.id, version: manifest.version, tool: identities[Int(tool)].name)
      toolNames.set(pinned.text, NamedTool(tool, pinned: price))
      if !isKnown { identities[Int(tool)].versions.append(manifest.version) }
      skills[manifest.id]?.tools.insert(tool)
    }
    // Tools that the new version no longer has are no longer for sale.
    let offered = Set(prices.map(\.tool))
    for tool in skills[manifest.id]?.tools ?? [] where tools[Int(tool)].isOffered != offered.contains(tool) {
      tools[Int(tool)].isOffered.toggle()
      toolNames.offer(identities[Int(tool)].name, tool, tools[Int(tool)].isOffered)
    }
    enableSkill(manifest.id, skills[manifest.id]?.isEnabled ?? true)
  }

  /// Switches a skill, and with it each of its tools, so that a charge need not look for the skill.
  mutating func enableSkill(_ id: String, _ isEnabled: Bool) {
    skills[id]?.isEnabled = isEnabled
    for tool in skills[id]?.tools ?? [] { tools[Int(tool)].isSkillDisabled = !isEnabled }
  }

  mutating func setAccess(_ skill: String, account: UInt32, _ isEnabled: Bool) {
    skillAccess[skill, default: [:]][account] = isEnabled
  }

  /// What somebody has said of an account's use of a tool, or nil; of the tool before of its skill.
  func access(_ tool: UInt32, account: UInt32) -> Bool? {
    tools[Int(tool)].access[account] ?? identities[Int(tool)].skill.flatMap { skillAccess[$0]?[account] }
  }

  /// Whether nobody has said anything about who may use a tool.
  func isOpenToAll(_ tool: UInt32) -> Bool {
    tools[Int(tool)].access.isEmpty && skillAccess.isEmpty
  }

  mutating func setRateCard(_ card: StoredRateCard, name: String) {
    rateCards[name] = card
  }
}

/// Who a tool is.
struct ToolIdentity {
  /// Its name within its skill; of a rate `card/model`.
  let name: String
  /// The id of its skill, or nil for an entry of a rate card.
  let skill: String?
  /// `skill#tool`, or `card/model`.
  let fullName: String
  /// Versions of its skill that have it, in the order of their registration.
  var versions: [String] = []

  init(name: String, skill: String?) {
    self.name = name
    self.skill = skill
    fullName = ToolName(skill: skill, tool: name).text
  }
}

/// Something with a price that can be called by name.
struct Tool {
  /// Whether the current version of its skill has it.
  var isOffered = true
  /// Whether it may be charged for: as the version that was registered last says, or whoever switched it since.
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

/// A registered skill in its current version, with what is needed to know the others again.
struct Skill {
  private(set) var manifest: SkillManifest
  var isEnabled = true
  /// When the current version was registered.
  private(set) var registered: Int64 = 0
  /// Every version that was ever registered.
  private(set) var versions: [String: SkillVersion] = [:]
  /// The versions in the order of their first registration.
  private(set) var order: [String] = []
  /// Every tool that a version has.
  var tools: Set<UInt32> = []

  init(_ manifest: SkillManifest) {
    self.manifest = manifest
  }

  mutating func setCurrent(_ manifest: SkillManifest, _ version: SkillVersion) {
    self.manifest = manifest
    registered = version.registered
    if versions.updateValue(version, forKey: manifest.version) == nil { order.append(manifest.version) }
  }
}

/// A version of a skill that was registered.
struct SkillVersion {
  /// Of its manifest.
  let digest: Digest
  /// The record that has the manifest.
  let record: UInt64
  let registered: Int64
}

extension SkillManifest {
  /// Equal for manifests that say the same.
  var digest: Digest { SHA256Hasher.hash(Array(json.canonical().utf8).span) }
}

/// A published rate card in its newest version.
struct StoredRateCard {
  let card: RateCard
  let published: Int64
  /// Counted from 1.
  let version: Int64
  /// The names that everybody's entries have had in any version.
  let names: Set<String>
}
