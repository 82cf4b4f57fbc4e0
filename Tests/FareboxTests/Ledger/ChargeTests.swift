import FareboxCore
import Testing

@testable import Farebox

/// Charges and refunds.
@Suite struct ChargeTests {
  @Test func `a charge moves money from the payer's wallet to the payee`() throws {
    try play(
      """
      deposit user:ana 10
      open agent:writer
      charge user:ana 1.25                             -> OK amount=1.25 asset=USD balance=8.75 available=8.75 price_version=0
      charge user:ana 1 payee=agent:writer             -> OK balance=7.75
      charge user:ana 0                                -> OK amount=0.00
      charge user:ana 7.750000001                      -> INSUFFICIENT_FUNDS constraint=wallet limit=7.75 spent=7.75 held=0.00
      charge user:ana -1                               -> INVALID_AMOUNT field=amount
      charge user:ana 0.0000000001                     -> TOO_PRECISE field=amount
      charge user:ana one                              -> INVALID_AMOUNT field=amount
      charge user:nobody 1                             -> ACCOUNT_NOT_FOUND field=payer
      charge user:ana 1 payee=user:nobody              -> ACCOUNT_NOT_FOUND field=payee
      charge user:ana                                  -> MISSING_FIELD field=tool
      charge user:ana 1 asset=NOPE                     -> ASSET_NOT_FOUND field=asset
      charge user:ana 1 asset=EUR                      -> ASSET_NOT_FOUND field=asset
      charge user:ana 2 max_cost=1                     -> OVER_MAX_COST constraint=max_cost limit=1.00 requested=2.00
      charge user:ana 1 max_cost=1                     -> OK
      balance platform                                 -> OK balance=2.25
      balance agent:writer                             -> OK balance=1.00
      balance user:ana                                 -> OK balance=6.75
      """)
  }

  @Test func `a maximum of 0 is a maximum`() throws {
    try play(
      """
      deposit user:ana 10
      skill {"id":"s","tools":[{"name":"t","pricing":{"cost":"1"}},{"name":"u","pricing":{"cost":"1","per":"unit"}},{"name":"d","pricing":{"components":[{"model":"dynamic"}]}}]}
      charge user:ana 5 max_cost=0                     -> OVER_MAX_COST limit=0.00 requested=5.00
      charge user:ana 0 max_cost=0                     -> OK amount=0.00
      call user:ana t max_cost=0                       -> OVER_MAX_COST limit=0.00 requested=1.00
      call user:ana u usage={"output_tokens":1} max_cost=0 -> OK amount=0.00 capped=true
      call user:ana d amount=1 max_cost=0              -> OVER_MAX_COST
      quote t max_cost=0                               -> OK total=0.00 capped=true
      price.evaluate price={"cost":"1"} max_cost=0     -> OK total=0.00 capped=true
      reserve payer=user:ana max_cost=0                -> OK amount=0.00
      reserve_call user:ana t max_cost=0               -> OK amount=0.00
      charge user:ana 0 max_cost=0 idempotency_key=k   -> OK
      charge user:ana 0 idempotency_key=k              -> KEY_CONFLICT field=max_cost
      charge user:ana 0 max_cost=1 idempotency_key=k   -> KEY_CONFLICT field=max_cost
      """)
  }

