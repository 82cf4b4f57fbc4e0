import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// Everything that a ledger can be asked, as JSON: two ledgers with equal facts cannot be told apart.
enum LedgerFacts {
  /// - Parameter times: moments whose past balances are asked for.
  static func of(_ engine: Engine, times: [Int64]) throws -> JSON {
    let verdict = try engine.call("ledger.verify")
    let accounts = try engine.call("account.list", ["limit": 1_000]).object?["accounts"]?.array ?? []
    let names = accounts.compactMap { $0.object?["account"]?.string }
    return [
      "records": verdict.object?["records"] ?? .null, "segments": verdict.object?["segments"] ?? .null,
      "hash": verdict.object?["hash"] ?? .null, "accounts": .array(accounts),
      "past": .array(try names.flatMap { name in try times.map { try past(name, $0, engine) } }),
      "history": .array(try names.map { try history($0, engine) }),
      "holds": try rows(engine, "hold.list", "holds", ["limit": 1_000]),
      "budgets": .array(try names.map { try rows(engine, "budget.list", "budgets", ["account": .string($0)]) }),
      "limits": .array(try names.map { try engine.call("limit.get", ["account": .string($0)]) }),
      "events": try rows(engine, "event.list", "events", ["limit": 1_000]),
      "tools": try rows(engine, "tool.list", "tools", [:]),
      "assets": try rows(engine, "asset.list", "assets", [:]),
    ]
  }

  private static func rows(_ engine: Engine, _ operation: String, _ field: String, _ input: JSON) throws -> JSON {
    try #require(try engine.call(operation, input).object?[field])
  }

  private static func past(_ account: String, _ time: Int64, _ engine: Engine) throws -> JSON {
    var units: [JSON] = []
    for asset in ["USD", "EUR", "GEM"] {
      let found = try? engine.call(
        "balance.get", ["account": .string(account), "asset": .string(asset), "at": .int(time)])
      units.append(found?.object?["units"] ?? .null)
    }
    return ["account": .string(account), "at": .int(time), "units": .array(units)]
  }

  /// The history of an account from the newest record to the oldest, in pages that do not fit its seals.
  private static func history(_ account: String, _ engine: Engine) throws -> JSON {
    var lines: [JSON] = []
    var before: JSON = .null
    repeat {
      let page = try engine.call(
        "transfer.list", ["account": .string(account), "limit": 97, "before": before])
      for row in page.object?["transfers"]?.array ?? [] {
        let id = row.object?["id"]?.int64 ?? 0
        let kind = row.object?["kind"]?.string ?? ""
        let amount = row.object?["amount"]?.string ?? ""
        lines.append(.string("\(id) \(kind) \(amount)"))
      }
      before = page.object?["next"] ?? .null
    } while !before.isNull
    return ["account": .string(account), "records": .array(lines)]
  }
}

extension JSON {
  /// Where something that `other` says is not said here, or nil; a later version may say more.
  func lacks(_ other: JSON, at path: String = "") -> String? {
    if let mine = object, let theirs = other.object {
      for member in theirs.members {
        guard let value = mine[member.key] else { return "\(path).\(member.key) is absent" }
        if let found = value.lacks(member.value, at: "\(path).\(member.key)") { return found }
      }
      return nil
    }
    if let mine = array, let theirs = other.array {
      guard mine.count == theirs.count else { return "\(path) has \(mine.count) elements, not \(theirs.count)" }
      for index in mine.indices {
        if let found = mine[index].lacks(theirs[index], at: "\(path).\(index)") { return found }
      }
      return nil
    }
    let (mine, theirs) = (canonical(), other.canonical())
    return mine == theirs ? nil : "\(path) is \(mine), not \(theirs)"
  }
}

/// Expects that nothing tells two ledgers apart.
func expectEqual(
  _ found: JSON, _ expected: JSON, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found.lacks(expected) == nil, comment, sourceLocation: sourceLocation)
}
