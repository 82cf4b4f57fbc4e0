internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// Moves money between accounts in one balanced transfer.
  ///
  /// Order of checks: key, postings (accounts, sums per asset), account states, overflow, funds.
  ///
  /// - Parameters:
  ///   - reference: the transfer that this one reverses, or 0.
  ///   - mayOverdraw: a reversal takes back what its receiver may have spent.
  ///   - parties: the accounts that were named, posting by posting; wallets may be those of accounts above them.
  ///   - account: whose balance the receipt tells; nil is the first that is debited.
  ///   - named: tells apart requests whose postings are equal because their accounts share a wallet.
  ///   - isAssetUnnamed: whether the ledger's default asset stands in a posting.
  mutating func transfer(
    _ postings: [Posting], parties: [UInt32], key: BorrowedText, description: String, metadata: String,
    reference: UInt64 = 0, mayOverdraw: Bool = false, tells account: UInt32? = nil, named: UInt32 = 0,
    isAssetUnnamed: Bool = false, at time: Int64, in store: any Store
  ) throws(Rejection) -> Receipt {
    let hash = key.isEmpty ? KeyHash.none : KeyHash(key, secret)
    if let replay = try replayed(
      hash, key, in: store,
      compare: { _, record, heap in
        if record.kind != RecordKind.transfer.rawValue || (record.reference == 0) != (reference == 0) {
          return "operation"
        }
        if record.reference != reference { return "id" }
        if record.beneficiary != named { return account == nil ? "postings" : "account" }
        let before = heap.postings
        guard before.count == postings.count else { return "postings" }
        for (index, pair) in zip(before, postings).enumerated()
        where pair.0.account != pair.1.account || pair.0.asset != pair.1.asset || pair.0.amount != pair.1.amount {
          return "postings[\(index)]"
        }
        if !heap[.named].isEmpty {
          let first = heap.parties
          for (index, party) in parties.enumerated() where first[index] != party { return "postings[\(index)]" }
        }
        if heap[.description].string ?? "" != description { return "description" }
        return heap[.metadata].string ?? "" != metadata ? "metadata" : nil
      })
    {
      return replay
    }
    try Ledger.checkText(key, "idempotency_key", Limits.key, mustBeText: false)
    try Ledger.checkTexts(description, metadata)
    try checkMoves(postings, parties, mayOverdraw: mayOverdraw)

    // After this point the transfer must succeed.
    var record = Record(.transfer, time: time)
    let debit = postings.first { $0.amount < 0 } ?? postings[0]
    record.account = debit.account
    record.asset = debit.asset
    record.amount = debit.amount == .min ? .max : abs(debit.amount)
    record.reference = reference
    record.beneficiary = named
    record.flags = RecordFlags.explicit
    if isAssetUnnamed { record.flags |= RecordFlags.unnamedAsset }
    log.beginRecord()
    log.addField(.key, key)
    if !description.isEmpty { log.addField(.description, description) }
    if !metadata.isEmpty { log.addField(.metadata, metadata) }
    log.addPostings(postings)
    if zip(postings, parties).contains(where: { $0.account != $1 }) {
      log.addField(.named, words: parties.map { Int64($0) })
    }
    let number = try append(&record, key: hash, tells: account ?? debit.account)
    return receipt(number, record)
  }

  /// The postings of the transfer that used a key first, where it did not name all assets; none otherwise.
  ///
  /// Where a repeat names no asset either, it means what was the default then.
  func firstUnnamed(_ key: BorrowedText, in store: any Store) throws(Rejection) -> [Posting] {
    if key.isEmpty { return [] }
    let first = try withFirst(KeyHash(key, secret), key, in: store) { _, record, heap in
      let isUnnamed = record.flags & RecordFlags.unnamedAsset != 0
      return record.kind == RecordKind.transfer.rawValue && isUnnamed ? heap.postings : []
    }
    return first ?? []
  }

  /// Refuses a transfer that cannot be before an asset is opened for it.
  ///
  /// - Parameter postings: with the numbers that new assets will have.
  mutating func checkOpening(
    _ postings: [Posting], parties: [UInt32], key: BorrowedText, description: String, metadata: String,
    in store: any Store
  ) throws(Rejection) {
    let hash = key.isEmpty ? KeyHash.none : KeyHash(key, secret)
    // No transfer of before can have been of an asset that is new.
    _ = try replayed(hash, key, in: store, compare: { _, _, _ in "postings" })
    try Ledger.checkText(key, "idempotency_key", Limits.key, mustBeText: false)
    try Ledger.checkTexts(description, metadata)
    try checkMoves(postings, parties, mayOverdraw: false)
  }

  private func checkMoves(
    _ postings: [Posting], _ parties: [UInt32], mayOverdraw: Bool
  ) throws(Rejection) {
    try checkBalanced(postings)
    for (posting, party) in zip(postings, parties) {
      if posting.amount < 0, !mayOverdraw {
        try checkOpen(party, field: "postings")
      } else if posting.amount > 0, state.accounts[Int(party)].flags & AccountFlags.closed != 0 {
        throw .failed(state.stateFailure(party, field: "postings"))
      }
    }
    try checkPostings(postings, mayOverdraw: mayOverdraw)
  }

  private func checkBalanced(_ postings: [Posting]) throws(Rejection) {
    guard postings.count >= 2 else {
      throw .failed(Failure(.invalidArgument, field: "postings", "A transfer has at least two postings."))
    }
    guard postings.count <= Limits.postings else {
      throw .failed(Failure(.tooLong, field: "postings", "A transfer has at most \(Limits.postings) postings."))
    }
    var sums: [UInt16: Int128] = [:]
    for posting in postings { sums[posting.asset, default: 0] += Int128(posting.amount) }
    for (asset, sum) in sums where sum != 0 {
      let isOpen = Int(asset) < state.catalog.assets.count
      throw .failed(
        Failure(
          .invalidAmount, field: "postings",
          "The postings in \(isOpen ? state.catalog.assets[Int(asset)].code : "a new asset") do not add up to zero."))
    }
  }

  private func checkPostings(_ postings: [Posting], mayOverdraw: Bool) throws(Rejection) {
    // One account may stand in several postings, so it is the net change that must be possible.
    var changes: [RowPlace: Int128] = [:]
    var order: [RowPlace] = []
    for posting in postings {
      let place = RowPlace(account: posting.account, asset: posting.asset)
      if changes[place] == nil { order.append(place) }
      changes[place, default: 0] += Int128(posting.amount)
    }
    for place in order {
      let change = changes[place] ?? 0
      let flags = state.accounts[Int(place.account)].flags
      if flags & AccountFlags.closed != 0 {
        throw .failed(state.stateFailure(place.account, field: "postings"))
      }
      if change < 0, !mayOverdraw { try checkOpen(place.account, field: "postings") }
      guard let units = Int64(exactly: change) else { throw .failed(Ledger.overflow) }
      let index = state.balanceIndex(place.account, place.asset)
      let balance =
        index < 0 ? Balance(account: place.account, asset: place.asset, next: -1) : state.balances[Int(index)]
      guard !balance.units.addingReportingOverflow(units).overflow else { throw .failed(Ledger.overflow) }
      if units < 0, !mayOverdraw, flags & AccountFlags.unbounded == 0, 0 - change > Int128(balance.available) {
        guard Int(place.asset) < state.catalog.assets.count else {
          throw .failed(.nothingOfNewAsset(field: "postings"))
        }
        throw .refused(
          Refusal(
            .insufficientFunds, .wallet, place.account, place.asset, limit: balance.available, spent: balance.units,
            held: balance.held, requested: units == .min ? .max : -units))
      }
    }
  }

  /// Returns a charge or capture to its payer, in part or as a whole, from everybody who got a share of it.
  ///
  /// A recipient who has spent the money owes it: a refund always returns it.
  ///
  /// - Parameter amount: atomic units, or nil for what is left of the charge.
  mutating func refund(
    _ charge: UInt64, amount: Int64?, key: BorrowedText, description: String, at time: Int64, in store: any Store
  ) throws(Rejection) -> Receipt {
    let hash = key.isEmpty ? KeyHash.none : KeyHash(key, secret)
    if let replay = try replayed(
      hash, key, in: store,
      compare: { _, record, heap in
        if record.kind != RecordKind.refund.rawValue { return "operation" }
        if record.reference != charge { return "id" }
        let wasWhole = record.flags & RecordFlags.explicit == 0
        if wasWhole ? amount != nil : amount != record.amount { return "amount" }
        return heap[.description].string ?? "" != description ? "description" : nil
      })
    {
      return replay
    }
    try Ledger.checkText(key, "idempotency_key", Limits.key, mustBeText: false)
    try Ledger.checkTexts(description)
    let original: Record
    var lines: [StoredLine] = []
    do throws(Failure) {
      guard
        let found = try withRecord(
          charge, in: store,
          { record, heap throws(Failure) -> Record in
            var record = record
            if record.kind == RecordKind.charge.rawValue { record.origin = state.originTag(heap).value }
            if record.flags & RecordFlags.lines != 0 { lines = try StoredLine.all(heap[.lines]).map(\.forRefund) }
            return record
          }),
        found.kind == RecordKind.charge.rawValue || found.kind == RecordKind.capture.rawValue
      else { throw Failure(.transferNotFound, field: "id", "There is no charge \(charge).") }
      original = found
    } catch {
      throw .failed(error)
    }
    var counted = original.time
    if original.kind == RecordKind.capture.rawValue {
      do throws(Failure) {
        counted = try withRecord(original.reference, in: store) { hold, _ in hold.time } ?? original.time
      } catch {
        throw .failed(error)
      }
    }
    let left = original.amount - (state.refunds[charge] ?? 0)
    let returned = amount ?? left
    guard returned >= 0 else { throw .failed(Failure(.invalidAmount, field: "amount", "It must not be negative.")) }
    guard returned <= left, left > 0 || original.amount == 0 else {
      throw .failed(Failure(.overRefund, field: "amount", "Only a part of charge \(charge) is left to refund."))
    }
    try checkCredit(
      state.wallet(of: original.account), named: original.account, original.asset, returned, field: "id")
    let before = original.amount - left
    if lines.isEmpty { try checkGivers(original.beneficiary, original.asset, from: before, to: before + returned) }
    let (from, to) = (StoredLine.parts(of: before, lines), StoredLine.parts(of: before + returned, lines))
    for (index, line) in lines.enumerated() {
      try checkGivers(line.beneficiary, original.asset, from: from[index], to: to[index])
    }

    // After this point the refund must succeed.
    var record = Record(.refund, time: time)
    record.account = original.account
    record.asset = original.asset
    record.amount = returned
    record.tool = original.tool
    record.price = original.price
    record.beneficiary = original.beneficiary
    record.reference = charge
    record.origin = original.origin
    record.extra = original.time
    record.remaining = left - returned
    if amount != nil { record.flags |= RecordFlags.explicit }
    if !lines.isEmpty { record.flags |= RecordFlags.lines }
    log.beginRecord()
    log.addField(.key, key)
    if !description.isEmpty { log.addField(.description, description) }
    // What had been refunded before, because the recipients' parts follow from it.
    // Of a capture also where it was counted: its hold, and when that began.
    log.addField(
      .requested,
      words: original.kind == RecordKind.capture.rawValue
        ? [before, Int64(bitPattern: original.reference), counted] : [before])
    if !lines.isEmpty { log.addField(.lines, words: lines.flatMap { $0.head() }) }
    let number = try append(&record, key: hash, tells: original.account)
    return receipt(number, record)
  }

  /// Refuses a refund that takes a recipient's balance below what 64 bits hold.
  ///
  /// - Parameters:
  ///   - before: what had been refunded before.
  ///   - after: what has been refunded with it.
  private func checkGivers(
    _ beneficiary: UInt32, _ asset: UInt16, from before: Int64, to after: Int64
  ) throws(Rejection) {
    let amount = after - before
    var fits = true
    state.forEachShare(beneficiary, of: amount) { account, _ in
      let index = state.balanceIndex(account, asset)
      let units = index < 0 ? 0 : state.balances[Int(index)].units
      // Against the whole amount, as `checkCredit`.
      if units.subtractingReportingOverflow(amount).overflow { fits = false }
    }
    guard fits else { throw .failed(Ledger.overflow) }
    // A share of a larger amount may be smaller by a unit: then the difference is a credit.
    guard beneficiary & Record.splitBit != 0 else {
      guard after >= before || state.accounts[Int(beneficiary)].flags & AccountFlags.closed == 0 else {
        throw .failed(state.stateFailure(beneficiary, field: "id"))
      }
      return
    }
    let rule = state.catalog.splits[Int(beneficiary & ~Record.splitBit)]
    let given = rule.split.shares(of: before)
    let wanted = rule.split.shares(of: after)
    for (index, recipient) in rule.recipients.enumerated()
    where wanted[index] < given[index] && state.accounts[Int(recipient)].flags & AccountFlags.closed != 0 {
      throw .failed(state.stateFailure(recipient, field: "id"))
    }
  }

  /// Undoes a transfer with its mirror image, once.
  mutating func reverse(
    _ transfer: UInt64, key: BorrowedText, description: String, at time: Int64, in store: any Store
  ) throws(Rejection) -> Receipt {
    let postings: [Posting]
    let parties: [UInt32]
    do throws(Failure) {
      let found = try withRecord(transfer, in: store) { record, heap throws(Failure) in
        record.kind == RecordKind.transfer.rawValue ? (heap.postings, heap.parties) : nil
      }
      guard let found, let found else {
        throw Failure(.transferNotFound, field: "id", "There is no transfer \(transfer).")
      }
      (postings, parties) = found
      guard parties.allSatisfy({ $0 < state.accounts.count }) else {
        throw Segment.corrupt("A transfer names an account that does not exist.")
      }
    } catch {
      throw .failed(error)
    }
    guard postings.allSatisfy({ $0.amount != .min }) else { throw .failed(Ledger.overflow) }
    let mirror = postings.map { Posting(account: $0.account, asset: $0.asset, amount: -$0.amount) }
    if state.refunds[transfer] != nil, try !wasUsed(key, in: store) {
      throw .failed(Failure(.overRefund, field: "id", "Transfer \(transfer) was reversed before."))
    }
    return try self.transfer(
      mirror, parties: parties, key: key, description: description, metadata: "", reference: transfer,
      mayOverdraw: true, at: time, in: store)
  }
}

extension Ledger {
  /// Whether an idempotency key has been used before.
  private func wasUsed(_ key: BorrowedText, in store: any Store) throws(Rejection) -> Bool {
    if key.isEmpty { return false }
    do throws(Failure) {
      return try keys.find(KeyHash(key, secret), in: store) != nil
    } catch {
      throw .failed(error)
    }
  }
}

/// An account and an asset, as a key.
struct RowPlace: Hashable {
  let account: UInt32
  let asset: UInt16
}

extension Failure {
  /// Of an asset that the ledger has not used yet, nobody can pay.
  static func nothingOfNewAsset(field: String) -> Failure {
    Failure(.insufficientFunds, field: field, "Nobody has anything of an asset that the ledger has not used yet.")
  }
}
