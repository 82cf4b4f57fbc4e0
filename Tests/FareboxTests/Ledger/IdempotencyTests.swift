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

  /// A tool of each kind whose resolution changes what was asked, in a currency.
  private static func tools(_ version: Int, _ currency: String) -> String {
    #"{"id":"s","version":"\#(version).0.0","currency":"\#(currency)","tools":["#
      + #"{"name":"bounded","pricing":{"components":[{"model":"dynamic"}],"max_cost":"1","minimum":"0.10"}},"#
      + #"{"name":"free","pricing":{"components":[{"model":"dynamic"}]}},"#
      + #"{"name":"fee","pricing":{"components":[{"model":"dynamic"},{"meter":"requests","rate":"0.5"}]}},"#
      + #"{"name":"share","pricing":{"components":[{"model":"percentage","percent":"10"}]}}]}"#
  }

  /// Requests that resolution changes, each with others that differ from it in what was asked.
  private static let resolved: [(request: String, others: [(String, field: String)])] = [
    (
      "call user:ana bounded amount=3",
      [("call user:ana bounded amount=1", "amount"), ("call user:ana bounded", "amount")]
    ),
    (
      "call user:ana bounded amount=0.01",
      [("call user:ana bounded amount=0.10", "amount"), ("call user:ana bounded amount=0.02", "amount")]
    ),
    ("call user:ana bounded", [("call user:ana bounded amount=1", "amount")]),
    ("call user:ana fee amount=1", [("call user:ana fee amount=1.5", "amount")]),
    ("call user:ana free amount=0", [("call user:ana free amount=0.0000001", "amount")]),
    (
      "call user:ana free amount=0.123456789 max_cost=0.9000000001e1",
      [("call user:ana free amount=0.1234567 max_cost=9", "amount")]
    ),
    (
      "call user:ana free amount=1 max_cost=2",
      [("call user:ana free amount=1 max_cost=3", "max_cost"), ("call user:ana free amount=1", "max_cost")]
    ),
    (
      #"call user:ana share usage={"value":"12.345678912"}"#,
      [(#"call user:ana share usage={"value":"12.3456789"}"#, "usage"), ("call user:ana share", "usage")]
    ),
    ("reserve_call user:ana bounded amount=3", [("reserve_call user:ana bounded amount=1", "amount")]),
    ("reserve_call user:ana bounded", [("reserve_call user:ana bounded amount=1", "amount")]),
    ("reserve_call user:ana bounded amount=0.25", [("reserve_call user:ana bounded amount=0.5", "amount")]),
    (
      "reserve_call user:ana free amount=0.3 max_cost=2",
      [
        ("reserve_call user:ana free amount=2 max_cost=2", "amount"),
        ("reserve_call user:ana free max_cost=2", "amount"),
        ("reserve_call user:ana free amount=0.3 max_cost=0.3", "max_cost"),
      ]
    ),
    (
      "reserve payer=user:ana max_cost=5",
      [("reserve user:ana 5 max_cost=5", "amount"), ("reserve user:ana 5", "amount")]
    ),
    (
      "charge user:ana 1 payee=org:p/k",
      [("charge user:ana 1 payee=org:p", "payee"), ("charge user:ana 1", "payee")]
    ),
    ("charge user:ana 1 payee=org:p", [("charge user:ana 1 payee=org:p/k", "payee")]),
    ("reserve user:ana 1 payee=org:p/k", [("reserve user:ana 1 payee=org:p", "payee")]),
    (
      "transfer user:ana=-1 org:p/k=1",
      [("transfer user:ana=-1 org:p=1", "postings"), ("transfer user:ana=-1 org:p/l=1", "postings")]
    ),
    ("transfer org:p/k=-1 user:ana=1", [("transfer org:p/l=-1 user:ana=1", "postings")]),
    ("deposit org:p/k 1", [("deposit org:p 1", "account"), ("deposit org:p/l 1", "account")]),
    ("withdraw org:p/k 1", [("withdraw org:p 1", "account")]),
  ]

  @Test(arguments: Self.resolved.indices)
  func `a request is compared as it was made, whatever it came to and has become since`(_ index: Int) throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 100
      deposit user:ana 100 asset=JPY
      open org:p
      open org:p/k
      open org:p/l
      deposit org:p 100
      skill \(Self.tools(1, "USD"))
      """)
    let (request, others) = Self.resolved[index]
    let first = try #require(try script.answer("\(request) idempotency_key=k").object)
    func expectSame(_ when: Comment) throws {
      var again = try #require(try script.answer("\(request) idempotency_key=k").object, when)
      #expect(again["replayed"] == true, when)
      again.append("replayed", false)
      #expect(again == first, when)
      for (other, field) in others {
        try script.play("\(other) idempotency_key=k          -> KEY_CONFLICT field=\(field)")
      }
    }
    try expectSame("at once")
    // Fewer digits, in which not every amount of before can be said.
    try script.play("skill \(Self.tools(2, "JPY"))")
    try expectSame("in another currency")
    try ledger.engine.sealNow()
    try ledger.reopen()
    try expectSame("after opening again")
    try script.play("tool.disable tool=bounded")
    try expectSame("after the tool was disabled")
    try ledger.reopen { $0.defaultAsset = "JPY" }
    try expectSame("under another default asset")
    try ledger.engine.expectSound()
  }

  @Test func `another amount in the currency of now is another request`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 1000
      deposit user:ana 1000 asset=JPY
      skill \(Self.tools(1, "JPY"))
      call user:ana free amount=1 idempotency_key=k            -> OK asset=JPY
      skill \(Self.tools(2, "USD"))
      call user:ana free amount=1.0 idempotency_key=k          -> OK replayed=true asset=JPY
      call user:ana free amount=100 idempotency_key=k          -> KEY_CONFLICT field=amount
      call user:ana free amount=0.01 idempotency_key=k         -> KEY_CONFLICT field=amount
      call user:ana free amount=1.00000001 idempotency_key=k   -> KEY_CONFLICT field=amount
      call user:ana free amount=x idempotency_key=k            -> INVALID_AMOUNT field=amount
      charge user:ana 1 asset=JPY idempotency_key=k            -> KEY_CONFLICT field=tool
      """)
  }

  @Test func `the typed door takes the units of before, and those of the same decimal now`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 1000
      deposit user:ana 1000 asset=JPY
      skill \(Self.tools(1, "USD"))
      """)
    let arena = TextArena()
    func charge(_ units: Int64, most: Int64? = nil) throws(Failure) -> Receipt {
      var request = ChargeRequest()
      request.payer = arena.add("user:ana")
      request.tool = arena.add("bounded")
      request.key = arena.add("k")
      request.amount = units
      request.maxCost = most
      return try ledger.engine.charge(request)
    }
    let first = try charge(3_000_000_000)
    #expect(try charge(3_000_000_000).id == first.id)
    #expect(status { _ = try charge(30_000_000) } == .keyConflict)
    try script.play("skill \(Self.tools(2, "JPY"))")
    #expect(try charge(3_000_000_000).id == first.id)
    #expect(try charge(30_000_000).id == first.id)
    for other: Int64 in [300_000_000_000, 300_000, 30_000_001, 1_000_000_000, 0] {
      #expect(status { _ = try charge(other) } == .keyConflict, "\(other)")
    }
    #expect(status { _ = try charge(30_000_000, most: 1) } == .keyConflict)
    withExtendedLifetime(arena) {}
  }

  @Test func `a rate that a rule has found is asked for by the same name`() throws {
    try play(
      """
      deposit user:ana 100
      card {"name":"c","currency":"USD","entries":[{"name":"gpt","match":{"starts_with":"gpt"},"price":{"cost":"1"}}]}
      call user:ana c/gpt-4 idempotency_key=ruled          -> OK amount=1.00
      call user:ana c/gpt idempotency_key=plain            -> OK amount=1.00
      reserve_call user:ana c/gpt-4 idempotency_key=held   -> OK amount=1.00
      call user:ana c/gpt-5 idempotency_key=ruled          -> KEY_CONFLICT field=tool
      call user:ana c/gpt idempotency_key=ruled            -> KEY_CONFLICT field=tool
      call user:ana c/gpt-4 idempotency_key=plain          -> KEY_CONFLICT field=tool
      wait 1s
      card {"name":"c","currency":"USD","entries":[{"name":"gpt","match":{"equals":"none"},"price":{"cost":"1"}},{"name":"gpt-4","price":{"cost":"2"}}]}
      call user:ana c/gpt-4                                -> OK amount=2.00
      call user:ana c/gpt-4 idempotency_key=ruled          -> OK replayed=true amount=1.00
      reserve_call user:ana c/gpt-4 idempotency_key=held   -> OK replayed=true amount=1.00
      call user:ana c/gpt-5 idempotency_key=ruled          -> KEY_CONFLICT field=tool
      call user:ana c/gpt idempotency_key=plain            -> OK replayed=true
      """)
  }

  @Test func `an asset that was not named is the default of then`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    let requests = [
      "deposit user:ana 10.123456789", "charge user:ana 1.123456789", "reserve user:ana 1.123456789",
      "reserve payer=user:ana max_cost=2.123456789", "transfer user:ana=-1.123456789 user:bob=1.123456789",
      "withdraw user:ana 1.123456789", "transfer user:ana=-1.123456789@USD user:bob=1.123456789",
    ]
    try script.play("deposit user:bob 1")
    for (number, request) in requests.enumerated() {
      try script.play("\(request) idempotency_key=k\(number)   -> OK asset=USD replayed=false")
    }
    try ledger.reopen { $0.defaultAsset = "JPY" }
    for (number, request) in requests.enumerated() {
      try script.play("\(request) idempotency_key=k\(number)   -> OK asset=USD replayed=true")
    }
    try script.play(
      """
      deposit user:ana 10.123456789 asset=USD idempotency_key=k0   -> OK replayed=true
      deposit user:ana 10 asset=JPY idempotency_key=k0             -> KEY_CONFLICT field=asset
      charge user:ana 1.123456789 asset=USD idempotency_key=k1     -> OK replayed=true
      charge user:ana 1 idempotency_key=k1                         -> KEY_CONFLICT field=amount
      deposit user:ana 7                                           -> OK asset=JPY
      charge user:ana 1 asset=USD idempotency_key=named            -> OK asset=USD
      charge user:ana 1 idempotency_key=named                      -> KEY_CONFLICT field=asset
      """)
    try ledger.engine.expectSound()
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
