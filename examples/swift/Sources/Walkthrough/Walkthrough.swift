import Farebox
import FareboxCore

/// A first program with Farebox: open a ledger, price a tool, hold money, take it, and look at the balance.
///
/// Every operation of docs/operations.md is reached through `call`, with JSON literals as input.
@main
enum Walkthrough {
  static func main() throws(Failure) {
    // "memory:" forgets everything at the end; "sqlite:farebox.db" keeps it in one file.
    let engine = try Engine(url: "memory:")

    // Ana pays ten dollars in. Amounts are decimal text, never floating point.
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "10.00", "asset": "USD"])

    // A skill says what its tools cost, and who earns: 70 per cent go to its author, the rest to the platform.
    _ = try engine.call(
      "skill.register",
      [
        "manifest": [
          "id": "research", "version": "1.0.0", "owner": "user:author", "revenue_share": "0.70",
          "tools": [["name": "research.search", "pricing": ["cost": "0.02"]]],
        ]
      ])

    // What would one call cost?
    let quote = try engine.call("price.quote", ["tool": "research.search"])
    print("a search costs          ", money(quote, "total"))

    // Before the call: hold the money, so that it cannot be spent twice. The key makes a retry harmless.
    let hold = try engine.call(
      "hold.reserve", ["payer": "user:ana", "tool": "research.search", "idempotency_key": "run-1/call-1"])
    print("held before the call    ", money(hold, "amount"), "and Ana may spend", money(hold, "available"))

    // ... here the tool runs. Had it failed, "hold.release" would give the money back ...

    // After it: take what was held. The author's and the platform's shares are posted in the same step.
    let receipt = try engine.call("hold.capture", ["hold": hold["hold"] ?? .null])
    print("captured after the call ", money(receipt, "amount"), "with receipt", receipt["id"]?.int64 ?? 0)

    for account in ["user:ana", "user:author", "platform"] {
      let balance = try engine.call("balance.get", ["account": .string(account)])
      print("\(account) has".padded(to: 24), money(balance, "balance"))
    }

    // An expected no is a failure with a status of its own, and says what stood in the way.
    do {
      _ = try engine.call("charge.create", ["payer": "user:ana", "amount": "1000.00"])
    } catch {
      guard error.status == .insufficientFunds else { throw error }
      print("refused                 ", error.message)
    }

    let verified = try engine.call("ledger.verify")
    print("the journal's records   ", verified["records"]?.int64 ?? 0, "all verified")
    try engine.close()
  }

  static func money(_ output: JSON, _ field: String) -> String {
    (output[field]?.string ?? "?") + " " + (output["asset"]?.string ?? "")
  }
}

extension JSON {
  fileprivate subscript(_ key: String) -> JSON? { object?[key] }
}

extension String {
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}
