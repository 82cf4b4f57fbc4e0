import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// Limits over windows of time.
@Suite struct BudgetTests {
  @Test func `spent and held together stay within the limit`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10                  -> OK name=default window=day limit=10.00 unit=USD spent=0.00 held=0.00
      charge user:ana 4
      reserve user:ana 5 as hold
      budgets user:ana                        -> OK budgets.0.spent=4.00 budgets.0.held=5.00
      charge user:ana 1.000000001             -> OVER_BUDGET constraint=budget budget=default account=user:ana limit=10.00 spent=4.00 held=5.00 requested=1.000000001 unit=USD window=day held_by.count=1 held_by.0.amount=5.00
      reserve user:ana 1.000000001            -> OVER_BUDGET
      charge user:ana 1                       -> OK
      charge user:ana 0                       -> OK
      capture @hold 3                         -> OK
      budgets user:ana                        -> OK budgets.0.spent=8.00 budgets.0.held=0.00
      charge user:ana 2                       -> OK
      charge user:ana 0.000000001             -> OVER_BUDGET spent=10.00 held=0.00
      """)
  }

  @Test func `a clock that was ahead for a moment does not move the window`() throws {
    // A question and a refusal leave nothing in the journal, so they may not move the windows either.
    try play(
      inFile: true,
      """
      deposit user:ana 100
      budget user:ana hour 5
      clock 2026-01-14T12:10:00
      charge user:ana 4
      clock 2026-01-14T13:30:00
      budgets user:ana                        -> OK budgets.0.spent=0.00
      charge user:ana 6                       -> OVER_BUDGET spent=0.00 resets_at=1768399200000000
      clock 2026-01-14T12:20:00
      charge user:ana 2                       -> OVER_BUDGET spent=4.00 resets_at=1768395600000000
      charge user:ana 1
      budgets user:ana                        -> OK budgets.0.spent=5.00
      seal
      reopen
      charge user:ana 1                       -> OVER_BUDGET spent=5.00
      """)
  }

  @Test func `a budget of zero stops everything that costs`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana lifetime 0
      charge user:ana 0.000000001             -> OVER_BUDGET
      charge user:ana 0                       -> OK
      count user:ana day 0 name=calls
      charge user:ana 0                       -> OVER_BUDGET budget=calls unit=charges limit=0 requested=1
      """)
  }

  @Test(
    arguments: [
      ("hour", "2026-01-14T12:00:00", "2026-01-14T12:59:59", "2026-01-14T13:00:00"),
      ("day", "2026-01-14T00:00:00", "2026-01-14T23:59:59", "2026-01-15T00:00:00"),
      ("day", "2028-02-29T00:00:00", "2028-02-29T23:59:59", "2028-03-01T00:00:00"),
      ("week", "2026-01-12T00:00:00", "2026-01-18T23:59:59", "2026-01-19T00:00:00"),
      ("week", "2025-12-29T00:00:00", "2026-01-04T23:59:59", "2026-01-05T00:00:00"),
      ("month", "2026-01-01T00:00:00", "2026-01-31T23:59:59", "2026-02-01T00:00:00"),
      ("month", "2026-04-01T00:00:00", "2026-04-30T23:59:59", "2026-05-01T00:00:00"),
      ("month", "2026-02-01T00:00:00", "2026-02-28T23:59:59", "2026-03-01T00:00:00"),
      ("month", "2028-02-01T00:00:00", "2028-02-29T23:59:59", "2028-03-01T00:00:00"),
      ("month", "2100-02-01T00:00:00", "2100-02-28T23:59:59", "2100-03-01T00:00:00"),
      ("month", "2026-12-01T00:00:00", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
    ])
  func `a window begins and ends with the hour, day, week or month`(
    _ window: String, _ start: String, _ last: String, _ next: String
  ) throws {
    for kind in ["budget user:ana \(window) 2", "count user:ana \(window) 2"] {
      let ledger = try TestLedger(startingAt: try NaiveCalendar.parse(start) - 1)
      var script = Script(ledger)
      try script.play(
        """
        deposit user:ana 100
        \(kind)
        charge user:ana 1
        charge user:ana 1
        charge user:ana 1                     -> OVER_BUDGET window=\(window) resets_at=\(try NaiveCalendar.parse(start))
        wait 1us
        budgets user:ana                      -> OK budgets.0.window_start=\(try NaiveCalendar.parse(start)) budgets.0.window_end=\(try NaiveCalendar.parse(next))
        charge user:ana 1
        clock \(last)
        wait 999999us
        charge user:ana 1
        charge user:ana 1                     -> OVER_BUDGET resets_at=\(try NaiveCalendar.parse(next))
        wait 1us
        charge user:ana 1                     -> OK
        """)
      try ledger.engine.expectSound()
    }
  }

  @Test func `a lifetime does not end`() throws {
    try play(
      startingAt: NaiveCalendar.microseconds(9999, 1, 1),
      """
      deposit user:ana 100
      budget user:ana lifetime 2
      charge user:ana 1
      clock 9999-12-31T23:59:59
      charge user:ana 1.5                     -> OVER_BUDGET window=lifetime resets_at=absent
      charge user:ana 1                       -> OK
      budgets user:ana                        -> OK budgets.0.window_end=null budgets.0.window_start=null
      """)
  }

  @Test func `charges are counted whatever they cost, and a hold is one`() throws {
    try play(
      """
      deposit user:ana 100
      deposit user:ana 100 asset=EUR
      count user:ana day 3
      charge user:ana 5
      charge user:ana 0 asset=EUR
      reserve user:ana 1 as hold
      charge user:ana 1                       -> OVER_BUDGET unit=charges limit=3 spent=2 held=1 requested=1 held_by.count=1 held_by.0.amount=1
      capture @hold 0.5 final=false
      charge user:ana 1                       -> OVER_BUDGET spent=2 held=1
      capture @hold
      charge user:ana 1                       -> OVER_BUDGET spent=3 held=0
      """)
  }

  @Test func `a hold that took nothing is no charge`() throws {
    try play(
      """
      deposit user:ana 100
      count user:ana day 1
      reserve user:ana 1 as first
      reserve user:ana 1                      -> OVER_BUDGET
      release @first
      reserve user:ana 1 expires_in_ms=1000
      wait 1s
      reserve user:ana 1 as third
      capture @third 0.5 final=false
      release @third
      reserve user:ana 1                      -> OVER_BUDGET spent=1 held=0
      """)
  }

  @Test func `a budget counts its own asset only`() throws {
    try play(
      """
      deposit user:ana 100
      deposit user:ana 100 asset=EUR
      budget user:ana day 1
      budget user:ana day 2 asset=EUR name=euros
      charge user:ana 1
      charge user:ana 2 asset=EUR
      charge user:ana 1                       -> OVER_BUDGET budget=default unit=USD
      charge user:ana 1 asset=EUR             -> OVER_BUDGET budget=euros unit=EUR
      """)
  }

  @Test func `every account of the path counts, and the nearest refuses first`() throws {
    try play(
      """
      deposit org:acme 100
      open org:acme/dept:research
      open org:acme/dept:research/agent:writer
      open org:acme/dept:sales wallet=own
      deposit org:acme/dept:sales 100
      budget org:acme day 10
      budget org:acme/dept:research day 5
      count org:acme/dept:research/agent:writer hour 2
      charge org:acme/dept:research/agent:writer 3
      charge org:acme/dept:research/agent:writer 3      -> OVER_BUDGET account=org:acme/dept:research spent=3.00
      charge org:acme/dept:sales 5
      charge org:acme/dept:sales 3                      -> OVER_BUDGET account=org:acme spent=8.00
      charge org:acme/dept:research/agent:writer 2      -> OK
      charge org:acme/dept:research/agent:writer 1      -> OVER_BUDGET account=org:acme/dept:research/agent:writer unit=charges
      charge org:acme 0.5                               -> OVER_BUDGET account=org:acme
      budgets org:acme/dept:research/agent:writer       -> OK budgets.count=3 budgets.0.spent=2 budgets.1.spent=5.00 budgets.2.spent=10.00
      """)
  }

  @Test func `a hold counts in the window in which it began`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10
      clock 2026-03-31T23:59:59
      reserve user:ana 6 expires_in_ms=9999999 as hold
      reserve user:ana 4 expires_in_ms=9999999 as other
      charge user:ana 1                       -> OVER_BUDGET held=10.00
      wait 1s
      charge user:ana 10                      -> OK
      budgets user:ana                        -> OK budgets.0.spent=10.00 budgets.0.held=0.00
      capture @hold                           -> OK
      release @other
      budgets user:ana                        -> OK budgets.0.spent=10.00 budgets.0.held=0.00
      charge user:ana 0.01                    -> OVER_BUDGET spent=10.00
      """)
  }

  @Test func `a hold that outlives two windows takes nothing from the third`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      budget user:ana hour 10
      reserve user:ana 6 expires_in_ms=99999999 as hold
      wait 1h
      charge user:ana 1
      wait 1h
      charge user:ana 1
      seal
      reopen
      capture @hold
      charge user:ana 9                       -> OK
      charge user:ana 0.01                    -> OVER_BUDGET
      """)
  }

  @Test func `refunding a capture gives the money back to the window that it was taken from`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10
      reserve user:ana 10 expires_in_ms=99999999 as hold
      wait 1d
      charge user:ana 1
      capture @hold as capture
      refund @capture
      budgets user:ana                        -> OK budgets.0.spent=1.00
      charge user:ana 9.01                    -> OVER_BUDGET
      charge user:ana 9                       -> OK
      """)
  }

  @Test func `refunding a capture does not touch a budget that never counted its hold`() throws {
    try play(
      """
      deposit user:ana 100
      reserve user:ana 10 as hold
      budget user:ana day 10
      capture @hold as capture
      budgets user:ana                        -> OK budgets.0.spent=0.00
      refund @capture
      budgets user:ana                        -> OK budgets.0.spent=0.00
      charge user:ana 10.01                   -> OVER_BUDGET
      """)
  }

  @Test func `what is refunded can be spent again in its window`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10
      charge user:ana 10 as charge
      refund @charge 4
      charge user:ana 4.01                    -> OVER_BUDGET spent=6.00
      charge user:ana 4                       -> OK
      wait 1d
      refund @charge
      budgets user:ana                        -> OK budgets.0.spent=0.00
      charge user:ana 10.01                   -> OVER_BUDGET
      """)
  }

  @Test func `the excess of a capture is checked and counted in the window in which its hold began`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10
      reserve user:ana 2 expires_in_ms=99999999 over_capture=overflow as first
      reserve user:ana 2 expires_in_ms=99999999 over_capture=overflow as second
      wait 1d
      capture @first 12                       -> OVER_BUDGET requested=10.00 spent=0.00 held=4.00
      capture @first 8                        -> OK
      capture @second 2.01                    -> OVER_BUDGET requested=0.01 spent=8.00 held=2.00
      capture @second 2                       -> OK
      charge user:ana 10                      -> OK
      charge user:ana 0.01                    -> OVER_BUDGET
      """)
  }

  @Test func `a budget limits the excess over a hold of this window and of the one before, and no older one`() throws {
    for (window, wait) in [("hour", "1h"), ("day", "1d"), ("week", "7d")] {
      try play(
        """
        deposit user:ana 100
        budget user:ana \(window) 2
        reserve user:ana 0.5 over_capture=overflow expires_in_ms=9999999999 as hold
        capture @hold 4 final=false             -> OVER_BUDGET spent=0.00 held=0.50 requested=3.50
        wait \(wait)
        capture @hold 4 final=false             -> OVER_BUDGET spent=0.00 held=0.50 requested=3.50
        wait \(wait)
        capture @hold 4 final=false             -> OK amount=4.00
        charge user:ana 2                       -> OK
        charge user:ana 0.01                    -> OVER_BUDGET spent=2.00 held=0.00
        """)
    }
    // Not what was counted last, however long ago that was.
    try play(
      """
      deposit user:ana 100
      budget user:ana day 2
      reserve user:ana 0.5 over_capture=overflow expires_in_ms=9999999999 as hold
      wait 31d
      capture @hold 4 final=false             -> OK amount=4.00
      budgets user:ana                        -> OK budgets.0.spent=0.00 budgets.0.held=0.00
      """)
  }

  @Test func `what a refusal of an excess tells is of one window`() throws {
    try play(
      """
      clock 2027-01-15T12:00:00
      deposit user:ana 100
      budget user:ana day 2
      reserve user:ana 0.5 over_capture=overflow expires_in_ms=9999999999 as hold
      wait 1d
      charge user:ana 1.5
      reserve user:ana 0.25
      capture @hold 3                         -> OVER_BUDGET limit=2.00 spent=0.00 held=0.50 resets_at=1800057600000000 held_by.count=1 held_by.0.amount=0.50
      charge user:ana 1                       -> OVER_BUDGET limit=2.00 spent=1.50 held=0.25 resets_at=1800144000000000 held_by.count=1 held_by.0.amount=0.25
      """)
  }

  @Test func `the excess over a hold is counted by limits that were set after it`() throws {
    for reopening in ["", "seal\nreopen"] {
      try play(
        inFile: true,
        """
        deposit user:ana 100
        reserve user:ana 1 over_capture=overflow run=r as first
        reserve user:ana 1 over_capture=overflow run=r as second
        budget user:ana day 10
        budget user:ana lifetime 10 name=ever
        limits user:ana per_run=9
        \(reopening)
        capture @first 6.5 final=false          -> OK
        budgets user:ana                        -> OK budgets.0.spent=5.50 budgets.1.spent=5.50 budgets.0.held=0.00
        \(reopening)
        capture @second 4.51                    -> OVER_RUN_CAP spent=5.50 requested=3.51
        limits user:ana
        capture @second 5.51                    -> OVER_BUDGET spent=5.50 requested=4.51
        capture @second 5.5                     -> OK
        charge user:ana 0.01                    -> OVER_BUDGET spent=10.00
        release @first                          -> OK
        budgets user:ana                        -> OK budgets.0.spent=10.00 budgets.0.held=0.00
        """)
    }
    // Also in the window before, in which the hold began and the budget was not there yet.
    try play(
      """
      deposit user:ana 100
      reserve user:ana 1 over_capture=overflow expires_in_ms=9999999999 as hold
      wait 1d
      budget user:ana day 5
      charge user:ana 2
      capture @hold 4 final=false             -> OK
      capture @hold 3 final=false             -> OVER_BUDGET spent=3.00 requested=3.00
      capture @hold 2                         -> OK
      budgets user:ana                        -> OK budgets.0.spent=2.00
      """)
  }

  @Test func `the excess of a capture passes no budget`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10
      reserve user:ana 5 over_capture=overflow as hold
      charge user:ana 3
      capture @hold 7.01                      -> OVER_BUDGET requested=2.01 spent=3.00 held=5.00
      capture @hold 7                         -> OK
      charge user:ana 0.01                    -> OVER_BUDGET spent=10.00
      """)
  }

  @Test func `changing a limit keeps what was counted`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10
      charge user:ana 8
      budget user:ana day 5                   -> OK limit=5.00 spent=8.00
      charge user:ana 0.01                    -> OVER_BUDGET limit=5.00 spent=8.00
      charge user:ana 0                       -> OK
      budget user:ana day 9                   -> OK
      charge user:ana 1                       -> OK
      budget user:ana week 9                  -> OK spent=0.00 window=week
      charge user:ana 9                       -> OK
      budgets user:ana                        -> OK budgets.count=1
      """)
  }

  @Test func `a budget with another window is a new one`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 5 name=x thresholds=[50]
      budget user:ana day 5 name=y
      charge user:ana 3
      charge user:ana 3                       -> OVER_BUDGET budget=x
      reserve user:ana 1 as old
      budget user:ana hour 5 name=x thresholds=[50]  -> OK spent=0.00 held=0.00
      charge user:ana 3                       -> OVER_BUDGET budget=y
      release @old
      budgets user:ana                        -> OK budgets.0.name=y budgets.1.name=x budgets.1.spent=0.00 budgets.1.held=0.00
      events user:ana                         -> OK events.count=1
      unbudget user:ana y
      charge user:ana 3                       -> OK
      events user:ana                         -> OK events.count=2
      """)
  }

  @Test func `a removed budget limits nothing, and a new one begins at zero`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      unbudget user:ana default               -> BUDGET_NOT_FOUND field=name
      budget user:ana day 10
      reserve user:ana 10 as hold
      unbudget user:ana default               -> OK removed=true
      unbudget user:ana default               -> BUDGET_NOT_FOUND
      charge user:ana 11                      -> OK
      budget user:ana day 10                  -> OK spent=0.00 held=0.00
      capture @hold
      budgets user:ana                        -> OK budgets.0.spent=0.00 budgets.0.held=0.00
      charge user:ana 10                      -> OK
      seal
      reopen
      charge user:ana 0.01                    -> OVER_BUDGET
      """)
  }

  @Test func `who holds a budget's money are the holds that it counts`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10
      reserve user:ana 5 expires_in_ms=999999999
      wait 1d
      reserve user:ana 4 expires_in_ms=999999999 as today
      charge user:ana 7                       -> OVER_BUDGET held=4.00 held_by.count=1 held_by.0.amount=4.00
      """)
  }

  @Test func `a threshold is told once a window`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10 thresholds=[50,100]
      charge user:ana 4.99
      events user:ana                         -> OK events.count=0
      reserve user:ana 0.01 as hold
      events user:ana                         -> OK events.count=1 events.0.threshold=50 events.0.type=budget.threshold_reached events.0.spent=4.99 events.0.held=0.01 events.0.limit=10.00
      capture @hold
      charge user:ana 1
      events user:ana                         -> OK events.count=1
      charge user:ana 4
      events user:ana                         -> OK events.count=2 events.0.threshold=100
      charge user:ana 0
      events user:ana                         -> OK events.count=2
      wait 1d
      charge user:ana 10
      events user:ana                         -> OK events.count=4 events.0.threshold=100 events.1.threshold=50
      """)
  }

  @Test func `a threshold that was told is not told again after sealing and opening`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      budget user:ana day 10 thresholds=[50]
      charge user:ana 5
      seal
      reopen
      charge user:ana 1
      seal
      charge user:ana 1
      events user:ana                         -> OK events.count=1
      """)
  }

  @Test func `a new threshold is told though another was told before`() throws {
    try play(
      """
      deposit user:ana 100
      budget user:ana day 10 thresholds=[50]
      charge user:ana 5
      budget user:ana day 10 thresholds=[80]
      charge user:ana 3
      events user:ana                         -> OK events.count=2 events.0.threshold=80
      budget user:ana day 10 thresholds=[10,80,90]
      charge user:ana 0.5
      events user:ana                         -> OK events.count=3 events.0.threshold=10
      charge user:ana 0.5
      events user:ana                         -> OK events.count=4 events.0.threshold=90
      """)
  }

  @Test func `wrong budgets are refused`() throws {
    try play(
      """
      open user:ana
      budget user:ana year 10                          -> INVALID_ARGUMENT field=window
      budget user:ana day -1                           -> INVALID_AMOUNT field=amount
      budget user:ana day                              -> INVALID_ARGUMENT field=amount
      budget user:ana day 1 count=1                    -> INVALID_ARGUMENT field=amount
      count user:ana day -1                            -> INVALID_AMOUNT field=count
      budget user:nobody day 1                         -> ACCOUNT_NOT_FOUND field=account
      budget user:ana day 1 asset=NOPE                 -> ASSET_NOT_FOUND
      budget user:ana day 1 thresholds=[0]             -> INVALID_ARGUMENT field=thresholds[0]
      budget user:ana day 1 thresholds=[50,1001]       -> INVALID_ARGUMENT field=thresholds[1]
      budget user:ana day 1 thresholds=["x"]           -> INVALID_ARGUMENT field=thresholds[0]
      budget user:ana day 1 thresholds=[1,2,3,4,5,6,7,8,9] -> TOO_LONG field=thresholds
      """)
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play("open user:ana")
    for number in 0..<16 { try script.play("budget user:ana day 1 name=b\(number)") }
    try script.play(
      """
      budget user:ana day 1 name=more                  -> TOO_LONG field=name
      budget user:ana day 2 name=b3                    -> OK
      """)
  }
}
