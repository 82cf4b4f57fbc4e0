package import Farebox
package import FareboxCore

/// Where an engine and the reference differ, in words.
package struct Difference: Error, CustomStringConvertible, Sendable {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}

extension Request {
  /// The answers to requests that were asked for together, each as if it had come alone.
  package static func answers(_ answer: Result<JSON, Failure>, to count: Int) -> [Result<JSON, Failure>] {
    guard count > 1, case .success(let json) = answer else { return [Result](repeating: answer, count: count) }
    return (json.object?["receipts"]?.array ?? []).map { row in
      guard let error = row.object?["error"]?.object else { return .success(row) }
      let code = Int32(clamping: error["code"]?.int64 ?? 0)
      return .failure(Failure(Status(rawValue: code), error["message"]?.string ?? ""))
    }
  }

  /// The number in a receipt by which later requests name what came about.
  package func number(in receipt: JSONObject) -> Int64? {
    receipt[makesHold ? "hold" : "id"]?.int64
  }
}

extension ReferenceLedger.Outcome {
  /// Compares the answer of the JSON door with what the reference says.
  package func check(_ answer: Result<JSON, Failure>) throws(Difference) {
    switch answer {
    case .failure(let failure):
      guard failure.status == status else {
        throw Difference("expected \(self), found \(failure)")
      }
      if let spent, let told = failure.details.object?["spent"], told != coin.text(spent) {
        throw Difference("expected \(self), found \(failure) with \(failure.details.serialized())")
      }
    case .success(let json):
      guard status == .ok else { throw Difference("expected \(self), found \(json.serialized())") }
      guard isReceipt else { return }
      let found = json.object ?? [:]
      if let begun {
        guard found["held"] == coin.text(amount), found["asset"] == .string(coin.code),
          found["paid"] == .bool(begun.isPaid), found["shared"] == .bool(begun.isShared),
          found["maximum"] == begun.maximum.map({ coin.text($0) }) ?? .null
        else { throw Difference("expected \(self), found \(json.serialized())") }
        return
      }
      let unpaid: JSON? = shortfall > 0 ? coin.text(shortfall) : JSON?.none
      guard found["released"] ?? false == .bool(isReleased), found["unreported"] ?? false == .bool(isUnreported),
        found["shortfall"] == unpaid
      else { throw Difference("expected \(self), found \(json.serialized())") }
      guard found["amount"] == coin.text(amount), found["balance"] == coin.text(balance),
        found["available"] == coin.text(available), found["replayed"] == .bool(isReplayed),
        found["asset"] == .string(coin.code), found["final"] == .bool(isFinal), found["capped"] == .bool(isCapped),
        found["hold_remaining"] == remaining.map({ coin.text($0) })
      else { throw Difference("expected \(self), found \(json.serialized())") }
    }
  }
}

extension ReferenceLedger {
  /// Compares an engine's balances with the reference; money adds up to zero in both.
  package func checkBalances(_ engine: Engine) throws(Failure) -> Difference? {
    for coin in Coin.allCases {
      var sum: Int128 = 0
      for account in Cast.accounts.indices where Cast.accounts[account].ownsWallet {
        let report = try engine.balance(of: Cast.accounts[account].name, coin.code)
        sum += Int128(report.balance)
        guard Int128(report.balance) == balance(account, coin), Int128(report.held) == held(account, coin),
          Int128(report.available) == available(account, coin)
        else {
          return Difference(
            "\(Cast.accounts[account].name) has \(report.balance) \(coin.code) with \(report.held) held and "
              + "\(report.available) available; expected \(balance(account, coin)), \(held(account, coin)) and "
              + "\(available(account, coin))")
        }
      }
      if sum != 0 { return Difference("all accounts together have \(sum) \(coin.code)") }
    }
    return nil
  }