  @Test func `neither a tool nor an amount is no charge, at both doors`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 10
      charge payer=user:ana                            -> MISSING_FIELD field=tool
      reserve payer=user:ana                           -> MISSING_FIELD field=tool
      """)
    let arena = TextArena()
    var request = ChargeRequest()
    request.payer = arena.add("user:ana")
    for most: Int64? in [nil, 0, 5] {
      request.maxCost = most
      #expect(status { _ = try ledger.engine.charge(request) } == .missingField)
      // A reservation without an amount holds its maximum.
      #expect(status { _ = try ledger.engine.reserve(request) } == (most == nil ? .missingField : .ok))
    }
    withExtendedLifetime(arena) {}
  }

  @Test func `a refusal for want of money names the wallet and who holds it`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 3 as small
      reserve user:ana 5 as large
      charge user:ana 4         -> INSUFFICIENT_FUNDS constraint=wallet account=user:ana limit=2.00 spent=10.00 held=8.00 requested=4.00 unit=USD held_by.count=2 held_by.0.amount=5.00 held_by.1.amount=3.00 held_by.0.account=user:ana
      """)
  }

  @Test func `the holders of a wallet are those that draw on it`() throws {
    try play(
      """
      deposit org:acme 10
      open org:acme/dept:research
      open org:acme/dept:sales wallet=own
      deposit org:acme/dept:sales 10
      reserve org:acme/dept:research 1
      reserve org:acme/dept:sales 9
      charge org:acme 10        -> INSUFFICIENT_FUNDS held=1.00 held_by.count=1 held_by.0.account=org:acme/dept:research
      """)
  }

  @Test func `a refused charge changes nothing`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play("deposit user:ana 1")
    let before = try ledger.engine.call("ledger.verify")
    try script.play(
      """
      charge user:ana 2                                -> INSUFFICIENT_FUNDS
      charge user:nobody 2                             -> ACCOUNT_NOT_FOUND
      reserve user:ana 2                               -> INSUFFICIENT_FUNDS
      charge user:ana 1 max_cost=0.5                   -> OVER_MAX_COST
      transfer user:ana=-2 platform=2                  -> INSUFFICIENT_FUNDS
      withdraw user:ana 2                              -> INSUFFICIENT_FUNDS
      """)
    #expect(try ledger.engine.call("ledger.verify") == before)
  }

  @Test func `refunds in parts give back the whole, from each what it got`() throws {
    for total in ["1", "0.000000001", "0.000000002", "0.000000005", "0.00000001", "7.123456789"] {
      for parts in [["0.000000001"], ["0.000000002", "0.000000001"], ["0.3", "0.000000004"], []] {
        let ledger = try TestLedger()
        var script = Script(ledger)
        try script.play(
          """
          deposit user:ana 10
          skill {"id":"s","owner":"agent:a","split":[{"account":"agent:a","share":"1/3"},{"account":"agent:b","share":"1/3"},{"account":"platform","share":"remaining"}],"tools":[{"name":"t","pricing":{"components":[{"model":"dynamic"}]}}]}
          call user:ana t amount=\(total) as charge
          """)
        let units = try Amount.parse(total, scale: 9)
        var left = units
        for part in parts {
          let amount = try Amount.parse(part, scale: 9)
          guard amount <= left else { continue }
          left -= amount
          try script.play("refund @charge \(part)")
        }
        try script.play("refund @charge\(left > 0 ? "" : " -> OVER_REFUND")")
        for account in ["agent:a", "agent:b", "platform"] {
          try script.play("balance \(account)              -> OK balance=0.00")
        }
        try script.play("balance user:ana                  -> OK balance=10.00")
        try script.play("refund @charge 0.000000001        -> OVER_REFUND")
        try ledger.engine.expectSound()
      }
    }
  }

  @Test func `a refund is at most what is left of a charge or capture`() throws {
    try play(
      """
      deposit user:ana 10
      charge user:ana 4 as charge
      refund @charge 1                                 -> OK amount=1.00 balance=7.00
      refund @charge 3.000000001                       -> OVER_REFUND field=amount
      refund @charge -1                                -> INVALID_AMOUNT field=amount
      refund @charge 0                                 -> OK amount=0.00
      refund @charge                                   -> OK amount=3.00 balance=10.00
      refund @charge 0.000000001                       -> OVER_REFUND
      refund @charge                                   -> OVER_REFUND
      reserve user:ana 4 as hold
      refund @hold                                     -> TRANSFER_NOT_FOUND field=id
      capture @hold 3 as capture
      refund @capture 3.01                             -> OVER_REFUND
      refund @capture                                  -> OK amount=3.00 balance=10.00
      refund 12345                                     -> TRANSFER_NOT_FOUND field=id
      """)
  }

  @Test func `a recipient who has spent the money owes it`() throws {
    try play(
      """
      deposit user:ana 10
      open agent:writer
      charge user:ana 4 payee=agent:writer as charge
      withdraw agent:writer 4
      refund @charge                                   -> OK balance=10.00
      balance agent:writer                             -> OK balance=-4.00 available=-4.00
      charge agent:writer 0.01                         -> INSUFFICIENT_FUNDS
      """)
  }

  @Test func `what was refunded is known after sealing and opening again`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 10
      charge user:ana 4 as charge
      refund @charge 1 idempotency_key=first
      seal
      reopen
      refund @charge 1 idempotency_key=first           -> OK replayed=true amount=1.00
      refund @charge 4                                 -> OVER_REFUND
      refund @charge 2
      seal
      seal
      reopen
      refund @charge                                   -> OK amount=1.00 balance=10.00
      """)
  }

  @Test func `a batch stands or falls item by item`() throws {
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "10"])
    let amounts: [JSON] = ["1", "20", "-1", "2", "x", "7"]
    let answer = try ledger.engine.call(
      "charge.create_many",
      ["charges": .array(amounts.map { ["payer": "user:ana", "amount": $0] })])
    let receipts = try #require(answer.object?["receipts"]?.array)
    let statuses = receipts.map { $0.object?["error"]?.object?["status"]?.string ?? "OK" }
    #expect(statuses == ["OK", "INSUFFICIENT_FUNDS", "INVALID_AMOUNT", "OK", "INVALID_AMOUNT", "OK"])
    #expect(receipts[5].object?["balance"] == "0.00")
    try ledger.engine.expectSound()
  }
}
