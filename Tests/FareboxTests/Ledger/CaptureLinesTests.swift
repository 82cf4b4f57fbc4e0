import Farebox
import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// A capture of several lines: one record, each line at its own price.
@Suite struct CaptureLinesTests {
  private static let tools = """
    deposit user:ana 100
    open agent:a
    open agent:b
    skill {"id":"s","version":"1.0.0","owner":"agent:a","revenue_share":"0.7","tools":[{"name":"t","pricing":{"cost":"0.5","per":"unit"}},{"name":"many","pricing":{"cost":"1","per":"unit","max_cost":"2"}}]}
    skill {"id":"o","owner":"agent:b","tools":[{"name":"u","pricing":{"cost":"0.2"}},{"name":"d","pricing":{"components":[{"model":"dynamic"}]}},{"name":"e","pricing":{"cost":"1","currency":"EUR"}}]}
    """

  private func play(_ table: String, inFile: Bool = false, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let ledger = try TestLedger(inFile: inFile)
    var script = Script(ledger)
    try script.play(CaptureLinesTests.tools, sourceLocation: sourceLocation)
    try script.play(table, sourceLocation: sourceLocation)
    try ledger.engine.expectSound(sourceLocation: sourceLocation)
  }

  @Test func `each line is charged at its price and credited to whom it names`() throws {
    try play(
      """
      reserve_call user:ana t usage={"units":20} run=r as first
      capture @first lines=[{"usage":{"units":3},"description":"work"},{"tool":"u"},{"tool":"d","amount":"0.75"},{"amount":"0.1"},{"amount":"0.05","payee":"user:ana"}] as paid -> OK amount=2.60 tool=t final=true hold_remaining=0.00 capped=false balance=97.45 available=97.45 lines.count=5 lines.0.tool=t lines.0.amount=1.50 lines.0.priced=1.50 lines.0.description=work lines.0.usage.units=3 lines.0.price_version=1 lines.1.tool=u lines.1.amount=0.20 lines.1.usage.requests=1 lines.1.price_version=3 lines.2.tool=d lines.2.amount=0.75 lines.3.tool=t lines.3.amount=0.10 lines.3.price_version=0 lines.4.tool=absent lines.4.payee=user:ana lines.4.amount=0.05
      balance agent:a   -> OK balance=1.12
      balance agent:b   -> OK balance=0.95
      balance platform  -> OK balance=0.48
      entry @paid       -> OK kind=capture run=r postings.count=8 postings.0.account=user:ana postings.0.amount=-2.60 postings.1.account=agent:a postings.1.amount=1.05 lines.count=5 lines.0.lines.0.meter=units lines.0.lines.0.amount=1.50 lines.2.lines=absent
      run.cost run=r    -> OK assets.0.spent=2.60 assets.0.count=1 assets.0.tools.count=4 assets.0.tools.0.tool=null assets.0.tools.0.amount=0.05 assets.0.tools.1.tool=t assets.0.tools.1.amount=1.60 assets.0.tools.1.count=2 assets.0.tools.2.tool=u assets.0.tools.2.amount=0.20 assets.0.tools.3.tool=d assets.0.tools.3.amount=0.75
      transfer.list tool=u kind=capture -> OK transfers.count=1 transfers.0.lines.count=5
      transfer.list tool=e kind=capture -> OK transfers.count=0
      """)
  }

  @Test func `the hold's own tool keeps its price, and others cost what they cost now`() throws {
    try play(
      """
      reserve_call user:ana t usage={"units":20} as first
      skill {"id":"s","version":"1.0.1","owner":"agent:b","revenue_share":"1","tools":[{"name":"t","pricing":{"cost":"9","per":"unit"}},{"name":"many","pricing":{"cost":"1","per":"unit","max_cost":"2"}}]}
      price.set tool=u customer=user:ana price={"cost":"0.11"}
      tool.disable tool=t
      capture @first lines=[{"usage":{"units":2}},{"tool":"t","usage":{"units":2}},{"tool":"u"}] -> OK amount=2.11 lines.0.amount=1.00 lines.1.amount=1.00 lines.1.price_version=1 lines.2.amount=0.11
      balance agent:a   -> OK balance=1.40
      tool.disable tool=u
      reserve user:ana 5 as second
      capture @second lines=[{"amount":"1"},{"tool":"u"}] -> TOOL_DISABLED field=lines[1].tool
      capture @second lines=[{"tool":"t","usage":{"units":1}}] -> TOOL_DISABLED field=lines[0].tool
      tool.enable tool=u
      capture @second lines=[{"tool":"u","usage":{"requests":3}}] -> OK amount=0.33
      """)
  }

