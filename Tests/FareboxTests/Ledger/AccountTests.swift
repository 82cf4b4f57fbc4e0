import FareboxCore
import Testing

@testable import Farebox

/// Opening, freezing and closing accounts, credit lines, and whose wallet pays.
@Suite struct AccountTests {
  @Test func `opening twice on the same terms changes nothing`() throws {
    try play(
      """
      open user:ana                           -> OK account=user:ana wallet=user:ana frozen=false closed=false
      open user:ana                           -> OK
      open org:acme
      open org:acme/dept:research             -> OK wallet=org:acme
      open org:acme/dept:research             -> OK
      open org:acme/dept:research wallet=own  -> ACCOUNT_EXISTS field=wallet
      open org:acme/dept:sales wallet=own     -> OK wallet=org:acme/dept:sales
      open org:acme/dept:sales                -> ACCOUNT_EXISTS field=wallet
      open user:ana wallet=parent             -> INVALID_ARGUMENT field=wallet
      open user:bob wallet=mine               -> INVALID_ARGUMENT field=wallet
      """)
  }

  @Test(arguments: [
    ("account.open", #"{"account":"user:new","credit_line":"x"}"#, Status.invalidAmount),
    ("account.open", #"{"account":"user:new","credit_line":"-1","asset":"EUR"}"#, .invalidAmount),
    ("account.set_credit_line", #"{"account":"user:ana","credit_line":"x","asset":"EUR"}"#, .invalidAmount),
    ("account.set_credit_line", #"{"account":"org:acme/dept:a","credit_line":"1","asset":"EUR"}"#, .invalidArgument),
    ("account.deposit", #"{"account":"user:a\tb","amount":"1","asset":"EUR"}"#, .invalidArgument),
    ("account.deposit", #"{"account":"user:shut","amount":"1","asset":"EUR"}"#, .accountClosed),
    ("account.withdraw", #"{"account":"user:none","amount":"1","asset":"EUR"}"#, .accountNotFound),
    ("account.withdraw", #"{"account":"user:ana","amount":"1","asset":"EUR"}"#, .insufficientFunds),
    (
      "transfer.create",
      #"{"postings":[{"account":"user:ana","amount":"-1","asset":"EUR"},{"account":"org:acme","amount":"1","asset":"EUR"}]}"#,
      .insufficientFunds
    ),
    (
      "transfer.create",
      #"{"postings":[{"account":"external","amount":"-1","asset":"EUR"},{"account":"org:acme","amount":"2","asset":"EUR"}]}"#,
      .invalidAmount
    ),
    (
      "transfer.create",
      #"{"postings":[{"account":"external","amount":"-1","asset":"EUR"},{"account":"org:acme","amount":"1","asset":"EUR"}],"idempotency_key":"used"}"#,
      .keyConflict
    ),
    ("budget.set", #"{"account":"user:ana","window":"day","amount":"x","asset":"EUR"}"#, .invalidAmount),
    (
      "budget.set", #"{"account":"user:ana","window":"day","amount":"1","asset":"EUR","thresholds":[0]}"#,
      .invalidArgument
    ),
    ("limit.set", #"{"account":"user:ana","per_call":"x","asset":"EUR"}"#, .invalidAmount),
    ("limit.set", #"{"account":"user:ana","charges_per_hour":99999,"asset":"EUR"}"#, .tooLong),
    (
      "rate_card.publish",
      #"{"card":{"name":"c","currency":"EUR","entries":[{"name":"m","customer":"user:none","price":{"cost":"1"}}]}}"#,
      .accountNotFound
    ),
    (
      "skill.register",
      #"{"manifest":{"id":"s","version":"1.0.0","owner":"user:shut/agent:a","currency":"EUR","tools":[{"name":"t","pricing":{"cost":"1"}}]}}"#,
      .accountClosed
    ),
  ])
  func `a refused call opens neither asset nor account`(operation: String, input: String, expected: Status) throws {
    let ledger = try TestLedger()
    for (operation, input) in [
      ("account.deposit", #"{"account":"user:ana","amount":"5","idempotency_key":"used"}"#),
      ("account.open", #"{"account":"org:acme"}"#), ("account.open", #"{"account":"org:acme/dept:a"}"#),
      ("account.open", #"{"account":"user:shut"}"#), ("account.close", #"{"account":"user:shut"}"#),
    ] { _ = try ledger.engine.call(operation, try JSON.parse(input)) }
    func records() throws -> Int64? { try ledger.engine.call("ledger.info").object?["records"]?.int64 }
    let before = try records()
    #expect(status { _ = try ledger.engine.call(operation, try JSON.parse(input)) } == expected)
    #expect(try records() == before)
  }

  @Test func `names are paths of at most eight segments and 255 bytes`() throws {
    let ledger = try TestLedger()
    func opens(_ name: String) -> String {
      status { _ = try ledger.engine.call("account.open", ["account": .string(name)]) }.entry?.name ?? ""
    }
    #expect(opens(String(repeating: "a", count: 255)) == "OK")
    #expect(opens(String(repeating: "a", count: 256)) == "TOO_LONG")
    var path = "a"
    for _ in 1..<8 {
      #expect(opens(path) == "OK")
      path += "/a"
    }
    #expect(opens(path) == "OK")
    #expect(opens(path + "/a") == "TOO_LONG")
    for bad in [
      "/", "a/", "/a", "a//b", "a\u{0}", " ", "a/ ", "  /a", "a\nb", "a\tb", "a\u{7f}", "a\u{85}", "a\u{2028}b",
      "a//\u{301}",
    ] {
      #expect(opens(bad) == "INVALID_ARGUMENT", "\(bad)")
    }
    #expect(opens("") == "MISSING_FIELD")
    #expect(opens("org:nobody/dept:x") == "ACCOUNT_NOT_FOUND")
  }

  @Test func `deposits come from outside and withdrawals go there`() throws {
    try play(
      """
      deposit user:ana 10                     -> OK amount=10.00 balance=10.00 available=10.00
      balance external                        -> OK balance=-10.00
      withdraw user:ana 3                     -> OK amount=3.00 balance=7.00 available=7.00
      withdraw user:ana 7.000000001           -> INSUFFICIENT_FUNDS constraint=wallet limit=7.00 requested=7.000000001
      withdraw user:bob 1                     -> ACCOUNT_NOT_FOUND field=account
      deposit user:ana 0                      -> INVALID_AMOUNT field=amount
      deposit user:ana -1                     -> INVALID_AMOUNT field=amount
      deposit user:ana 0.0000000001           -> TOO_PRECISE field=amount
      deposit user:ana 1 asset=NOPE           -> ASSET_NOT_FOUND field=asset
      deposit user:ana 1 asset=JPY            -> OK balance=1 asset=JPY
      balance external                        -> OK balance=-7.00
      """)
  }

  @Test func `a frozen account is not charged but may receive`() throws {
    try play(
      """
      deposit user:ana 10
      deposit user:bob 10
      freeze user:ana                         -> OK frozen=true
      charge user:ana 1                       -> ACCOUNT_FROZEN field=payer
      reserve user:ana 1                      -> ACCOUNT_FROZEN field=payer
      withdraw user:ana 1                     -> ACCOUNT_FROZEN
      transfer user:ana=-1 user:bob=1         -> ACCOUNT_FROZEN
      transfer user:ana=1 user:bob=-1         -> OK
      charge user:bob 1 payee=user:ana        -> OK
      deposit user:ana 1                      -> OK balance=13.00
      unfreeze user:ana                       -> OK frozen=false
      charge user:ana 13                      -> OK
      """)
  }

  @Test func `a frozen account that draws on another's wallet cannot be debited in a transfer`() throws {
    try play(
      """
      deposit org:acme 10
      open org:acme/dept:research
      open user:ben
      transfer org:acme/dept:research=-1 user:ben=1     -> OK
      freeze org:acme/dept:research
      transfer org:acme/dept:research=-1 user:ben=1     -> ACCOUNT_FROZEN field=postings
      transfer org:acme=-1 user:ben=1                   -> OK
      transfer user:ben=-1 org:acme/dept:research=1     -> OK
      """)
  }

  @Test func `a key used for an account is not the key of another that shares its wallet`() throws {
    try play(
      """
      deposit org:acme 1 idempotency_key=k
      open org:acme/dept:research
      deposit org:acme/dept:research 1 idempotency_key=k                  -> KEY_CONFLICT field=account
      deposit org:acme 1 idempotency_key=k                                -> OK replayed=true
      open user:ben
      transfer org:acme/dept:research=-1 user:ben=1 idempotency_key=t     -> OK
      transfer org:acme=-1 user:ben=1 idempotency_key=t                   -> KEY_CONFLICT field=postings
      transfer org:acme/dept:research=-1 user:ben=1 idempotency_key=t     -> OK replayed=true
      """)
  }

  @Test func `freezing an account freezes all below it`() throws {
    try play(
      """
      deposit org:acme 10
      open org:acme/dept:research
      open org:acme/dept:sales wallet=own
      deposit org:acme/dept:sales 10
      freeze org:acme
      charge org:acme/dept:research 1         -> ACCOUNT_FROZEN field=payer
      charge org:acme/dept:sales 1            -> ACCOUNT_FROZEN field=payer
      unfreeze org:acme
      freeze org:acme/dept:research
      charge org:acme/dept:research 1         -> ACCOUNT_FROZEN field=payer
      charge org:acme 1                       -> OK
      charge org:acme/dept:sales 1            -> OK
      """)
  }

  @Test func `money below a frozen account does not leave by withdrawal or transfer either`() throws {
    try play(
      """
      deposit org:acme 10
      open org:acme/dept:sales wallet=own
      deposit org:acme/dept:sales 10
      open org:acme/dept:research
      open user:bob
      freeze org:acme/dept:research
      withdraw org:acme/dept:research 1                 -> ACCOUNT_FROZEN
      freeze org:acme
      withdraw org:acme/dept:sales 1                    -> ACCOUNT_FROZEN
      transfer org:acme/dept:sales=-1 user:bob=1        -> ACCOUNT_FROZEN
      """)
  }

  @Test func `only an empty account can be closed, and for good`() throws {
    try play(
      """
      deposit user:ana 1
      close user:ana                          -> ACCOUNT_NOT_EMPTY
      reserve user:ana 1 as hold
      charge user:ana 0
      close user:ana                          -> ACCOUNT_NOT_EMPTY
      capture @hold
      close user:ana                          -> OK closed=true
      close user:ana                          -> OK closed=true
      charge user:ana 0                       -> ACCOUNT_CLOSED field=payer
      reserve user:ana 0                      -> ACCOUNT_CLOSED field=payer
      deposit user:ana 1                      -> ACCOUNT_CLOSED
      open user:ana                           -> ACCOUNT_CLOSED field=account
      close platform                          -> INVALID_ARGUMENT
      close external                          -> INVALID_ARGUMENT
      close user:nobody                       -> ACCOUNT_NOT_FOUND field=account
      """)
  }

  @Test func `a page of accounts names the next one only where there is one`() throws {
    try play(
      """
      open org:a
      open org:a/x
      open org:a/y
      open org:b
      account.list under=org:a limit=2        -> OK accounts.count=2 next=org:a/x
      account.list under=org:a limit=3        -> OK accounts.count=3 next=null
      account.list under=org:a/y limit=1      -> OK accounts.count=1 next=null
      account.list under=org:a after=org:a/y  -> OK accounts.count=0 next=null
      account.list limit=6                    -> OK accounts.count=6 next=null
      account.list limit=5                    -> OK accounts.count=5 next=org:a/y
      skill {"id":"s","tools":[{"name":"t","category":"one","pricing":{"cost":"1"}},{"name":"u","category":"one","pricing":{"cost":"1"}}]}
      skill {"id":"z","tools":[{"name":"v","pricing":{"cost":"1"}}]}
      tool.list skill=s limit=2               -> OK tools.count=2 next=null
      tool.list skill=s limit=1               -> OK tools.count=1 next=s#t
      tool.list skill=s after=t limit=1       -> OK tools.count=1 next=null
      tool.list category=one limit=2          -> OK tools.count=2 next=null
      tool.list limit=3                       -> OK tools.count=3 next=null
      deposit org:a 10
      reserve org:a 1 as first
      reserve org:b 0
      hold.list account=org:a limit=1         -> OK holds.count=1 next=null
      transfer.list account=org:a kind=reserve limit=1 -> OK transfers.count=1 next=null
      transfer.list kind=reserve limit=1      -> OK transfers.count=1
      event.list limit=1                      -> OK events.count=0 next=null
      """)
  }

  @Test func `a closed account takes no money`() throws {
    try play(
      """
      deposit user:ana 10
      open user:bob
      close user:bob
      charge user:ana 1 payee=user:bob        -> ACCOUNT_CLOSED field=payee
      transfer user:ana=-1 user:bob=1         -> ACCOUNT_CLOSED
      balance user:ana                        -> OK balance=10.00
      """)
  }

  @Test func `nothing credits a closed account whose wallet is another's`() throws {
    try play(
      """
      deposit user:ana 10
      open org:p
      open org:p/k
      open org:p/l
      deposit org:p 10
      skill {"id":"s","tools":[{"name":"one","pricing":{"cost":"1"},"split":[{"account":"org:p/k","share":"1"}]},{"name":"two","pricing":{"cost":"1"},"split":[{"account":"org:p/l","share":"1/2"},{"account":"org:p/k","share":"1/2"}]}]}
      reserve user:ana 1 payee=org:p/k as given
      reserve_call user:ana one over_capture=overflow as priced
      reserve_call user:ana two as split
      charge org:p/k 1 as charge
      transfer org:p/k=-1 user:ana=1 as paid
      transfer user:ana=-1 org:p/k=1 as moved
      withdraw org:p/k 1 as withdrawn
      close org:p/k                           -> OK closed=true
      deposit org:p/k 1                       -> ACCOUNT_CLOSED
      charge user:ana 1 payee=org:p/k         -> ACCOUNT_CLOSED field=payee
      charge user:ana 0 payee=org:p/k         -> ACCOUNT_CLOSED field=payee
      reserve user:ana 1 payee=org:p/k        -> ACCOUNT_CLOSED field=payee
      call user:ana one                       -> ACCOUNT_CLOSED field=payee
      call user:ana two                       -> ACCOUNT_CLOSED field=payee
      reserve_call user:ana two               -> ACCOUNT_CLOSED field=payee
      transfer user:ana=-1 org:p/k=1          -> ACCOUNT_CLOSED field=postings
      transfer user:ana=-1 org:p/l=1          -> OK
      refund @charge                          -> ACCOUNT_CLOSED field=id
      reverse @paid                           -> ACCOUNT_CLOSED field=postings
      reverse @withdrawn                      -> ACCOUNT_CLOSED field=postings
      reverse @moved                          -> OK
      charge user:ana 1 payee=org:p           -> OK
      # An open hold stays open, to be released or to expire.
      capture @given                          -> ACCOUNT_CLOSED field=payee
      capture @priced 2                       -> ACCOUNT_CLOSED field=payee
      capture @split                          -> ACCOUNT_CLOSED field=payee
      hold @given                             -> OK state=open remaining=1.00
      release @given                          -> OK
      release @priced                         -> OK
      wait 900s
      hold @split                             -> OK state=expired
      """)
  }

  @Test func `a metered call whose payee closes meanwhile costs nothing and leaves no hold`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 10
      open org:p
      open org:p/k
      skill {"id":"s","tools":[{"name":"one","pricing":{"cost":"1"},"split":[{"account":"org:p/k","share":"1"}]}]}
      """)
    let begun = try script.answer("call.begin payer=user:ana tool=one")
    let hold = try #require(begun.object?["hold"]?.int64)
    try script.play("close org:p/k")
    #expect(status { _ = try ledger.engine.call("call.finish", ["hold": .int(hold)]) } == .accountClosed)
    try script.play("balance user:ana   -> OK balance=10.00 held=0.00")
  }

  @Test func `a hold whose payee has closed is known to be so after opening again`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 10
      open org:p
      open org:p/k
      reserve user:ana 1 payee=org:p/k as hold
      close org:p/k
      seal
      reopen
      capture @hold                           -> ACCOUNT_CLOSED field=payee
      release @hold                           -> OK
      """)
  }

  @Test func `a refund takes from a recipient that has closed, and gives it nothing`() throws {
    try play(
      """
      deposit user:ana 10
      open agent:a
      charge user:ana 4 payee=agent:a as charge
      withdraw agent:a 4
      close agent:a
      refund @charge 1                        -> OK
      balance agent:a                         -> OK balance=-1.00
      """)
  }

  @Test func `a deposit opens the account and those above it, with wallets of their own`() throws {
    try play(
      """
      deposit org:a/b/c 5
      balance org:a/b/c                       -> OK wallet=org:a/b/c balance=5.00
      balance org:a/b                         -> OK wallet=org:a/b balance=0.00
      balance org:a                           -> OK wallet=org:a balance=0.00
      open org:a/d                            -> OK wallet=org:a
      open org:a/d/e wallet=own               -> OK wallet=org:a/d/e
      deposit org:a/d 1
      balance org:a                           -> OK balance=1.00
      charge org:a 1 payee=user:new           -> ACCOUNT_NOT_FOUND
      transfer org:a=-1 user:new=1            -> ACCOUNT_NOT_FOUND
      """)
  }

  @Test func `a registration opens those who share in a tool, and nobody else`() throws {
    try play(
      """
      skill {"id":"a","owner":"dev:unused","tools":[{"name":"a","pricing":{"cost":"1"},"split":[{"account":"org:x/y","share":"0"},{"account":"platform","share":"remaining"}]}]}
      account.get account=org:x/y             -> OK wallet=org:x/y
      account.get account=org:x               -> OK wallet=org:x
      account.get account=dev:unused          -> ACCOUNT_NOT_FOUND
      skill {"id":"b","owner":"dev:shared","revenue_share":"0","tools":[{"name":"b","pricing":{"cost":"1"}}]}
      account.get account=dev:shared          -> OK wallet=dev:shared
      skill {"id":"c","owner":"dev:empty","tools":[]}
      account.get account=dev:empty           -> ACCOUNT_NOT_FOUND
      """)
  }

  @Test func `a quote by a clock that is behind is that of a charge`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 10
      skill {"id":"s","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      clock 2025-01-01
      call user:ana t                         -> OK amount=1.00
      quote t                                 -> OK total=1.00
      quote t at=0                            -> RATE_CARD_NOT_FOUND
      quote t at=1                            -> RATE_CARD_NOT_FOUND
      tool.inspect tool=t                     -> OK pricing.currency=USD
      call user:ana t usage={"units":1} max_cost=0.5   -> OK amount=0.50
      reopen
      quote t                                 -> OK total=1.00
      """)
  }

  @Test func `an account with an open account below it stays open`() throws {
    try play(
      """
      open org:acme
      open org:acme/dept:research
      close org:acme                          -> ACCOUNT_NOT_EMPTY
      close org:acme/dept:research            -> OK
      close org:acme                          -> OK
      """)
  }

  @Test func `no account opens below a closed one`() throws {
    try play(
      """
      open org:acme
      close org:acme
      open org:acme/dept:research             -> ACCOUNT_CLOSED
      deposit org:acme/dept:sales 1           -> ACCOUNT_CLOSED
      """)
  }

  @Test func `a closed account that draws on its parent moves none of its money`() throws {
    try play(
      """
      deposit org:acme 10
      open org:acme/dept:research
      close org:acme/dept:research
      charge org:acme/dept:research 1         -> ACCOUNT_CLOSED field=payer
      withdraw org:acme/dept:research 1       -> ACCOUNT_CLOSED
      deposit org:acme/dept:research 1        -> ACCOUNT_CLOSED
      """)
  }

  @Test func `a credit line is spent to its last unit`() throws {
    try play(
      """
      open user:ana credit_line=5
      balance user:ana                        -> OK balance=0.00 credit_line=5.00 available=5.00
      charge user:ana 3                       -> OK balance=-3.00 available=2.00
      reserve user:ana 2 as hold              -> OK available=0.00
      charge user:ana 0.000000001             -> INSUFFICIENT_FUNDS limit=0.00 spent=-3.00 held=2.00
      charge user:ana 0                       -> OK
      credit user:ana 6
      charge user:ana 1                       -> OK available=0.00
      credit user:ana 0
      balance user:ana                        -> OK balance=-4.00 held=2.00 credit_line=0.00 available=-6.00
      charge user:ana 0                       -> INSUFFICIENT_FUNDS
      capture @hold                           -> OK balance=-6.00
      deposit user:ana 6                      -> OK balance=0.00
      credit user:ana -1                      -> INVALID_AMOUNT field=credit_line
      credit user:nobody 1                    -> ACCOUNT_NOT_FOUND
      """)
  }

  @Test func `a credit line belongs to a wallet`() throws {
    try play(
      """
      open org:acme
      open org:acme/dept:research
      credit org:acme/dept:research 5         -> INVALID_ARGUMENT field=account
      credit org:acme 5
      charge org:acme/dept:research 5         -> OK balance=-5.00 available=0.00
      """)
  }

  @Test func `the wallet of the nearest account above pays`() throws {
    try play(
      """
      deposit org:acme 10
      open org:acme/dept:research
      open org:acme/dept:research/agent:writer
      open org:acme/dept:sales wallet=own
      open org:acme/dept:sales/agent:caller
      deposit org:acme/dept:sales 3
      charge org:acme/dept:research/agent:writer 4  -> OK balance=6.00
      charge org:acme/dept:sales/agent:caller 1     -> OK balance=2.00
      charge org:acme/dept:sales/agent:caller 3     -> INSUFFICIENT_FUNDS account=org:acme/dept:sales
      balance org:acme/dept:research/agent:writer   -> OK wallet=org:acme balance=6.00
      balance org:acme                              -> OK balance=6.00
      withdraw org:acme/dept:research 1             -> OK balance=5.00
      deposit org:acme/dept:research 2              -> OK balance=7.00
      """)
  }

  @Test func `what an account without a wallet earns goes to the wallet that pays for it`() throws {
    try play(
      """
      deposit user:ana 10
      open org:acme
      open org:acme/agent:writer
      charge user:ana 3 payee=org:acme/agent:writer      -> OK
      balance org:acme                                   -> OK balance=3.00
      transfer user:ana=-2 org:acme/agent:writer=2       -> OK
      balance org:acme                                   -> OK balance=5.00
      reserve user:ana 1 payee=org:acme/agent:writer as hold
      capture @hold
      balance org:acme                                   -> OK balance=6.00
      charge org:acme/agent:writer 6                     -> OK balance=0.00
      """)
  }

  @Test func `a call that fails opens no account and no asset`() throws {
    try play(
      """
      open user:ana credit_line=-1                       -> INVALID_AMOUNT
      account.get account=user:ana                       -> ACCOUNT_NOT_FOUND
      deposit user:bob 1 idempotency_key=same
      deposit user:eve 1 idempotency_key=same            -> KEY_CONFLICT
      account.get account=user:eve                       -> ACCOUNT_NOT_FOUND
      open user:dan credit_line=1.12345678901 asset=EUR  -> TOO_PRECISE
      account.get account=user:dan                       -> ACCOUNT_NOT_FOUND
      balance user:bob asset=EUR                         -> ASSET_NOT_FOUND
      transfer user:bob=-1@CHF user:nobody=1@CHF         -> ACCOUNT_NOT_FOUND
      balance user:bob asset=CHF                         -> ASSET_NOT_FOUND
      """)
  }

  @Test func `balances in the past are those of their time`() throws {
    for seals in [false, true] {
      let ledger = try TestLedger()
      var script = Script(ledger)
      let start = ledger.clock.now
      try script.play("deposit user:ana 10")
      if seals { try script.play("seal") }
      try script.play(
        """
        wait 1s
        charge user:ana 4
        wait 1s
        """)
      if seals { try script.play("seal") }
      try script.play(
        """
        reserve user:ana 2
        charge user:ana 1
        balance user:ana at=\(start - 1)               -> OK balance=0.00
        balance user:ana at=\(start)                   -> OK balance=10.00
        balance user:ana at=\(start + 999_999)         -> OK balance=10.00
        balance user:ana at=\(start + 1_000_000)       -> OK balance=6.00
        balance user:ana at=\(start + 2_000_000)       -> OK balance=5.00
        balance user:ana at=\(start + 9_000_000)       -> OK balance=5.00
        balance platform at=\(start + 1_000_000)       -> OK balance=4.00
        """)
    }
  }
}
