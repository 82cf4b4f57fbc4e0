import FareboxCore
import Testing

@testable import Farebox

/// The life of a metered call: what is held, what each ending costs, what a retry costs.
@Suite struct CallTests {
  /// Four tools: a flat price, two by usage, with and without a maximum of its own, and a dynamic one.
  private static let tools = """
    deposit user:ana 10
    skill {"id":"s","tools":[{"name":"flat","price":{"cost":"1"}},{"name":"token","price":{"cost":"0.01","per":"output_token"}},{"name":"capped","price":{"cost":"0.01","per":"output_token","max_cost":"0.5"}},{"name":"dynamic","price":{"components":[{"model":"dynamic"}]}}]}

    """

  private func play(_ table: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(CallTests.tools + table, sourceLocation: sourceLocation)
    try ledger.engine.expectSound(sourceLocation: sourceLocation)
  }

  // MARK: What is held

  @Test func `a flat price is held whole and charged when the call returns`() throws {
    try play(
      """
      begin user:ana flat as a                      -> OK held=1.00 maximum=null key=null paid=false shared=false
      balance user:ana                              -> OK balance=10.00 held=1.00
      finish @a                                     -> OK amount=1.00 final=true capped=false balance=9.00
      balance user:ana                              -> OK balance=9.00 held=0.00
      """)
  }

  @Test func `a price by usage holds the lower of the two maxima`() throws {
    try play(
      """
      begin user:ana token max_cost=2               -> OK held=2.00 maximum=2.00
      begin user:ana capped                         -> OK held=0.50 maximum=0.50
      begin user:ana capped max_cost=0.2            -> OK held=0.20 maximum=0.20
      begin user:ana capped max_cost=2              -> OK held=0.50 maximum=0.50
      begin user:ana token max_cost=0               -> OK held=0.00 maximum=0.00
      """)
  }

  @Test func `an estimate is held where the caller gives no maximum`() throws {
    try play(
      """
      begin user:ana token expected={"output_tokens":30}              -> OK held=0.30 maximum=null
      begin user:ana token expected={"output_tokens":30} max_cost=2   -> OK held=2.00 maximum=2.00
      begin user:ana capped expected={"output_tokens":30}             -> OK held=0.30 maximum=0.50
      begin user:ana capped expected={"output_tokens":90}             -> OK held=0.50 maximum=0.50
      begin user:ana token expected={"images":1}                      -> UNPRICEABLE
      begin user:ana token expected={"images":1} max_cost=2           -> OK held=2.00
      """)
  }

  @Test func `a price by usage without estimate and maximum is refused before the call`() throws {
    try play(
      """
      begin user:ana token                          -> MISSING_FIELD field=max_cost
      begin user:ana token charge_afterwards=true as a -> OK held=0.00 maximum=null
      finish @a usage={"output_tokens":250}         -> OK amount=2.50 shortfall=absent balance=7.50
      """)
  }

  @Test func `an empty wallet does not run a tool that must be paid`() throws {
    try play(
      """
      open user:bob
      begin user:bob flat                           -> INSUFFICIENT_FUNDS
      begin user:bob token max_cost=1               -> INSUFFICIENT_FUNDS
      begin user:bob capped                         -> INSUFFICIENT_FUNDS
      begin user:eve flat                           -> ACCOUNT_NOT_FOUND field=payer
      """)
  }

  @Test func `a flat price above the caller's maximum is refused and a dynamic amount is cut to it`() throws {
    try play(
      """
      begin user:ana flat max_cost=0.5              -> OVER_MAX_COST requested=1.00
      begin user:ana flat max_cost=1                -> OK held=1.00
      begin user:ana dynamic                        -> MISSING_FIELD field=amount
      begin user:ana dynamic amount=3 max_cost=2 as a -> OK held=2.00 maximum=2.00
      finish @a                                     -> OK amount=2.00
      begin user:ana flat amount=3                  -> INVALID_ARGUMENT field=amount
      begin user:ana dynamic amount=-1              -> INVALID_AMOUNT field=amount
      begin user:ana token max_cost=-1              -> INVALID_AMOUNT field=max_cost
      """)
  }