  @Test func `a line that cannot be is named, and nothing is charged`() throws {
    try play(
      """
      reserve user:ana 5 as hold
      reserve_call user:ana t usage={"units":4} as priced
      capture @hold lines=[]                                                 -> MISSING_FIELD field=lines
      capture @hold lines=[{}]                                               -> MISSING_FIELD field=lines[0].tool
      capture @hold lines=[{"amount":"1"},{"usage":{"units":1}}]             -> INVALID_ARGUMENT field=lines[1].usage
      capture @hold lines=[{"tool":"x"}]                                     -> TOOL_NOT_FOUND field=lines[0].tool
      capture @hold lines=[{"tool":"e"}]                                     -> ASSET_MISMATCH field=lines[0].tool
      capture @hold lines=[{"tool":"u","amount":"1"}]                        -> INVALID_ARGUMENT field=lines[0].amount
      capture @hold lines=[{"tool":"u","payee":"agent:a"}]                   -> INVALID_ARGUMENT field=lines[0].payee
      capture @hold lines=[{"tool":"d"}]                                     -> UNPRICEABLE field=lines[0].usage.amount
      capture @hold lines=[{"tool":"u","usage":{"images":1}}]                -> UNPRICEABLE field=lines[0].usage.images
      capture @hold lines=[{"tool":"u","usage":{"images":-1}}]               -> INVALID_ARGUMENT field=lines[0].usage.images
      capture @hold lines=[{"amount":"1","payee":"user:eve"}]                -> ACCOUNT_NOT_FOUND field=lines[0].payee
      capture @hold lines=[{"amount":"-1"}]                                  -> INVALID_AMOUNT field=lines[0].amount
      capture @hold lines=[{"amount":true}]                                  -> INVALID_AMOUNT field=lines[0].amount
      capture @hold lines=[{"amount":"0.0000000001"}]                        -> TOO_PRECISE field=lines[0].amount
      capture @hold lines=[{"amount":"1","usage":{"units":1}}]               -> INVALID_ARGUMENT field=lines[0].usage
      capture @hold lines=[{"amount":"9000000000"},{"amount":"9000000000"}]  -> OVERFLOW field=lines
      capture @hold lines=[{"amount":"1","more":1}]                          -> UNKNOWN_FIELD field=lines[0].more
      capture @hold lines=[7]                                                -> INVALID_ARGUMENT field=lines[0]
      capture @hold 1 lines=[{"amount":"1"}]                                 -> INVALID_ARGUMENT field=lines
      capture @hold lines=[{"amount":"1"}] usage={"units":1}                 -> INVALID_ARGUMENT field=lines
      capture @hold lines=[{"amount":"3"},{"amount":"2.01"}]                 -> OVER_CAPTURE remaining=5.00 requested=5.01
      capture 99 lines=[{"amount":"1"}]                                      -> HOLD_NOT_FOUND field=hold
      open agent:gone
      close agent:gone
      capture @hold lines=[{"amount":"1"},{"amount":"1","payee":"agent:gone"}] -> ACCOUNT_CLOSED field=lines[1].payee
      hold @hold                                                             -> OK state=open remaining=5.00 captured=0.00
      """)
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play("deposit user:ana 10")
    let hold = try #require(script.answer("reserve user:ana 9").object?["hold"])
    let line: JSON = ["amount": "0.01"]
    let long: JSON = ["amount": "1", "description": .string(String(repeating: "d", count: 501))]
    func capture(_ lines: [JSON]) -> Status {
      status { _ = try ledger.engine.call("hold.capture", ["hold": hold, "final": false, "lines": .array(lines)]) }
    }
    #expect(capture([long]) == .tooLong)
    #expect(capture([JSON](repeating: line, count: 33)) == .tooLong)
    #expect(capture([JSON](repeating: line, count: 32)) == .ok)
  }

