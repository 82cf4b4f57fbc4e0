import Farebox
import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// The same key and request give the first receipt again; another request is a conflict that names the field.
@Suite struct IdempotencyTests {
  private static let setting = """
    deposit user:ana 100
    deposit user:bob 100
    deposit user:ana 100 asset=EUR
    open agent:writer
    skill {"id":"s","tools":[{"name":"t","pricing":{"cost":"1","per":"unit"}},{"name":"u","pricing":{"cost":"1","per":"unit"}},{"name":"d","pricing":{"components":[{"model":"dynamic"}]}}]}
    """

  /// Requests that take a key, and each with one field changed, and the field that the conflict must name.
  private static let requests: [(request: String, changed: [(String, field: String)])] = [
    (
      "charge payer=user:ana amount=2 payee=agent:writer asset=USD run=r call=c description=d metadata={\"a\":1}",
      [
        (
          "charge payer=user:bob amount=2 payee=agent:writer asset=USD run=r call=c description=d metadata={\"a\":1}",
          "payer"
        ),
        (
          "charge payer=user:ana amount=3 payee=agent:writer asset=USD run=r call=c description=d metadata={\"a\":1}",
          "amount"
        ),
        (
          "charge payer=user:ana amount=2 payee=platform asset=USD run=r call=c description=d metadata={\"a\":1}",
          "payee"
        ),
        ("charge payer=user:ana amount=2 asset=USD run=r call=c description=d metadata={\"a\":1}", "payee"),
        (
          "charge payer=user:ana amount=2 payee=agent:writer asset=EUR run=r call=c description=d metadata={\"a\":1}",
          "asset"
        ),
        (
          "charge payer=user:ana amount=2 payee=agent:writer asset=USD run=s call=c description=d metadata={\"a\":1}",
          "run"
        ),
        ("charge payer=user:ana amount=2 payee=agent:writer asset=USD call=c description=d metadata={\"a\":1}", "run"),
        (
          "charge payer=user:ana amount=2 payee=agent:writer asset=USD run=r call=e description=d metadata={\"a\":1}",
          "call"
        ),
        (
          "charge payer=user:ana amount=2 payee=agent:writer asset=USD run=r call=c description=e metadata={\"a\":1}",
          "description"
        ),
        (
          "charge payer=user:ana amount=2 payee=agent:writer asset=USD run=r call=c description=d metadata={\"a\":2}",
          "metadata"
        ),
        ("charge payer=user:ana amount=2 payee=agent:writer asset=USD run=r call=c description=d", "metadata"),
        ("call payer=user:ana tool=t", "tool"),
        (
          "reserve payer=user:ana amount=2 payee=agent:writer asset=USD run=r call=c description=d metadata={\"a\":1}",
          "operation"
        ),
      ]
    ),
    (
      "call user:ana t usage={\"units\":2}",
      [
        ("call user:ana u usage={\"units\":2}", "tool"),
        ("call user:ana t usage={\"units\":3}", "usage"),
        ("call user:ana t usage={\"units\":\"2.5\"}", "usage"),
        ("call user:ana t", "usage"),
        ("charge user:ana 2", "tool"),
      ]
    ),
    ("call user:ana d amount=2", [("call user:ana d amount=3", "amount")]),
    (
      "call user:ana t usage={\"units\":2} max_cost=5", [("call user:ana t usage={\"units\":2} max_cost=6", "max_cost")]
    ),
    (
      "reserve user:ana 2 expires_in_ms=60000 over_capture=cap",
      [
        ("reserve user:ana 3 expires_in_ms=60000 over_capture=cap", "amount"),
        ("reserve user:ana 2 expires_in_ms=60001 over_capture=cap", "expires_in_ms"),
        ("reserve user:ana 2 expires_in_ms=60000 over_capture=overflow", "over_capture"),
        ("reserve user:ana 2 expires_in_ms=60000", "over_capture"),
        ("charge user:ana 2", "operation"),
      ]
    ),
    (
      "reserve_call user:ana t usage={\"units\":2} max_cost=7",
      [
        ("reserve_call user:ana t usage={\"units\":2} max_cost=8", "max_cost"),
        ("reserve_call user:ana t usage={\"units\":2}", "max_cost"),
        ("reserve_call user:ana t usage={\"units\":1} max_cost=7", "usage"),
      ]
    ),
    ("reserve payer=user:ana max_cost=5", [("reserve payer=user:ana max_cost=6", "max_cost")]),
    (
      "capture @hold 2 final=false description=d",
      [
        ("capture @other 2 final=false description=d", "hold"),
        ("capture @hold 3 final=false description=d", "amount"),
        ("capture @hold final=false description=d", "amount"),
        ("capture @hold 2 final=true description=d", "final"),
        ("capture @hold 2 final=false description=e", "description"),
        ("capture @hold 2 final=false description=d metadata={\"a\":1}", "metadata"),
        ("capture @hold usage={\"units\":2} final=false description=d", "usage"),
      ]
    ),
    (
      "capture @capped 50",
      [("capture @capped 51", "amount"), ("capture @capped", "amount"), ("capture @capped 20", "amount")]
    ),
    (
      "capture @priced usage={\"units\":3} final=false",
      [("capture @priced usage={\"units\":4} final=false", "usage"), ("capture @priced 3 final=false", "amount")]
    ),
    (
      "refund @charge 1 description=d",
      [
        ("refund @second 1 description=d", "id"), ("refund @charge 2 description=d", "amount"),
        ("refund @charge description=d", "amount"), ("refund @charge 1", "description"),
      ]
    ),
    ("refund @charge", [("refund @charge 9", "amount")]),
    (
      "transfer user:ana=-2 user:bob=2 description=d",
      [
        ("transfer user:ana=-3 user:bob=3 description=d", "postings[0]"),
        ("transfer user:ana=-2 agent:writer=2 description=d", "postings[1]"),
        ("transfer user:ana=-2 user:bob=1 agent:writer=1 description=d", "postings"),
        ("transfer user:ana=-2 user:bob=2", "description"),
        ("transfer user:ana=-2 user:bob=2 description=d metadata={\"a\":1}", "metadata"),
        ("charge user:ana 2", "operation"),
      ]
    ),
    ("reverse @moved", [("reverse @again", "id"), ("reverse @moved description=d", "description")]),
    (
      "deposit user:ana 5",
      [
        ("deposit user:ana 6", "amount"), ("deposit user:bob 5", "account"), ("deposit user:ana 5 asset=EUR", "asset"),
        ("deposit user:ana 5 description=d", "description"), ("withdraw user:ana 5", "operation"),
      ]
    ),
  ]