  @Test func `a dynamic price costs at least its minimum and at most its maximum`() throws {
    try play(
      """
      skill {"id":"m","tools":[{"name":"bound","price":{"components":[{"model":"dynamic"}],"minimum":"0.5","max_cost":"3"}}]}
      begin user:ana bound amount=0.2 as a           -> OK held=0.50 maximum=3.00
      finish @a                                      -> OK amount=0.50 capped=false
      begin user:ana bound amount=1 as b             -> OK held=1.00
      finish @b amount=0.1                           -> OK amount=0.50 capped=false
      begin user:ana bound amount=1 as c             -> OK held=1.00
      finish @c amount=4                             -> OK amount=3.00 capped=true
      begin user:ana bound amount=0.2 max_cost=0.4   -> OK held=0.40 maximum=0.40
      """)
  }

  @Test func `a retry is told of the hold that it shares, though the price has another asset by now`() throws {
    try play(
      """
      asset.open asset=CREDITS
      deposit user:ana 10 asset=CREDITS
      skill {"id":"w","tools":[{"name":"wander","price":{"cost":"0.01","per":"unit","currency":"USD"}}]}
      begin user:ana wander call=c max_cost=2        -> OK held=2.00 maximum=2.00 asset=USD
      skill {"id":"w","version":"2.0.0","tools":[{"name":"wander","price":{"cost":"3","per":"unit","currency":"CREDITS"}}]}
      begin user:ana wander call=c max_cost=9 as b   -> OK held=2.00 maximum=2.00 asset=USD shared=true
      finish @b usage={"units":5}                    -> OK amount=0.05 asset=USD
      begin user:ana wander call=c max_cost=9        -> OK held=2.00 maximum=2.00 asset=USD paid=true
      """)
  }

  @Test func `a dynamic price with other parts counts each of them once`() throws {
    try play(
      """
      skill {"id":"mixed","tools":[{"name":"mixed","price":{"components":[{"model":"dynamic"},{"meter":"requests","rate":"0.5"}]}}]}
      begin user:ana mixed amount=2 as a            -> OK held=2.50
      finish @a                                     -> OK amount=2.50 shortfall=absent balance=7.50
      begin user:ana mixed amount=2 as a            -> OK held=2.50
      finish @a amount=1                            -> OK amount=1.50
      """)
  }

  // MARK: What an ending costs

