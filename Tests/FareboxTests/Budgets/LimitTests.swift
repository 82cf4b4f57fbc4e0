import FareboxCore
import Testing

@testable import Farebox

/// Caps on a call and on a run, and the hourly rate.
@Suite struct LimitTests {
  @Test func `one call costs no more than its cap`() throws {
    try play(
      """
      deposit org:acme 100
      deposit org:acme 100 asset=EUR
      open org:acme/agent:writer
      limits org:acme per_call=5                       -> OK per_call=5.00 per_run=null charges_per_hour=null
      charge org:acme/agent:writer 5.01                -> OVER_CALL_CAP constraint=per_call account=org:acme limit=5.00 requested=5.01
      reserve org:acme 5.01                            -> OVER_CALL_CAP
      charge org:acme/agent:writer 5                   -> OK
      charge org:acme 6 asset=EUR                      -> OK
      limits org:acme/agent:writer per_call=2
      charge org:acme/agent:writer 3                   -> OVER_CALL_CAP account=org:acme/agent:writer limit=2.00
      charge org:acme 3                                -> OK
      limits org:acme
      charge org:acme 50                               -> OK
      """)
  }

  @Test func `one run costs no more than its cap, held money included`() throws {
    try play(
      """
      deposit user:ana 100
      limits user:ana per_run=10
      charge user:ana 4 run=one
      reserve user:ana 5 run=one as hold
      charge user:ana 1.01 run=one                     -> OVER_RUN_CAP constraint=per_run account=user:ana limit=10.00 spent=9.00 requested=1.01
      charge user:ana 10 run=two                       -> OK
      charge user:ana 11                               -> OK
      capture @hold 2
      charge user:ana 4 run=one                        -> OK
      charge user:ana 0.01 run=one                     -> OVER_RUN_CAP
      charge user:ana 0 run=one                        -> OK
      """)
  }

