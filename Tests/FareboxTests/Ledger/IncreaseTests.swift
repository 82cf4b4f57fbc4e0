import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// A hold that grows while its call runs.
@Suite struct IncreaseTests {
  @Test func `an increase holds more, and a capture counts all of it`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 as first
      increase @first 3              -> OK amount=3.00 hold_remaining=5.00 balance=10.00 available=5.00 final=false
      hold @first                    -> OK state=open amount=5.00 increased=3.00 remaining=5.00 captured=0.00
      balance user:ana               -> OK held=5.00 available=5.00
      capture @first 1 final=false   -> OK hold_remaining=4.00
      increase @first 0.5            -> OK hold_remaining=4.50
      increase @first 0              -> OK amount=0.00 hold_remaining=4.50
      hold @first                    -> OK amount=5.50 increased=3.50 remaining=4.50 captured=1.00
      capture @first                 -> OK amount=4.50 balance=4.50 available=4.50
      hold @first                    -> OK state=captured amount=5.50 increased=3.50
      increase @first 1              -> HOLD_CAPTURED field=hold
      """)
  }

  @Test func `release and expiry return the increase as well`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 as first
      increase @first 3
      release @first                 -> OK amount=5.00 available=10.00
      hold @first                    -> OK state=released amount=5.00
      increase @first 1              -> HOLD_RELEASED field=hold
      reserve user:ana 2 expires_in_ms=1000 as second
      increase @second 3
      wait 1s
      balance user:ana               -> OK held=0.00 available=10.00
      increase @second 1             -> HOLD_EXPIRED field=hold
      increase 77 1                  -> HOLD_NOT_FOUND field=hold
      """)
  }

  @Test func `what a reservation would be refused, an increase is`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 as first
      increase @first -1             -> INVALID_AMOUNT field=amount
      increase @first 0.0000000001   -> TOO_PRECISE field=amount
      increase @first 8.000000001    -> INSUFFICIENT_FUNDS constraint=wallet limit=8.00 requested=8.000000001
      increase @first 8              -> OK available=0.00
      credit user:ana 5
      increase @first 6              -> INSUFFICIENT_FUNDS
      increase @first 5              -> OK available=0.00
      freeze user:ana
      increase @first 0              -> ACCOUNT_FROZEN field=hold
      unfreeze user:ana
      hold @first                    -> OK amount=15.00
      deposit user:bob 10
      reserve user:bob 1 as second
      limits user:bob per_call=4 charges_per_hour=1
      increase @second 3.01          -> OVER_CALL_CAP limit=4.00 requested=4.01
      increase @second 3             -> OK
      capture @second 1 final=false
      increase @second 0.01          -> OVER_CALL_CAP requested=4.01
      """)
  }

  @Test func `a run's cap counts what is added to its holds`() throws {
    try play(
      """
      deposit user:ana 100
      limits user:ana per_run=10
      reserve user:ana 2 run=r as first
      charge user:ana 3 run=r
      increase @first 5.01           -> OVER_RUN_CAP limit=10.00 spent=5.00 requested=5.01
      increase @first 5              -> OK
      charge user:ana 0.01 run=r     -> OVER_RUN_CAP spent=10.00
      release @first
      charge user:ana 7 run=r        -> OK
      charge user:ana 0.01 run=r     -> OVER_RUN_CAP spent=10.00
      # A cap that is set later counts neither the hold nor what is added to it.
      reserve user:bob 0 -> ACCOUNT_NOT_FOUND
      deposit user:bob 100
      reserve user:bob 2 run=r as second
      limits user:bob per_run=1
      increase @second 50            -> OK
      charge user:bob 1 run=r        -> OK
      """)
  }

  @Test func `a rate does not count an increase`() throws {
    try play(
      """
      deposit user:ana 100
      limits user:ana charges_per_hour=2
      count user:ana lifetime 2
      reserve user:ana 1 as first
      increase @first 1
      increase @first 1              -> OK
      charge user:ana 1              -> OK
      charge user:ana 1              -> RATE_LIMITED spent=2
      increase @first 1              -> OK hold_remaining=4.00
      budgets user:ana               -> OK budgets.0.spent=1 budgets.0.held=1
      """)
  }

  @Test func `a budget counts an increase in the window in which the hold began`() throws {
    try play(
      """
      clock 2026-03-01T10:59:00
      deposit user:ana 100
      budget user:ana hour 10 name=mine
      reserve user:ana 4 expires_in_ms=86400000 as first
      wait 2m
      charge user:ana 9
      increase @first 6.01           -> OVER_BUDGET limit=10.00 spent=0.00 held=4.00 requested=6.01
      increase @first 6              -> OK
      budgets user:ana               -> OK budgets.0.spent=9.00 budgets.0.held=0.00
      capture @first                 -> OK amount=10.00
      budgets user:ana               -> OK budgets.0.spent=9.00 budgets.0.held=0.00
      # A budget that was set after the hold began counts neither it nor what is added.
      reserve user:ana 1 expires_in_ms=86400000 as second
      budget user:ana lifetime 2 name=late
      increase @second 0.001         -> OVER_BUDGET budget=mine
      unbudget user:ana mine
      increase @second 5             -> OK
      budgets user:ana               -> OK budgets.0.spent=0.00 budgets.0.held=0.00
      capture @second
      budgets user:ana               -> OK budgets.0.spent=0.00 budgets.0.held=0.00
      """)
  }

  @Test func `a threshold is reached by an increase`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana lifetime 10 thresholds=[80]
      reserve user:ana 4 as first
      events user:ana                -> OK events.count=0
      increase @first 4
      events user:ana                -> OK events.count=1 events.0.threshold=80 events.0.held=8.00
      """)
  }

  @Test func `a tool that was switched off keeps its holds, which do not grow`() throws {
    try play(
      """
      deposit user:ana 10
      skill {"id":"s","tools":[{"name":"t","pricing":{"cost":"0.5","per":"unit"}}]}
      reserve_call user:ana t usage={"units":2} as first
      tool.disable tool=t
      increase @first 1              -> TOOL_DISABLED field=hold
      tool.enable tool=t
      increase @first 1              -> OK hold_remaining=2.00
      tool.disable tool=t account=user:ana
      increase @first 1              -> TOOL_DISABLED field=hold
      capture @first usage={"units":3} -> OK amount=1.50
      """)
  }

  @Test func `an increase is made once for a key`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 as first
      reserve user:ana 1 as other
      increase @first 3 idempotency_key=k description=d metadata={"a":1} as more
      increase @first 3 idempotency_key=k description=d metadata={"a":1} -> OK replayed=true amount=3.00 hold_remaining=5.00
      increase @other 3 idempotency_key=k description=d metadata={"a":1} -> KEY_CONFLICT field=hold
      increase @first 4 idempotency_key=k description=d metadata={"a":1} -> KEY_CONFLICT field=amount
      increase @first 3 idempotency_key=k metadata={"a":1}               -> KEY_CONFLICT field=description
      increase @first 3 idempotency_key=k description=d                  -> KEY_CONFLICT field=metadata
      capture @first 1 idempotency_key=k                                 -> KEY_CONFLICT field=operation
      release @first
      increase @first 3 idempotency_key=k description=d metadata={"a":1} -> OK replayed=true
      balance user:ana                                                   -> OK held=1.00
      entry @more -> OK kind=increase amount=3.00 hold_remaining=5.00 description=d idempotency_key=k account=user:ana postings=absent
      """)
  }

  @Test func `an increased hold is the same after sealing and opening again`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 10
      budget user:ana lifetime 100
      reserve user:ana 2 expires_in_ms=9999999 run=r as first
      reserve user:ana 1 as gone
      increase @gone 1.5
      capture @gone 0.5
      increase @first 3
      reopen
      hold @first                    -> OK amount=5.00 increased=3.00 remaining=5.00
      hold @gone                     -> OK state=captured amount=2.50 increased=1.50
      seal
      reopen
      hold @first                    -> OK amount=5.00 increased=3.00 remaining=5.00
      hold @gone                     -> OK state=captured amount=2.50 increased=1.50
      run.cost run=r                 -> OK assets.0.held=5.00 assets.0.spent=0.00
      budgets user:ana               -> OK budgets.0.held=5.00
      increase @first 1
      seal
      capture @first 5.5 final=false -> OK hold_remaining=0.50
      budgets user:ana               -> OK budgets.0.held=0.50 budgets.0.spent=6.00
      """)
  }

  @Test func `amounts that do not fit are an overflow`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(
      """
      asset.open asset=GEM scale=0
      deposit user:ana 9000000000000000000 asset=GEM
      reserve user:ana 9000000000000000000 asset=GEM as first
      capture @first 9000000000000000000 final=false
      increase @first 9000000000000000000 -> OVERFLOW field=amount
      increase @first 9223372036854775807 -> OVERFLOW field=amount
      """)
    try ledger.engine.expectSound()
  }
}