  @Test(arguments: Settlement.table)
  func `each ending of each kind of price costs what the table says`(_ row: Settlement.Row) throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(CallTests.tools)
    let ending = "\(row.ending.name) delivered=\(row.delivered)"
    // A flat price of 1, a dynamic amount of 0.70, 20 tokens recorded for 0.20, 30 expected for 0.30, a maximum of 0.90.
    let amounts: [Settlement: String] = [
      .flat: "1.00", .amount: "0.70", .recorded: "0.20", .expected: "0.30", .held: "0.90",
    ]
    let cases: [(begin: String, usage: String, Settlement)] = [
      ("flat", "", row.flat), ("dynamic amount=0.7", "", row.dynamic),
      ("token max_cost=0.9 expected={\"output_tokens\":30}", " usage={\"output_tokens\":20}", row.recorded),
      ("token max_cost=0.9 expected={\"output_tokens\":30}", "", row.expected), ("token max_cost=0.9", "", row.unknown),
      ("token max_cost=0.9 release_unreported=true", "", row.unknownReleased),
    ]
    for (begin, usage, settlement) in cases {
      let before = try script.answer("balance user:ana").object?["balance"]?.string
      try script.play("begin user:ana \(begin) as a")
      let answer = try #require(script.answer("finish @a \(ending)\(usage)").object)
      if let amount = amounts[settlement] {
        #expect(answer["amount"]?.string == amount, "\(begin), \(ending)")
        #expect(answer["released"] == nil, "\(begin), \(ending)")
      } else {
        #expect(answer["released"] == true, "\(begin), \(ending)")
        #expect(try script.answer("balance user:ana").object?["balance"]?.string == before, "\(begin), \(ending)")
      }
      #expect((answer["unreported"] == true) == (settlement == .held), "\(begin), \(ending)")
      try script.play("balance user:ana -> OK held=0.00")
    }
    try ledger.engine.expectSound()
  }

  @Test func `the table is complete and no failure before delivery costs anything`() {
    #expect(Settlement.table.count == 8)
    for row in Settlement.table where row.ending == .reportedFailure || (row.ending != .returned && !row.delivered) {
      for cell in [row.flat, row.dynamic, row.recorded, row.expected, row.unknown, row.unknownReleased] {
        #expect(cell == .released)
      }
    }
    for row in Settlement.table where row.ending == .returned {
      let cells = [row.flat, row.dynamic, row.recorded, row.expected, row.unknown]
      #expect(cells == [.flat, .amount, .recorded, .expected, .held])
    }
  }

  @Test func `usage that never came is charged as held, flagged and reported as an event`() throws {
    try play(
      """
      begin user:ana token max_cost=0.9 run=r as a  -> OK held=0.90
      finish @a                                     -> OK amount=0.90 unreported=true
      events user:ana                               -> OK events.0.type=call.unreported events.0.amount=0.90 events.0.tool=token
      """)
  }

  @Test func `more than the maximum is never charged`() throws {
    try play(
      """
      begin user:ana token max_cost=0.5 as a
      finish @a usage={"output_tokens":80}          -> OK amount=0.50 capped=true shortfall=absent
      begin user:ana token max_cost=0.5 as a
      finish @a usage={"images":3}                  -> OK amount=0.50 capped=true
      begin user:ana token max_cost=0 as a
      finish @a usage={"output_tokens":80}          -> OK amount=0.00 capped=true
      """)
  }

  @Test func `what goes beyond the hold is charged up to the maximum`() throws {
    try play(
      """
      begin user:ana token expected={"output_tokens":10} as a     -> OK held=0.10
      finish @a usage={"output_tokens":400}         -> OK amount=4.00 capped=false balance=6.00
      begin user:ana capped expected={"output_tokens":10} as a    -> OK held=0.10
      finish @a usage={"output_tokens":400}         -> OK amount=0.50 capped=true balance=5.50
      """)
  }

  @Test func `what the payer cannot pay is the receipt's shortfall and an event`() throws {
    try play(
      """
      begin user:ana token expected={"output_tokens":100} as a    -> OK held=1.00
      finish @a usage={"output_tokens":1500}        -> OK amount=10.00 shortfall=5.00 balance=0.00
      events user:ana                               -> OK events.0.type=call.shortfall events.0.amount=5.00
      finish @a                                     -> OK amount=10.00 shortfall=5.00 replayed=true
      """)
  }

  @Test func `a budget bounds what is charged beyond the hold`() throws {
    try play(
      """
      budget user:ana day 2
      limits user:ana per_call=1.5
      begin user:ana token expected={"output_tokens":100} as a    -> OK held=1.00
      finish @a usage={"output_tokens":500}         -> OK amount=1.50 shortfall=3.50 balance=8.50
      begin user:ana token expected={"output_tokens":20} as a     -> OK held=0.20
      finish @a usage={"output_tokens":90}          -> OK amount=0.50 shortfall=0.40 balance=8.00
      """)
  }

  @Test func `a frozen payer pays what is held and no more`() throws {
    try play(
      """
      begin user:ana token expected={"output_tokens":100} as a
      freeze user:ana
      finish @a usage={"output_tokens":200}         -> OK amount=1.00 shortfall=1.00
      """)
  }

  @Test func `unpriceable usage without a maximum releases the hold and says so`() throws {
    try play(
      """
      begin user:ana token expected={"output_tokens":10} as a
      finish @a usage={"images":1}                  -> UNPRICEABLE
      balance user:ana                              -> OK balance=10.00 held=0.00
      """)
  }

  @Test func `recorded usage of zero is known usage`() throws {
    try play(
      """
      begin user:ana token max_cost=1 as a
      finish @a usage={"output_tokens":0}           -> OK amount=0.00 unreported=absent
      begin user:ana token max_cost=1 as a
      finish @a usage={"output_tokens":null}        -> OK amount=1.00 unreported=true
      """)
  }

  @Test func `requests that were recorded count for a price by the request`() throws {
    try play(
      """
      begin user:ana flat as a
      finish @a usage={"requests":3}                -> OK amount=3.00
      begin user:ana flat as a
      finish @a usage={"output_tokens":3}           -> OK amount=1.00
      """)
  }

  @Test func `a failed finish leaves the hold open and can be repeated`() throws {
    try play(
      """
      begin user:ana token max_cost=1 as a
      finish @a usage={"output_tokens":-1}          -> INVALID_ARGUMENT field=usage.output_tokens
      finish @a usage={"output_tokens":true}        -> INVALID_ARGUMENT field=usage.output_tokens
      finish @a usage={"words":1}                   -> UNKNOWN_FIELD field=usage.words
      finish @a ending=maybe                        -> INVALID_ARGUMENT field=ending
      finish @a usage={"output_tokens":"12.4"}      -> OK amount=0.12
      finish 99                                     -> HOLD_NOT_FOUND field=hold
      """)
  }

  // MARK: Lines

  @Test func `lines beside the call's own usage are charged in one receipt`() throws {
    try play(
      """
      begin user:ana token max_cost=5 as a
      finish @a usage={"output_tokens":20} lines=[{"tool":"flat"},{"tool":"capped","usage":{"output_tokens":90}},{"amount":"0.25","payee":"platform","description":"fee"}] -> OK amount=1.95 lines.count=4 lines.0.tool=token lines.0.amount=0.20 lines.1.amount=1.00 lines.1.tool=flat lines.2.amount=0.50 lines.2.capped=true lines.3.payee=platform balance=8.05
      begin user:ana token max_cost=5 as a
      finish @a lines=[{"tool":"flat"}]             -> OK amount=1.00 unreported=absent lines.0.amount=0.00 lines.1.amount=1.00
      """)
  }

  @Test func `the maximum and the wallet cut lines from the last to the first`() throws {
    try play(
      """
      begin user:ana token max_cost=1.1 as a
      finish @a usage={"output_tokens":20} lines=[{"tool":"flat"}] -> OK amount=1.10 capped=true lines.0.amount=0.20 lines.1.amount=0.90
      withdraw user:ana 8
      begin user:ana token expected={"output_tokens":10} as a
      finish @a usage={"output_tokens":20} lines=[{"tool":"flat"}] -> OK amount=0.90 shortfall=0.30 lines.1.amount=0.70
      """)
  }

  @Test func `lines of a call that failed cost nothing`() throws {
    try play(
      """
      begin user:ana flat as a
      finish @a failed lines=[{"tool":"flat"}]      -> OK released=true balance=10.00
      """)
  }

  @Test func `a line that nothing prices releases the hold, or costs the maximum`() throws {
    try play(
      """
      begin user:ana flat as a
      finish @a lines=[{"tool":"nope"}]             -> TOOL_NOT_FOUND field=lines[0].tool
      balance user:ana                              -> OK balance=10.00 held=0.00
      begin user:ana token max_cost=2 as a
      finish @a usage={"output_tokens":20} lines=[{"tool":"token","usage":{"images":1}}] -> OK amount=2.00 capped=true
      """)
  }

  // MARK: Tries

  @Test func `a call of one id is charged once, however often it is tried`() throws {
    try play(
      """
      begin user:ana flat run=r call=c arguments="x" as a     -> OK paid=false
      finish @a failed                              -> OK released=true
      begin user:ana flat run=r call=c arguments="x" as b     -> OK paid=false shared=false
      finish @b                                     -> OK amount=1.00 balance=9.00
      begin user:ana flat run=r call=c arguments="x" as c     -> OK paid=true
      finish @c                                     -> OK amount=1.00 balance=9.00 replayed=true
      finish @c failed                              -> OK amount=1.00 replayed=true
      balance user:ana                              -> OK balance=9.00 held=0.00
      """)
  }

  @Test func `tries at the same time share a hold and one of them is charged`() throws {
    try play(
      """
      begin user:ana flat run=r call=c as a         -> OK shared=false
      begin user:ana flat run=r call=c as b         -> OK shared=true
      balance user:ana                              -> OK held=1.00
      finish @a failed                              -> OK released=true
      finish @b                                     -> OK amount=1.00 balance=9.00
      begin user:ana flat run=r call=c              -> OK paid=true
      """)
  }

  @Test func `other payers, runs, ids, parents, tools, arguments and ordinals are other calls`() throws {
    try play(
      """
      deposit user:bob 10
      begin user:ana flat run=a/b call=c as x
      finish @x
      begin user:ana flat run=a call=b/c            -> OK paid=false shared=false
      begin user:bob flat run=a/b call=c            -> OK paid=false shared=false
      begin user:ana flat run=a/b call=c parent=k   -> OK paid=false shared=false
      begin user:ana flat run=a/b call=c ordinal=1  -> OK paid=false shared=false
      begin user:ana flat run=a/b call=c arguments=[1] -> OK paid=false shared=false
      begin user:ana capped run=a/b call=c          -> OK paid=false shared=false
      begin user:ana flat call=c                    -> OK paid=false shared=false
      begin user:ana flat run=a/b call=c            -> OK paid=true
      """)
  }

  @Test func `calls without an id are calls of their own`() throws {
    try play(
      """
      begin user:ana flat run=r as a                -> OK key=null
      finish @a
      begin user:ana flat run=r as b                -> OK key=null paid=false
      finish @b                                     -> OK balance=8.00
      """)
  }

  @Test func `ids of any length name calls`() throws {
    let long = String(repeating: "x", count: 5_000)
    try play(
      """
      begin user:ana flat run=\(long) call=\(long) as a
      finish @a                                     -> OK balance=9.00
      begin user:ana flat run=\(long) call=\(long)  -> OK paid=true
      begin user:ana flat run=\(long) call=\(long)y -> OK paid=false
      """)
  }

  @Test func `a given key names one call and is refused for another`() throws {
    try play(
      """
      deposit user:bob 10
      begin user:ana flat idempotency_key=k arguments=[1] run=r as a
      finish @a failed
      begin user:ana flat idempotency_key=k arguments=[1] run=r as b   -> OK paid=false
      finish @b
      begin user:ana flat idempotency_key=k arguments=[1] run=r        -> OK paid=true
      begin user:ana flat idempotency_key=k arguments=[2] run=r        -> KEY_CONFLICT field=arguments
      begin user:bob flat idempotency_key=k arguments=[1] run=r        -> KEY_CONFLICT field=payer
      begin user:ana capped idempotency_key=k arguments=[1] run=r      -> KEY_CONFLICT field=tool
      begin user:ana flat idempotency_key=k arguments=[1] run=q        -> KEY_CONFLICT field=run
      """)
  }

  @Test func `a price that has changed since is no other call`() throws {
    try play(
      """
      begin user:ana flat run=r call=c as a
      finish @a                                     -> OK amount=1.00
      skill {"id":"s","version":"1.0.0","tools":[{"name":"flat","price":{"cost":"3"}}]}
      begin user:ana flat run=r call=c as b         -> OK paid=true
      finish @b                                     -> OK amount=1.00 replayed=true balance=9.00
      """)
  }

  // MARK: Holds that end while the tool runs

  @Test func `a hold that expires while the tool runs does not make the call free`() throws {
    try play(
      """
      begin user:ana token max_cost=1 expires_in_ms=1000 as a
      wait 1h
      balance user:ana                              -> OK held=0.00
      finish @a usage={"output_tokens":30}          -> OK amount=0.30 balance=9.70
      finish @a usage={"output_tokens":30}          -> OK amount=0.30 replayed=true balance=9.70
      balance user:ana                              -> OK balance=9.70 held=0.00
      """)
  }

  @Test func `a call of an id that outlives its hold is charged once with its retry`() throws {
    try play(
      """
      begin user:ana flat run=r call=c expires_in_ms=1000 as a
      wait 1h
      begin user:ana flat run=r call=c as b         -> OK paid=false shared=false
      finish @b                                     -> OK amount=1.00 balance=9.00
      finish @a                                     -> OK amount=1.00 replayed=true balance=9.00
      begin user:ana flat run=r call=c expires_in_ms=1000 -> OK paid=true
      """)
  }

  @Test func `a late end of an unreported call is charged what was held`() throws {
    try play(
      """
      begin user:ana token max_cost=0.7 expires_in_ms=1000 as a
      wait 1h
      finish @a                                     -> OK amount=0.70 unreported=true balance=9.30
      """)
  }

  @Test func `a late end that the payer cannot pay is a shortfall`() throws {
    try play(
      """
      begin user:ana flat expires_in_ms=1000 as a
      wait 1h
      withdraw user:ana 9.6
      finish @a                                     -> OK amount=0.40 shortfall=0.60 balance=0.00
      """)
  }

  @Test func `a late failure costs nothing`() throws {
    try play(
      """
      begin user:ana flat expires_in_ms=1000 as a
      wait 1h
      finish @a failed                              -> OK released=true
      balance user:ana                              -> OK balance=10.00 held=0.00
      """)
  }

  @Test func `a hold that was released by hand is not charged`() throws {
    try play(
      """
      begin user:ana flat as a
      release @a
      finish @a                                     -> HOLD_RELEASED field=call
      begin user:ana flat as a
      capture @a 0.2
      finish @a                                     -> OK amount=0.20 replayed=true
      """)
  }

  @Test func `a call begun before the ledger was closed can be finished after it`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(
      CallTests.tools + """
        begin user:ana token max_cost=1 expected={"output_tokens":7} run=r call=c as a
        begin user:ana token max_cost=1 release_unreported=true as b
        reopen
        seal
        finish @a                                     -> OK amount=0.07
        finish @b                                     -> OK released=true
        begin user:ana token max_cost=1 run=r call=c  -> OK paid=true
        """)
    try ledger.engine.expectSound()
  }
}