  @Test func `the caps of a run survive sealing and opening again`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      limits user:ana per_run=10 per_call=9 charges_per_hour=4
      charge user:ana 4 run=one
      reserve user:ana 5 run=one as hold
      seal
      reopen
      charge user:ana 1.01 run=one                     -> OVER_RUN_CAP spent=9.00
      charge user:ana 9.01                             -> OVER_CALL_CAP
      release @hold
      charge user:ana 6 run=one
      charge user:ana 0
      charge user:ana 0                                -> RATE_LIMITED
      seal
      reopen
      charge user:ana 0                                -> RATE_LIMITED spent=4
      limit.get account=user:ana                       -> OK per_run=10.00 per_call=9.00 charges_per_hour=4
      """)
  }

  @Test func `the rate slides over sixty minutes`() throws {
    try play(
      """
      deposit user:ana 100
      limits user:ana charges_per_hour=3
      charge user:ana 1
      wait 20m
      reserve user:ana 1 expires_in_ms=99999999 as hold
      wait 20m
      charge user:ana 1
      wait 19m
      charge user:ana 1                                -> RATE_LIMITED constraint=charges_per_hour limit=3 spent=3 requested=1 unit=charges account=user:ana
      reserve user:ana 1                               -> RATE_LIMITED
      release @hold
      charge user:ana 1                                -> RATE_LIMITED
      wait 59999999us
      charge user:ana 0                                -> RATE_LIMITED
      wait 1us
      charge user:ana 1                                -> OK
      charge user:ana 1                                -> RATE_LIMITED
      wait 20m
      charge user:ana 1                                -> OK
      """)
  }

  @Test func `a limit counts from when it was set`() throws {
    try play(
      """
      deposit user:ana 100
      charge user:ana 5 run=r
      reserve user:ana 5 run=r as hold
      limits user:ana per_run=8 charges_per_hour=2
      budget user:ana day 8
      charge user:ana 5 run=r                 -> OK
      capture @hold 4                         -> OK
      charge user:ana 3.01 run=r              -> OVER_RUN_CAP spent=5.00
      limits user:ana per_run=9 charges_per_hour=2
      charge user:ana 3 run=r                 -> OK
      charge user:ana 0 run=r                 -> RATE_LIMITED
      budgets user:ana                        -> OK budgets.0.spent=8.00 budgets.0.held=0.00
      limits user:ana per_run=9 charges_per_hour=3
      charge user:ana 1.01 run=r              -> OVER_RUN_CAP spent=8.00
      charge user:ana 0 run=r                 -> OK
      charge user:ana 0 run=r                 -> RATE_LIMITED
      limits user:ana
      limits user:ana per_run=9 charges_per_hour=3
      charge user:ana 0 run=r                 -> OK
      unbudget user:ana default
      charge user:ana 9 run=r                 -> OK
      """)
  }

  @Test func `refused charges and captures do not count in the rate`() throws {
    try play(
      """
      deposit user:ana 10
      limits user:ana charges_per_hour=2
      charge user:ana 11                               -> INSUFFICIENT_FUNDS
      reserve user:ana 1 as hold
      capture @hold
      charge user:ana 1
      charge user:ana 1                                -> RATE_LIMITED
      """)
  }

  @Test func `caps come before rates, rates before budgets, budgets before money`() throws {
    try play(
      """
      deposit org:acme 1
      open org:acme/agent:writer
      budget org:acme/agent:writer day 0
      limits org:acme per_call=0 per_run=0 charges_per_hour=0
      charge org:acme/agent:writer 2 run=r             -> OVER_CALL_CAP
      limits org:acme per_run=0 charges_per_hour=0
      charge org:acme/agent:writer 2 run=r             -> OVER_RUN_CAP
      limits org:acme charges_per_hour=0
      charge org:acme/agent:writer 2 run=r             -> RATE_LIMITED
      limits org:acme
      charge org:acme/agent:writer 2 run=r             -> OVER_BUDGET
      unbudget org:acme/agent:writer default
      charge org:acme/agent:writer 2 run=r             -> INSUFFICIENT_FUNDS
      """)
  }

  @Test func `wrong limits are refused`() throws {
    try play(
      """
      open user:ana
      limits user:ana per_call=-1                      -> INVALID_AMOUNT field=per_call
      limits user:ana per_run=-1                       -> INVALID_AMOUNT field=per_run
      limits user:ana charges_per_hour=-1              -> INVALID_AMOUNT field=charges_per_hour
      limits user:ana charges_per_hour=10001           -> TOO_LONG field=charges_per_hour
      limits user:ana charges_per_hour=10000           -> OK
      limits user:nobody per_call=1                    -> ACCOUNT_NOT_FOUND
      """)
  }

  @Test func `a run without a charge for thirty days is forgotten, a hold of it is not`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      limits user:ana per_run=10
      charge user:ana 10 run=old
      reserve user:ana 10 run=held expires_in_ms=31622400000 as hold
      wait 31d
      charge user:ana 0
      seal
      charge user:ana 10 run=old                       -> OK
      charge user:ana 1 run=held                       -> OVER_RUN_CAP
      release @hold
      charge user:ana 11 run=held                      -> OVER_RUN_CAP
      charge user:ana 10 run=held                      -> OK
      """)
  }

  @Test func `two engines forget the same runs`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(
      """
      deposit user:ana 100
      limits user:ana per_run=10
      charge user:ana 10 run=old
      """)
    let other = try ledger.another()
    _ = try other.call("balance.get", ["account": "user:ana"])
    try script.play(
      """
      wait 31d
      charge user:ana 0
      """)
    try ledger.engine.sealNow()
    let charge: JSON = ["payer": "user:ana", "amount": "1", "run": "old"]
    let first = status { _ = try ledger.engine.call("charge.create", charge) }
    let second = status { _ = try other.call("charge.create", charge) }
    #expect(first == second)
    try other.close()
  }
}
