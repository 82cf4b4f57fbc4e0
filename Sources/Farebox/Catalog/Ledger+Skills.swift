internal import FareboxCore

extension Ledger {
  /// Registers a skill, or a new version of one; registering the current manifest again changes nothing.
  ///
  /// Opens the assets and the accounts that it names. A new version's prices apply to what begins from now on; versions
  /// before it stay callable at their own prices.
  ///
  /// - Parameter keepsCurrent: whether a version that is known already changes nothing, current or not; otherwise it
  ///   becomes the current one again.
  /// - Returns: whether anything changed.
  mutating func registerSkill(
    _ json: JSON, keepsCurrent: Bool = false, at time: Int64
  ) throws(Rejection) -> (manifest: SkillManifest, isNew: Bool) {
    let manifest: SkillManifest
    let assets = state.catalog.assets
    do throws(Failure) {
      manifest = try SkillManifest.parse(
        json,
        asset: { code in
          assets.first { $0.code == code } ?? Asset.builtIn(code)
        }, path: "manifest")
    } catch {
      throw .failed(error)
    }
    if let skill = state.catalog.skills[manifest.id], let known = skill.versions[manifest.version] {
      guard known.digest == manifest.digest else {
        throw .failed(
          Failure(
            .skillExists, field: "manifest.version",
            "Version \(manifest.version) of '\(manifest.id)' is registered with another manifest; "
              + "give this one another version."))
      }
      if keepsCurrent || skill.manifest.version == manifest.version { return (manifest, false) }
    }
    try checkRecipients(manifest)

    // After this point the registration must succeed.
    for tool in manifest.tools {
      _ = try makeAsset(tool.price.asset.code, field: "manifest.currency", at: time)
      for part in tool.split.parts { _ = try makeAccount(part.account, at: time) }
    }
    try define(.skill, manifest.json, at: time)
    return (manifest, true)
  }

  /// Refuses recipients that could not be opened or credited.
  private func checkRecipients(_ manifest: SkillManifest) throws(Rejection) {
    for (index, tool) in manifest.tools.enumerated() {
      for part in tool.split.parts {
        if let found = state.accountNames.find(part.account) {
          guard state.accounts[Int(found)].flags & AccountFlags.closed == 0 else {
            throw .failed(state.stateFailure(found, field: "manifest.tools[\(index)]"))
          }
          continue
        }
        do throws(Failure) {
          try AccountName.validate(part.account, field: "manifest.tools[\(index)]")
        } catch {
          throw .failed(error)
        }
        // It is opened below the nearest account that there is.
        var above = AccountName.parent(of: part.account)
        while let name = above, state.accountNames.find(name) == nil { above = AccountName.parent(of: name) }
        if let name = above, let found = state.accountNames.find(name),
          state.accounts[Int(found)].flags & AccountFlags.closed != 0
        {
          throw .failed(state.stateFailure(found, field: "manifest.tools[\(index)]"))
        }
      }
    }
  }

  /// Switches a skill on or off.
  mutating func enableSkill(_ id: String, _ isEnabled: Bool, at time: Int64) throws(Rejection) {
    guard let skill = state.catalog.skills[id] else {
      throw .failed(Failure(.skillNotFound, field: "skill", "There is no skill of this id."))
    }
    guard skill.isEnabled != isEnabled else { return }
    try define(.toolState, ["skill": .string(id), "enabled": .bool(isEnabled)], at: time)
  }

  /// Switches a tool on or off, in all its versions.
  ///
  /// - Parameter name: as the caller wrote it; a version in it says that the tool may be one of that version only.
  mutating func enableTool(_ name: String, _ isEnabled: Bool, at time: Int64) throws(Rejection) {
    let named = try tool(name)
    let tool = state.catalog.tools[Int(named.tool)]
    if isEnabled, named.price == nil, !tool.isOffered {
      throw .failed(name.withBorrowedText { state.catalog.notForSale(named, $0) })
    }
    guard tool.isEnabled != isEnabled else { return }
    try define(
      .toolState, ["tool": .string(state.catalog.fullName(named.tool)), "enabled": .bool(isEnabled)], at: time)
  }

  /// Says whether an account, and those below it of which nothing else is said, may use the tools of a skill.
  mutating func setAccess(skill id: String, account: UInt32, _ isEnabled: Bool, at time: Int64) throws(Rejection) {
    guard state.catalog.skillAccess[id]?[account] != isEnabled else { return }
    try define(.access, ["skill": .string(id), "enabled": .bool(isEnabled)], account: account, at: time)
  }

  /// The same for one tool, in all its versions.
  mutating func setAccess(tool: UInt32, account: UInt32, _ isEnabled: Bool, at time: Int64) throws(Rejection) {
    guard state.catalog.tools[Int(tool)].access[account] != isEnabled else { return }
    let name = state.catalog.fullName(tool)
    try define(.access, ["tool": .string(name), "enabled": .bool(isEnabled)], account: account, at: time)
  }

  /// Publishes a rate card, or a new version of one; open holds keep the prices that they have.
  mutating func publishRateCard(_ card: RateCard, at time: Int64) throws(Rejection) -> Int64 {
    for (index, entry) in card.entries.enumerated() {
      guard !([entry.fullName] + entry.aliases).contains(where: { $0.utf8.contains(UInt8(ascii: "#")) }) else {
        throw .failed(
          Failure(
            .invalidArgument, field: "entries[\(index)].name", "A rate's name has no '#', which divides skill#tool."))
      }
      if let customer = entry.customer, state.accountNames.find(customer) == nil {
        throw .failed(
          Failure(.accountNotFound, field: "entries", "There is no account '\(customer)' to have a price of its own."))
      }
    }
    if let known = state.catalog.rateCards[card.name], known.card == card { return known.version }

    // After this point the publication must succeed.
    for entry in card.entries {
      for version in entry.versions { _ = try makeAsset(version.price.asset.code, field: "currency", at: time) }
    }
    try define(.rateCard, card.json, at: time)
    return state.catalog.rateCards[card.name]?.version ?? 1
  }

  /// Gives a customer a price of its own for a tool in all its versions, for a stretch of time.
  ///
  /// - Parameters:
  ///   - from: when it begins to apply; nil is now.
  ///   - to: from when it no longer applies; nil is never.
  mutating func setCustomerPrice(
    _ tool: UInt32, customer: UInt32, _ price: Price, from: Int64?, to: Int64?, at time: Int64
  ) throws(Rejection) {
    guard (from ?? time) < to ?? .max else {
      throw .failed(Failure(.invalidArgument, field: "to", "It must be after the price begins to apply."))
    }
    _ = try makeAsset(price.asset.code, field: "price.currency", at: time)
    var fields: [(String, JSON)] = [
      ("tool", .string(state.catalog.fullName(tool))), ("price", price.json),
    ]
    if let from { fields.append(("from", .int(from))) }
    if let to { fields.append(("to", .int(to))) }
    try define(.customerPrice, .object(JSONObject(fields)), account: customer, at: time)
  }
}