  /// Compares an engine's budgets with the reference.
  package func checkBudgets(_ engine: Engine) throws(Failure) -> Difference? {
    for account in Cast.payers {
      let name = JSON.string(Cast.accounts[account].name)
      let rows = try engine.call("budget.list", ["account": name]).object?["budgets"]?.array ?? []
      let own = rows.compactMap(\.object).filter { $0["account"] == name }
      let expected = budgets.filter { $0.terms.account == account }
      guard own.count == expected.count else {
        return Difference("\(Cast.accounts[account].name) has \(own.count) budgets; expected \(expected.count)")
      }
      for budget in expected {
        let row = own.first { $0["name"]?.string == budget.terms.name }
        let (spent, held) = counted(budget, around: now)
        func shown(_ units: Int128) -> JSON { budget.terms.coin?.text(units) ?? .string(String(units)) }
        guard row?["spent"] == shown(spent), row?["held"] == shown(held), row?["limit"] == shown(budget.terms.limit)
        else {
          return Difference(
            "budget '\(budget.terms.name)' of \(Cast.accounts[account].name) is "
              + "\(row.map { JSON.object($0).serialized() } ?? "absent"); expected \(spent) spent and \(held) held")
        }
      }
    }
    return nil
  }

  /// Compares what an engine tells of metered calls that were not reported or not paid in full.
  package func checkEvents(_ engine: Engine) throws(Failure) -> Difference? {
    let rows = try engine.call("event.list", ["limit": 1_000]).object?["events"]?.array ?? []
    let told = rows.compactMap(\.object).filter { $0["type"]?.string?.hasPrefix("call.") == true }
      .map { Event(type: $0["type"]?.string ?? "", amount: $0["amount"]?.string ?? "") }
    guard told == events.reversed() else { return Difference("events \(told); expected \(Array(events.reversed()))") }
    return nil
  }

  /// Compares an engine's open holds with the reference.
  package func checkHolds(_ engine: Engine) throws(Failure) -> Difference? {
    let rows = try engine.call("hold.list", ["limit": 1_000]).object?["holds"]?.array ?? []
    let open = holds.filter { $0.end == nil }
    guard rows.count == open.count else { return Difference("\(rows.count) holds are open; expected \(open.count)") }
    for (row, hold) in zip(rows, open) {
      guard row.object?["remaining"] == hold.coin.text(hold.remaining),
        row.object?["expires"] == .int(hold.expires),
        row.object?["account"] == .string(Cast.accounts[hold.account].name)
      else { return Difference("hold \(row.serialized()); expected \(hold.remaining) until \(hold.expires)") }
    }
    return nil
  }
}

extension Engine {
  /// Asks for one thing, or for a batch of charges in one call.
  ///
  /// - Parameter ids: the engine's numbers of what serials name.
  package func ask(_ requests: [Request], _ ids: [Int: Int64]) throws(Failure) -> JSON {
    let calls = requests.map { $0.call(ids) }
    guard calls.count > 1 else { return try call(calls[0].operation, calls[0].input) }
    return try call("charge.create_many", ["charges": .array(calls.map(\.input))])
  }

  /// The balance of an account by name.
  package func balance(of account: String, _ asset: String) throws(Failure) -> BalanceReport {
    try account.lent { name throws(Failure) in
      try asset.lent { code throws(Failure) in try balance(of: name, asset: code) }
    }
  }

  /// Replays the journal and compares it with the live state; nil where everything adds up.
  package func checkSoundness() throws(Failure) -> Difference? {
    do throws(Failure) {
      _ = try call("ledger.verify")
    } catch  where error.status == .ledgerInvalid {
      return Difference(error.message)
    }
    let report = try call("ledger.reconcile").object ?? [:]
    guard report["balanced"] == true, report["orphan_holds"]?.array?.isEmpty == true else {
      return Difference(JSON.object(report).serialized())
    }
    return nil
  }
}

extension String {
  /// Lends the string's UTF-8 to `body`.
  fileprivate func lent<Result>(_ body: (BorrowedText) throws(Failure) -> Result) throws(Failure) -> Result {
    var copy = self
    let outcome: Swift.Result<Result, Failure> = copy.withUTF8 { utf8 in
      do throws(Failure) {
        return .success(try body(unsafe BorrowedText(utf8.baseAddress, count: utf8.count)))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}