  private static let moments = """
    reserve user:ana 10 as hold
    reserve user:ana 10 as other
    reserve user:ana 20 over_capture=cap as capped
    reserve_call user:ana t usage={"units":9} as priced
    charge user:ana 9 as charge
    charge user:ana 9 as second
    transfer user:ana=-1 user:bob=1 as moved
    transfer user:ana=-1 user:bob=1 as again
    """

  @Test(arguments: Self.requests.indices)
  func `a difference is a conflict that names the field`(_ index: Int) throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(Self.setting + "\n" + Self.moments)
    let (request, changed) = Self.requests[index]
    try script.play("\(request) idempotency_key=k          -> OK replayed=false")
    for (other, field) in changed {
      try script.play("\(other) idempotency_key=k          -> KEY_CONFLICT field=\(field)")
    }
    try script.play("\(request) idempotency_key=k          -> OK replayed=true")
    try ledger.engine.expectSound()
  }

  @Test(arguments: Self.requests.indices)
  func `a repeat gives the first receipt, also after opening again and after sealing`(_ index: Int) throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(Self.setting + "\n" + Self.moments)
    let request = "\(Self.requests[index].request) idempotency_key=k"
    let first = try #require(try script.answer(request).object)
    func expectSame(_ when: Comment) throws {
      var again = try #require(try script.answer(request).object, when)
      #expect(again["replayed"] == true, when)
      again.append("replayed", false)
      #expect(again == first, when)
    }
    try expectSame("at once")
    try script.play("charge user:ana 1")
    try expectSame("after another charge")
    try ledger.reopen()
    try expectSame("after opening again")
    try ledger.engine.sealNow()
    try expectSame("after sealing")
    try ledger.reopen()
    try expectSame("after opening again, sealed")
    try ledger.engine.expectSound()
  }

  @Test func `a repeat is answered even when the request could not be made any more`() throws {
    try play(
      """
      deposit user:ana 10
      skill {"id":"s","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      call user:ana t idempotency_key=call
      reserve_call user:ana t idempotency_key=hold as hold
      charge user:ana 8 idempotency_key=all
      capture @hold idempotency_key=capture
      tool.disable tool=t
      freeze user:ana
      call user:ana t                                  -> TOOL_DISABLED
      call user:ana t idempotency_key=call             -> OK replayed=true amount=1.00
      reserve_call user:ana t idempotency_key=hold     -> OK replayed=true
      charge user:ana 8 idempotency_key=all            -> OK replayed=true
      capture @hold idempotency_key=capture            -> OK replayed=true
      """)
  }

  @Test func `a repeated withdrawal or deposit is answered whatever the account has become`() throws {
    try play(
      """
      deposit user:ana 10 idempotency_key=in
      withdraw user:ana 4 idempotency_key=out
      freeze user:ana
      withdraw user:ana 4 idempotency_key=out   -> OK replayed=true balance=6.00
      withdraw user:ana 5 idempotency_key=out   -> KEY_CONFLICT field=amount
      withdraw user:ana 4 idempotency_key=other -> ACCOUNT_FROZEN
      unfreeze user:ana
      withdraw user:ana 6
      close user:ana
      deposit user:ana 10 idempotency_key=in    -> OK replayed=true
      deposit user:ana 10 idempotency_key=new   -> ACCOUNT_CLOSED
      charge platform 0 idempotency_key=charge
      deposit user:new 1 idempotency_key=charge -> KEY_CONFLICT field=operation
      balance user:new                          -> ACCOUNT_NOT_FOUND
      """)
  }

  @Test func `a repeated capture of a closed hold in another asset is read at that asset's scale`() throws {
    try play(
      """
      deposit user:ana 100 asset=JPY
      reserve user:ana 10 asset=JPY as hold
      capture @hold 7.5 idempotency_key=k              -> OK amount=7.5 asset=JPY
      capture @hold 7.5 idempotency_key=k              -> OK replayed=true
      """)
  }

  @Test func `a request that was refused leaves its key free`() throws {
    try play(
      """
      deposit user:ana 1
      charge user:ana 2 idempotency_key=k              -> INSUFFICIENT_FUNDS
      charge user:ana 1 idempotency_key=k              -> OK replayed=false
      """)
  }

  @Test func `keys have up to 255 bytes of any value`() throws {
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "10"])
    func charge(_ key: [UInt8]) throws(Failure) -> Receipt {
      let arena = TextArena()
      let payer = arena.add("user:ana")
      let outcome: Result<Receipt, Failure> = unsafe key.withUnsafeBufferPointer { bytes in
        var request = ChargeRequest()
        request.payer = payer
        request.amount = 1
        request.key = unsafe BorrowedText(bytes.baseAddress, count: bytes.count)
        do throws(Failure) {
          return .success(try ledger.engine.charge(request))
        } catch {
          return .failure(error)
        }
      }
      return try outcome.get()
    }
    var generator = SeededGenerator(seed: 1)
    var keys: [[UInt8]] = [[0], [0, 0], [0xff], Array(repeating: 0, count: 16), Array(repeating: 7, count: 255)]
    for _ in 0..<200 { keys.append((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }) }
    var receipts: [Receipt] = []
    for key in keys { receipts.append(try charge(key)) }
    for (key, receipt) in zip(keys, receipts) {
      let again = try charge(key)
      #expect(!receipt.isReplayed && again.isReplayed && again.id == receipt.id && again.balance == receipt.balance)
    }
    #expect(status { _ = try charge(Array(repeating: 7, count: 256)) } == .tooLong)
    let without = try charge([])
    #expect(try !charge([]).isReplayed && !without.isReplayed)
    try ledger.engine.expectSound()
  }

  @Test func `a key in use twice in one batch is charged once`() throws {
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "10"])
    let charge: JSON = ["payer": "user:ana", "amount": "1", "idempotency_key": "k"]
    let answer = try ledger.engine.call("charge.create_many", ["charges": [charge, charge, charge]])
    let receipts = try #require(answer.object?["receipts"]?.array)
    #expect(receipts.map { $0.object?["replayed"] } == [false, true, true])
    #expect(receipts.allSatisfy { $0.object?["balance"] == "9.00" })
  }
}
