internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// What a wallet has, now or up to a time, as JSON.
  func balanceJSON(
    _ account: UInt32, _ asset: UInt16, at time: Int64?, in store: any Store
  ) throws(Rejection) -> JSON {
    let report = balanceReport(account, asset)
    func text(_ units: Int64) -> JSON {
      .string(Amount.text(units, scale: report.asset.scale, minorDigits: report.asset.minorDigits))
    }
    var row: JSONObject = [
      "account": .string(state.accountNames[account]),
      "wallet": .string(state.accountNames[state.wallet(of: account)]), "asset": .string(report.asset.code),
      "scale": .int(Int64(report.asset.scale)),
    ]
    guard let time else {
      row.append("balance", text(report.balance))
      row.append("held", text(report.held))
      row.append("credit_line", text(report.creditLine))
      row.append("available", text(report.available))
      row.append("units", .int(report.balance))
      return .object(row)
    }
    do throws(Failure) {
      let units = try pastBalance(state.wallet(of: account), asset, at: time, in: store)
      row.append("at", .int(time))
      row.append("balance", text(units))
      row.append("units", .int(units))
    } catch {
      throw .failed(error)
    }
    return .object(row)
  }

  /// The sum of all postings up to and including a time: the last sealed balance before it and what came after.
  func pastBalance(_ account: UInt32, _ asset: UInt16, at time: Int64, in store: any Store) throws(Failure) -> Int64 {
    var units: Int64 = 0
    var last: UInt64 = 0
    let place = Int64(account) << 16 | Int64(asset)
    try unsafe store.visitRows(.seals, major: 0 ... .max, descending: true) { key, bytes throws(Failure) in
      let seal = try unsafe Seal(id: key.major, bytes)
      guard seal.timeTo <= time else { return true }
      last = max(last, seal.last)
      // A seal that has no balance of the account found it unchanged: the one before tells.
      let isFound = try unsafe store.row(.balancePoints, RowKey(seal.id, place)) { bytes throws(Failure) in
        guard bytes.count == 8 else { throw Segment.corrupt("A sealed balance has the wrong length.") }
        units = unsafe bytes.loadUnaligned(as: Int64.self)
      }
      return !isFound
    }
    try visitHistory(of: account, after: last, in: store) { _, record, heap throws(Failure) in
      guard record.time <= time else { return false }
      for posting in postings(record, heap) where posting.account == account && posting.asset == asset {
        units &+= posting.amount
      }
      return true
    }
    return units
  }
}