  @Test func `more than is held is refused, cut from the last line on, or charged on top`() throws {
    try play(
      """
      reserve user:ana 2 over_capture=cap payee=agent:a as cap
      capture @cap final=false lines=[{"amount":"0.5"},{"amount":"1","payee":"agent:b"},{"tool":"u"},{"amount":"1"}] -> OK amount=2.00 capped=true lines.0.amount=0.50 lines.0.capped=false lines.1.amount=1.00 lines.2.amount=0.20 lines.2.capped=false lines.3.amount=0.30 lines.3.priced=1.00 lines.3.capped=true
      capture @cap lines=[{"amount":"0.5"},{"tool":"u"}] -> OK amount=0.00 capped=true lines.0.amount=0.00 lines.0.priced=0.50 lines.1.amount=0.00
      balance agent:a   -> OK balance=0.80
      balance agent:b   -> OK balance=1.20
      reserve user:ana 2 over_capture=overflow as over
      capture @over lines=[{"amount":"1.5"},{"amount":"1"}] -> OK amount=2.50 capped=false lines.1.amount=1.00
      reserve user:ana 2 over_capture=overflow as most
      capture @most lines=[{"amount":"1"},{"amount":"1000"}] -> INSUFFICIENT_FUNDS
      capture @most lines=[{"tool":"many","usage":{"units":7}},{"amount":"0"}] -> OK amount=2.00 capped=true lines.0.capped=true lines.0.priced=2.00 lines.1.capped=false
      """)
  }

  @Test func `the same lines under a key are charged once`() throws {
    try play(
      """
      reserve_call user:ana t usage={"units":8} over_capture=cap as first
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":3},"description":"a"},{"tool":"u"},{"amount":"9","payee":"agent:a"}] as paid -> OK amount=4.00 capped=true
      skill {"id":"o","version":"2.0.0","owner":"agent:a","tools":[{"name":"u","pricing":{"cost":"0.9"}},{"name":"d","pricing":{"components":[{"model":"dynamic"}]}},{"name":"e","pricing":{"cost":"1","currency":"EUR"}}]}
      tool.disable tool=u
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":3},"description":"a"},{"tool":"u"},{"amount":"9","payee":"agent:a"}] -> OK replayed=true amount=4.00 lines.count=3 lines.2.amount=2.30 lines.2.priced=9.00
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":3},"description":"a"},{"tool":"u"}] -> KEY_CONFLICT field=lines
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":3},"description":"b"},{"tool":"u"},{"amount":"9","payee":"agent:a"}] -> KEY_CONFLICT field=lines[0]
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":4},"description":"a"},{"tool":"u"},{"amount":"9","payee":"agent:a"}] -> KEY_CONFLICT field=lines[0]
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":3},"description":"a"},{"tool":"d"},{"amount":"9","payee":"agent:a"}] -> KEY_CONFLICT field=lines[1]
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":3},"description":"a"},{"tool":"u"},{"amount":"8","payee":"agent:a"}] -> KEY_CONFLICT field=lines[2]
      capture @first final=false idempotency_key=k lines=[{"usage":{"units":3},"description":"a"},{"tool":"u"},{"amount":"9","payee":"agent:b"}] -> KEY_CONFLICT field=lines[2]
      capture @first final=false idempotency_key=k 4 -> KEY_CONFLICT field=lines
      capture @first final=false idempotency_key=k -> KEY_CONFLICT field=lines
      capture @first final=false idempotency_key=k usage={"units":3} -> KEY_CONFLICT field=lines
      reserve user:ana 1 as plain
      capture @plain 1 idempotency_key=p
      capture @plain idempotency_key=p lines=[{"amount":"1"}] -> KEY_CONFLICT field=lines
      """)
  }

