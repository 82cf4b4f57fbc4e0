import Farebox
import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// A ledger in which everything has happened that can: assets, splits, prices that change, budgets, limits, holds in all
/// states, refunds, reversals, webhooks, keys in sealed and merged runs.
final class BusyLedger {
  let clock: ManualClock
  private let engine: Engine
  private var generator: SeededGenerator
  /// Requests with a key, and the number of the record that each made.
  private(set) var keyed: [(operation: String, input: JSON, id: Int64)] = []
  /// Webhooks that the ledger has seen.
  private(set) var webhooks: [String] = []
  private var holds: [(id: Int64, left: Int)] = []
  private var charges: [Int64] = []
  private var serial = 0

  static let payers = ["user:ana", "user:ben", "org:acme/dept:lab", "org:acme/dept:shop/user:eve"]

  init(_ engine: Engine, _ clock: ManualClock, seed: UInt64) throws {
    self.engine = engine
    self.clock = clock
    generator = SeededGenerator(seed: seed)
    for (operation, input) in BusyLedger.beginning { _ = try engine.call(operation, JSON.parse(input)) }
  }

  private static let beginning = [
    ("asset.open", #"{"asset":"GEM","scale":3}"#),
    ("account.open", #"{"account":"org:acme"}"#),
    ("account.open", #"{"account":"org:acme/dept:lab","wallet":"parent"}"#),
    ("account.open", #"{"account":"org:acme/dept:shop","wallet":"own"}"#),
    ("account.open", #"{"account":"org:acme/dept:shop/user:eve","wallet":"parent"}"#),
    ("account.deposit", #"{"account":"user:ana","amount":"1000"}"#),
    ("account.deposit", #"{"account":"user:ana","amount":"50","asset":"EUR"}"#),
    ("account.deposit", #"{"account":"user:ben","amount":"1000"}"#),
    ("account.deposit", #"{"account":"user:ben","amount":"77.001","asset":"GEM"}"#),
    ("account.deposit", #"{"account":"org:acme","amount":"5000"}"#),
    ("account.deposit", #"{"account":"org:acme/dept:shop","amount":"5"}"#),
    ("account.set_credit_line", #"{"account":"org:acme/dept:shop","credit_line":"100000"}"#),
    (
      "skill.register",
      """
      {"manifest":{"id":"s","version":"1.0.0","owner":"agent:a","revenue_share":"0.7","tools":[
        {"name":"flat","pricing":{"cost":"0.013"}},{"name":"unit","pricing":{"cost":"0.5","per":"unit"}}]}}
      """
    ),
    ("rate_card.publish", #"{"card":{"name":"c","entries":[{"name":"m","price":{"cost":"0.2"}}]}}"#),
    ("budget.set", #"{"account":"org:acme","window":"day","amount":"900","thresholds":[1,50]}"#),
    ("budget.set", #"{"account":"user:ana","window":"hour","count":100000}"#),
    ("budget.set", #"{"account":"user:ben","name":"eu","window":"lifetime","amount":"40","asset":"EUR"}"#),
    ("limit.set", #"{"account":"user:ana","per_call":"90","per_run":"500","charges_per_hour":5000}"#),
    ("limit.set", #"{"account":"org:acme","per_run":"800"}"#),
  ]

  /// Does something a number of times, and seals after every few.
  func work(_ count: Int, sealEvery: Int? = nil) throws {
    for index in 1...count {
      clock.advance(Int64(generator.below(40_000_000)))
      try step()
      if let sealEvery, index % sealEvery == 0 { try engine.sealNow() }
    }
  }

  /// Repeats every request that had a key, and expects the record of the first time.
  func expectReplays(on engine: Engine, sourceLocation: SourceLocation = #_sourceLocation) throws {
    for request in keyed {
      let again = try engine.call(request.operation, request.input)
      #expect(again.object?["replayed"] == true, "\(request.input)", sourceLocation: sourceLocation)
      #expect(again.object?["id"]?.int64 == request.id, "\(request.input)", sourceLocation: sourceLocation)
    }
    for webhook in webhooks {
      let answer = status {
        try webhook.withBorrowedText { id throws(Failure) in try engine.guardAgainstReplay(.stripe, id: id) }
      }
      #expect(answer == .webhookReplayed, "\(webhook)", sourceLocation: sourceLocation)
    }
  }

  private func step() throws {
    let payer = generator.pick(BusyLedger.payers)
    switch generator.below(100) {
    case ..<40: try charge(["payer": .string(payer), "amount": amount(2), "run": run()])
    case ..<50: try charge(["payer": .string(payer), "tool": "flat"])
    case ..<55: try charge(["payer": .string(payer), "tool": "unit", "usage": ["units": 3], "metadata": ["step": 1]])
    case ..<58: try charge(["payer": .string(payer), "tool": "c/m", "description": "of a card"])
    case ..<60: try charge(["payer": "user:ben", "amount": "0.007", "asset": "GEM"])
    case ..<74: try reserve(payer)
    case ..<80: try capture()
    case ..<82: try increase()
    case ..<85: try release()
    case ..<88: try refund()
    case ..<90: try transfer()
    case ..<92: try webhook()
    case ..<94: try changePrice()
    case ..<96: try changeLimits()
    case ..<97: clock.advance(3_600_000_000)
    case ..<98: _ = try engine.tick()
    default: _ = try engine.call("account.deposit", ["account": .string(payer), "amount": "3.5"])
    }
  }

  private func amount(_ most: Int) -> JSON {
    .string("\(generator.below(most)).\(100 + generator.below(900))")
  }

  private func run() -> JSON { .string("run-\(generator.below(5))") }

  private func nextKey() -> String {
    serial += 1
    return "key-\(serial)"
  }

  private func charge(_ input: JSONObject) throws {
    guard let receipt = try keyed("charge.create", input) else { return }
    charges.append(try #require(receipt.object?["id"]?.int64))
  }

  private func reserve(_ payer: String) throws {
    let lasts = generator.chance(30) ? 900_000 : Int64(1 + generator.below(40)) * 3_600_000
    let input: JSONObject = [
      "payer": .string(payer), "amount": amount(4), "run": run(), "expires_in_ms": .int(lasts),
      "over_capture": generator.chance(50) ? "overflow" : "cap",
    ]
    guard let receipt = try keyed("hold.reserve", input) else { return }
    holds.append((try #require(receipt.object?["hold"]?.int64), 2))
  }

  private func capture() throws {
    guard !holds.isEmpty else { return }
    let index = generator.below(holds.count)
    holds[index].left -= 1
    let isFinal = holds[index].left == 0
    var input: JSONObject = ["hold": .int(holds[index].id), "final": .bool(isFinal)]
    if generator.chance(30) {
      input.append(
        "lines",
        [
          ["amount": "0.0100001", "payee": .string(generator.pick(BusyLedger.payers))], ["tool": "flat"],
          ["tool": "unit", "usage": ["units": "0.05"], "description": "a part of it"],
        ])
    } else {
      input.append("amount", "0.05")
    }
    let receipt = try keyed("hold.capture", input)
    if let id = receipt?.object?["id"]?.int64 { charges.append(id) }
    if isFinal || receipt == nil { holds.remove(at: index) }
  }

  private func increase() throws {
    guard !holds.isEmpty else { return }
    _ = try keyed("hold.increase", ["hold": .int(generator.pick(holds).id), "amount": amount(1)])
  }

  private func release() throws {
    guard !holds.isEmpty else { return }
    let hold = holds.remove(at: generator.below(holds.count))
    _ = try? engine.call(
      generator.chance(70) ? "hold.release" : "hold.extend",
      generator.chance(70)
        ? ["hold": .int(hold.id)] : ["hold": .int(hold.id), "expires_in_ms": 7_200_000])
  }

  private func refund() throws {
    guard let charge = charges.last else { return }
    _ = try keyed("charge.refund", ["id": .int(charge), "amount": "0.001"])
  }

  private func transfer() throws {
    let made = try keyed(
      "transfer.create",
      [
        "postings": [
          ["account": "user:ana", "amount": "-0.25"], ["account": "agent:a", "amount": "0.2"],
          ["account": "user:ben", "amount": "0.05"],
        ]
      ])
    if generator.chance(50), let id = made?.object?["id"]?.int64 {
      _ = try engine.call("transfer.reverse", ["id": .int(id)])
    }
  }

  private func webhook() throws {
    serial += 1
    let id = "evt_\(serial)"
    try id.withBorrowedText { id throws(Failure) in try engine.guardAgainstReplay(.stripe, id: id) }
    webhooks.append(id)
  }

  private func changePrice() throws {
    serial += 1
    let cost = "0.0\(10 + generator.below(80))"
    switch generator.below(3) {
    case 0:
      _ = try engine.call(
        "price.set",
        ["tool": "flat", "customer": .string(generator.pick(BusyLedger.payers)), "price": ["cost": .string(cost)]])
    case 1:
      _ = try engine.call(
        "rate_card.publish",
        ["card": ["name": "c", "entries": [["name": "m", "price": ["cost": .string(cost)]]]]])
    default:
      let manifest = """
        {"id":"s","version":"1.\(serial).0","owner":"agent:a","revenue_share":"0.\(50 + generator.below(40))","tools":[
          {"name":"flat","pricing":{"cost":"\(cost)"}},{"name":"unit","pricing":{"cost":"0.5","per":"unit"}}]}
        """
      _ = try engine.call("skill.register", ["manifest": try JSON.parse(manifest)])
    }
  }

  private func changeLimits() throws {
    if generator.chance(50) {
      _ = try engine.call(
        "budget.set",
        [
          "account": "org:acme", "window": "day", "amount": .int(Int64(900 + generator.below(9))),
          "thresholds": [1, 50],
        ])
    } else {
      _ = try engine.call(
        "limit.set",
        [
          "account": "user:ana", "per_call": "90", "per_run": .int(Int64(400 + generator.below(9))),
          "charges_per_hour": 5_000,
        ])
    }
  }

  /// Calls with a key; a refusal is an answer like any other.
  private func keyed(_ operation: String, _ fields: JSONObject) throws -> JSON? {
    var input = fields
    input.append("idempotency_key", .string(nextKey()))
    do throws(Failure) {
      let answer = try engine.call(operation, .object(input))
      keyed.append((operation, .object(input), answer.object?["id"]?.int64 ?? 0))
      return answer
    } catch {
      let family = error.status.entry?.family
      try #require(family == .refused || family == .hold || family == .state, "\(error) of \(input)")
      return nil
    }
  }
}
