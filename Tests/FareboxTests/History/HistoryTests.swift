import FareboxCore
import Testing

@testable import Farebox

/// The journal read back, page by page, sealed or not.
@Suite struct HistoryTests {
  @Test(arguments: [false, true]) func `pages hold everything once, newest first`(_ seals: Bool) throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 100
      deposit user:bob 100
      """)
    var expected: [String: [Int64]] = ["user:ana": [], "user:bob": []]
    for number in 0..<30 {
      ledger.clock.advance(1_000)
      let payer = number % 3 == 0 ? "user:bob" : "user:ana"
      let receipt = try script.answer("charge \(payer) 0.01 run=r\(number % 2)")
      expected[payer]?.insert(try #require(receipt.object?["id"]?.int64), at: 0)
      if seals, number % 7 == 6 { try ledger.engine.sealNow() }
    }
    for (account, ids) in expected {
      for limit in [1, 4, 100] {
        var found: [Int64] = []
        var before: JSON = .null
        while true {
          let page = try ledger.engine.call(
            "transfer.list",
            ["account": .string(account), "kind": "charge", "limit": .int(Int64(limit)), "before": before])
          let rows = try #require(page.object?["transfers"]?.array)
          #expect(rows.count <= limit)
          found += rows.compactMap { $0.object?["id"]?.int64 }
          before = page.object?["next"] ?? .null
          if before.isNull { break }
        }
        #expect(found == ids, "\(account) by \(limit)")
      }
    }
    let start = ledger.clock.now
    let slice = try ledger.engine.call(
      "transfer.list", ["kind": "charge", "from": .int(start - 5_000), "to": .int(start), "run": "r0"])
    #expect(slice.object?["transfers"]?.array?.count == 3)
    try ledger.engine.expectSound()
  }

  @Test func `an entry tells its postings and how its price came about`() throws {
    try play(
      """
      deposit user:ana 10
      skill {"id":"s","owner":"agent:a","revenue_share":"0.7","tools":[{"name":"t","pricing":{"cost":"0.5","per":"unit"}}]}
      call user:ana t usage={"units":3} description=hello metadata={"b":1,"a":2} run=r call=c idempotency_key=k as charge
      entry @charge      -> OK kind=charge account=user:ana amount=1.50 tool=t postings.count=3 postings.0.amount=-1.50 postings.1.account=agent:a postings.1.amount=1.05 postings.2.amount=0.45 lines.count=1 lines.0.amount=1.50 description=hello run=r call=c idempotency_key=k metadata={"a":2,"b":1}
      refund @charge 0.50 as refund
      entry @refund      -> OK kind=refund postings.0.amount=0.50 postings.1.amount=-0.35 postings.2.amount=-0.15
      entry 999          -> TRANSFER_NOT_FOUND field=id
      """)
  }

  @Test func `a ledger that is opened again is the same ledger`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 10
      charge user:ana 1
      reserve user:ana 2 expires_in_ms=99999999
      """)
    for seals in [false, true, false, true] {
      if seals { try ledger.engine.sealNow() }
      let before = try ledger.engine.call("ledger.verify")
      let accounts = try ledger.engine.call("account.list")
      let holds = try ledger.engine.call("hold.list")
      try ledger.reopen()
      #expect(try ledger.engine.call("ledger.verify") == before)
      #expect(try ledger.engine.call("account.list") == accounts)
      #expect(try ledger.engine.call("hold.list") == holds)
      try script.play("charge user:ana 0.5")
    }
  }
}