  @Test(arguments: [false, true]) func `refunds in parts unwind each line to the last unit`(_ isSealed: Bool) throws {
    try play(
      """
      asset.open asset=GEM scale=0
      deposit user:ana 1000 asset=GEM
      skill {"id":"g","owner":"agent:a","revenue_share":"1/3","tools":[{"name":"g","pricing":{"cost":"1","per":"unit","currency":"GEM"}}]}
      reserve user:ana 100 asset=GEM payee=agent:b run=r as first
      capture @first lines=[{"tool":"g","usage":{"units":10}},{"amount":"7"},{"amount":"0"},{"amount":"3","payee":"agent:a"}] as paid -> OK amount=20
      \(isSealed ? "seal" : "tick")
      balance agent:a asset=GEM -> OK balance=7
      balance agent:b asset=GEM -> OK balance=7
      refund @paid 1 as one
      # The first line gives it back: 1 of its 10, of which the first recipient has the unit that is left over.
      entry @one -> OK kind=refund postings.0.account=user:ana postings.0.amount=1 postings.1.account=agent:a postings.1.amount=-1 postings.2.amount=0
      # Of 10 together 5, 3, 0 and 1, and the unit that is left over to the first line.
      refund @paid 9
      balance agent:b asset=GEM -> OK balance=4
      \(isSealed ? "reopen" : "tick")
      run.cost run=r -> OK assets.0.spent=10 assets.0.refunded=10 assets.0.tools.0.tool=null assets.0.tools.0.amount=6 assets.0.tools.1.tool=g assets.0.tools.1.amount=4
      refund @paid 11 -> OVER_REFUND
      refund @paid
      balance agent:a asset=GEM -> OK balance=0
      balance agent:b asset=GEM -> OK balance=0
      balance platform asset=GEM -> OK balance=0
      balance user:ana asset=GEM -> OK balance=1000
      refund @paid 1 -> OVER_REFUND
      """, inFile: true)
  }

  @Test func `parts of lines add up whatever their sizes`() {
    let seed = SeededGenerator.seed()
    print("CaptureLinesTests: FAREBOX_SEED=\(seed)")
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<2_000 {
      let lines = (0..<generator.below(6) + 1).map { _ in
        var line = StoredLine()
        line.charged = generator.chance(20) ? 0 : Int64(generator.below(generator.chance(50) ? 20 : 1 << 60))
        return line
      }
      let (whole, overflow) = lines.reduce((Int64(0), false)) { sum, line in
        let (next, isTooMuch) = sum.0.addingReportingOverflow(line.charged)
        return (next, sum.1 || isTooMuch)
      }
      if overflow { continue }
      #expect(StoredLine.parts(of: whole, lines) == lines.map(\.charged))
      #expect(StoredLine.parts(of: 0, lines).allSatisfy { $0 == 0 })
      if whole == 0 { continue }
      let part = Int64(generator.next() % UInt64(whole))
      let parts = StoredLine.parts(of: part, lines)
      #expect(parts.reduce(0, +) == part)
      for (index, line) in lines.enumerated() {
        #expect(parts[index] >= 0 && parts[index] <= line.charged)
        let exact = Double(part) * (Double(line.charged) / Double(whole))
        #expect(abs(Double(parts[index]) - exact) <= 1.000_1 + exact * 1e-12)
      }
    }
  }

  @Test func `lines are read back from a record as they were written, and no cut of them traps`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(CaptureLinesTests.tools)
    let hold = try #require(script.answer("reserve user:ana 9").object?["hold"])
    let text = "größer als acht Bytes"
    let receipt = try ledger.engine.call(
      "hold.capture",
      [
        "hold": hold,
        "lines": [
          ["tool": "t", "usage": ["units": "1.5"], "description": .string(text)], ["amount": "0.25"],
          ["tool": "u", "description": "12345678"],
        ],
      ])
    let id = try #require(receipt.object?["id"]?.int64)
    try ledger.engine.sealNow()
    try ledger.reopen()
    let entry = try ledger.engine.call("transfer.get", ["id": .int(id)]).object?["lines"]?.array
    #expect(entry?.count == 3)
    #expect(entry?[0].object?["description"] == .string(text) && entry?[0].object?["usage"]?.object?["units"] == "1.5")
    #expect(entry?[2].object?["description"] == "12345678" && entry?[1].object?["description"] == nil)
    let words = StoredLine(tool: 1, price: 2, beneficiary: 3, flags: 4, charged: 5, priced: 6, request: 7)
      .head(describedBy: 9)
    let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    let whole = bytes + [UInt8](repeating: 1, count: 88) + [UInt8](repeating: 65, count: 16)
    for count in 0...whole.count {
      let arena = TextArena()
      let found = try? StoredLine.all(arena.add(bytes: Array(whole.prefix(count))))
      #expect((found != nil) == (count >= 40 + 88 + 9 && (count <= 40 + 88 + 16)), "\(count)")
      if let line = found?.first {
        #expect(line.tool == 1 && line.price == 2 && line.beneficiary == 3 && line.charged == 5 && line.priced == 6)
        #expect(line.request == 7 && line.usage.count == 88 && line.description.string == "AAAAAAAAA")
      }
    }
  }
}
