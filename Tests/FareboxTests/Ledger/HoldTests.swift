import Farebox
import FareboxCore
import Testing

/// The life of a hold, every legal and illegal step.
@Suite struct HoldTests {
  @Test func `a reservation sets money aside and a capture takes it`() throws {
    try play(
      """
      deposit user:ana 10                     -> OK balance=10.00 available=10.00
      reserve user:ana 4 as first             -> OK amount=4.00 hold_remaining=4.00 balance=10.00 available=6.00
      balance user:ana                        -> OK balance=10.00 held=4.00 available=6.00
      hold @first                             -> OK state=open remaining=4.00 captured=0.00
      capture @first                          -> OK amount=4.00 final=true balance=6.00 available=6.00 hold_remaining=0.00
      balance user:ana                        -> OK balance=6.00 held=0.00 available=6.00
      balance platform                        -> OK balance=4.00
      hold @first                             -> OK state=captured
      """)
  }

  @Test func `a final capture of less returns the remainder at once`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 4 as first
      capture @first 1.5                      -> OK amount=1.50 final=true hold_remaining=0.00 available=8.50
      balance user:ana                        -> OK balance=8.50 held=0.00
      balance platform                        -> OK balance=1.50
      """)
  }

  @Test func `a capture in parts keeps the rest open until the last`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 4 as first
      capture @first 1 final=false            -> OK amount=1.00 hold_remaining=3.00 final=false balance=9.00 available=6.00
      capture @first 0 final=false            -> OK amount=0.00 hold_remaining=3.00
      hold @first                             -> OK state=open remaining=3.00 captured=1.00
      capture @first 2 final=false            -> OK hold_remaining=1.00 available=6.00
      capture @first                          -> OK amount=1.00 final=true balance=6.00 available=6.00
      capture @first                          -> HOLD_CAPTURED field=hold
      """)
  }

  @Test func `all of a hold taken in parts leaves it open with nothing in it`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 4 as first
      capture @first 4 final=false            -> OK hold_remaining=0.00
      hold @first                             -> OK state=open remaining=0.00
      capture @first 0.01 final=false         -> OVER_CAPTURE remaining=0.00 requested=0.01
      release @first                          -> OK amount=0.00
      release @first                          -> HOLD_RELEASED
      """)
  }

  @Test func `a captured hold answers HOLD_CAPTURED to everything`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 4 as first
      capture @first
      capture @first 1                        -> HOLD_CAPTURED field=hold
      release @first                          -> HOLD_CAPTURED field=hold
      extend @first 1000                      -> HOLD_CAPTURED field=hold
      """)
  }

  @Test func `a released hold answers HOLD_RELEASED to everything`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 4 as first
      release @first                          -> OK amount=4.00 final=true hold_remaining=0.00 available=10.00
      balance user:ana                        -> OK balance=10.00 held=0.00
      capture @first                          -> HOLD_RELEASED field=hold
      release @first                          -> HOLD_RELEASED field=hold
      extend @first 1000                      -> HOLD_RELEASED field=hold
      hold @first                             -> OK state=released amount=4.00
      """)
  }

  @Test func `an expired hold answers HOLD_EXPIRED to everything`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 4 expires_in_ms=1000 as first
      wait 1s
      capture @first                          -> HOLD_EXPIRED field=hold
      release @first                          -> HOLD_EXPIRED field=hold
      extend @first 1000                      -> HOLD_EXPIRED field=hold
      hold @first                             -> OK state=expired
      """)
  }

  @Test func `what is no hold answers HOLD_NOT_FOUND to everything`() throws {
    try play(
      """
      deposit user:ana 10
      charge user:ana 1 as paid
      capture @paid                           -> HOLD_NOT_FOUND field=hold
      release @paid                           -> HOLD_NOT_FOUND field=hold
      extend @paid 1000                       -> HOLD_NOT_FOUND field=hold
      hold @paid                              -> HOLD_NOT_FOUND field=hold
      capture 0                               -> HOLD_NOT_FOUND
      capture 9223372036854775807             -> HOLD_NOT_FOUND
      capture -1                              -> INVALID_ARGUMENT field=hold
      """)
  }

  @Test func `how a hold ended is known after sealing and opening again`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 10
      reserve user:ana 1 as captured
      reserve user:ana 1 as released
      reserve user:ana 1 expires_in_ms=1000 as expired
      reserve user:ana 1 expires_in_ms=9999999 as open
      capture @captured
      release @released
      wait 1s
      seal
      seal
      reopen
      capture @captured                       -> HOLD_CAPTURED
      release @released                       -> HOLD_RELEASED
      capture @expired                        -> HOLD_EXPIRED
      balance user:ana                        -> OK balance=9.00 held=1.00 available=8.00
      capture @open 0.25 final=false          -> OK hold_remaining=0.75
      seal
      reopen
      hold @open                              -> OK state=open remaining=0.75 captured=0.25
      capture @open                           -> OK amount=0.75 balance=8.00 available=8.00
      """)
  }

  @Test func `a hold lasts until, and not at, its time`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 4 expires_in_ms=1000 as first
      reserve user:ana 5 expires_in_ms=1000 as second
      wait 999999us
      balance user:ana                        -> OK held=9.00
      capture @first                          -> OK
      wait 1us
      balance user:ana                        -> OK balance=6.00 held=0.00 available=6.00
      capture @second                         -> HOLD_EXPIRED
      """)
  }

  @Test func `expired money can be spent without any tick`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 10
      charge user:ana 10                      -> INSUFFICIENT_FUNDS limit=0.00 held=10.00
      wait 15m
      charge user:ana 10                      -> OK balance=0.00
      """)
  }

  @Test func `holds that are due together expire by time, then in the order of their making`() throws {
    for reopening in ["", "seal\nreopen"] {
      let ledger = try TestLedger(inFile: true)
      var script = Script(ledger)
      try script.play("deposit user:ana 100")
      // Due in other orders than they were made in, and many at one time.
      let spans = [5, 3, 3, 9, 1, 3, 9, 1, 3, 1, 5, 3, 1]
      for (index, span) in spans.enumerated() {
        try script.play("reserve user:ana 0.\(index + 10) expires_in_ms=\(span)")
      }
      try script.play("\(reopening)\nwait 1h\ntick")
      let order = spans.indices.sorted { (spans[$0], $0) < (spans[$1], $1) }
      let rows = try ledger.engine.call("transfer.list", ["kind": "expire"]).object?["transfers"]?.array ?? []
      #expect(rows.reversed().map { $0.object?["amount"] } == order.map { .string("0.\($0 + 10)") })
    }
  }

  @Test func `a quarter of an hour is how long a hold lasts by default`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 1 as first
      reserve user:ana 1 as second
      wait 899s
      capture @first                          -> OK
      wait 1s
      capture @second                         -> HOLD_EXPIRED
      """)
  }

  @Test func `an extension counts from now and may shorten`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 1 expires_in_ms=1000 as longer
      reserve user:ana 1 expires_in_ms=9000 as shorter
      wait 900ms
      extend @longer 1000                     -> OK hold_remaining=1.00 available=8.00
      extend @shorter 100                     -> OK
      wait 100ms
      hold @shorter                           -> OK state=expired
      wait 899ms
      hold @longer                            -> OK state=open
      wait 1ms
      hold @longer                            -> OK state=expired
      """)
  }

  @Test func `a hold lasts from one millisecond to 366 days`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 1 expires_in_ms=0             -> INVALID_ARGUMENT field=expires_in_ms
      reserve user:ana 1 expires_in_ms=-1            -> INVALID_ARGUMENT field=expires_in_ms
      reserve user:ana 1 expires_in_ms=1             -> OK
      reserve user:ana 1 expires_in_ms=31622400000 as longest
      reserve user:ana 1 expires_in_ms=31622400001   -> INVALID_ARGUMENT field=expires_in_ms
      extend @longest 0                              -> INVALID_ARGUMENT field=expires_in_ms
      extend @longest 31622400001                    -> INVALID_ARGUMENT field=expires_in_ms
      wait 365d
      hold @longest                                  -> OK state=open
      extend @longest 31622400000                    -> OK
      """)
  }

  @Test func `a dynamic price holds its amount, cut to a maximum`() throws {
    try play(
      """
      deposit user:ana 10
      skill {"id":"s","tools":[{"name":"d","pricing":{"components":[{"model":"dynamic"}],"max_cost":"1"}},{"name":"n","pricing":{"components":[{"model":"dynamic"}],"minimum":"0.10"}},{"name":"f","pricing":{"components":[{"model":"dynamic"},{"meter":"requests","rate":"0.50"}]}}]}
      reserve_call user:ana d amount=0.25            -> OK amount=0.25 capped=false
      reserve_call user:ana d amount=0               -> OK amount=0.00 capped=false
      reserve_call user:ana d amount=1               -> OK amount=1.00 capped=false
      reserve_call user:ana d amount=3               -> OK amount=1.00 capped=true
      reserve_call user:ana d                        -> OK amount=1.00 capped=false
      reserve_call user:ana d amount=0.25 max_cost=2 -> OK amount=2.00 capped=false
      reserve_call user:ana n amount=3 max_cost=1    -> OK amount=1.00 capped=true
      reserve_call user:ana n amount=1 max_cost=1    -> OK amount=1.00 capped=false
      reserve_call user:ana n amount=0.01            -> OK amount=0.10 capped=false
      reserve_call user:ana n                        -> UNPRICEABLE
      reserve_call user:ana f amount=1               -> OK amount=1.50 capped=false
      reserve_call user:ana f amount=1 max_cost=1    -> OK amount=1.00 capped=true
      reserve_call user:ana n amount=-1 max_cost=1   -> INVALID_AMOUNT
      """)
  }

  @Test func `more than the hold is refused, cut or charged on top, as agreed`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 as rejecting
      capture @rejecting 2.000000001                 -> OVER_CAPTURE field=amount remaining=2.00 requested=2.000000001
      hold @rejecting                                -> OK state=open remaining=2.00
      capture @rejecting 2                           -> OK balance=8.00
      reserve user:ana 2 over_capture=cap as capping
      capture @capping 5                             -> OK amount=2.00 capped=true balance=6.00 available=6.00
      reserve user:ana 2 over_capture=overflow as flowing
      capture @flowing 5                             -> OK amount=5.00 capped=false balance=1.00 available=1.00
      reserve user:ana 1 over_capture=overflow as dry
      capture @dry 1.5                               -> INSUFFICIENT_FUNDS constraint=wallet requested=0.50 limit=0.00
      hold @dry                                      -> OK state=open remaining=1.00
      capture @dry 1                                 -> OK balance=0.00
      """)
  }

  @Test func `negative captures and unknown policies are refused`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 over_capture=maybe          -> INVALID_ARGUMENT field=over_capture
      reserve user:ana 2 as first
      capture @first -1                              -> INVALID_AMOUNT field=amount
      capture @first 1 usage={"units":1}             -> INVALID_ARGUMENT field=usage
      capture @first usage={"units":1}               -> INVALID_ARGUMENT field=usage
      """)
  }

  @Test func `an open hold of a frozen account can be captured, a new one cannot begin`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 as first
      freeze user:ana
      reserve user:ana 2                             -> ACCOUNT_FROZEN field=payer
      capture @first                                 -> OK
      unfreeze user:ana
      reserve user:ana 2                             -> OK
      """)
  }

  @Test func `the excess of a capture is a new charge, which a frozen account does not make`() throws {
    try play(
      """
      deposit user:ana 10
      reserve user:ana 2 over_capture=overflow as first
      freeze user:ana
      capture @first 3                               -> ACCOUNT_FROZEN
      capture @first 2                               -> OK
      """)
  }

  @Test func `all captures of a call together stay under its cap`() throws {
    try play(
      """
      deposit user:ana 100
      limits user:ana per_call=10
      reserve user:ana 5 over_capture=overflow as first
      capture @first 9 final=false                   -> OK amount=9.00 hold_remaining=0.00
      capture @first 2 final=false                   -> OVER_CALL_CAP limit=10.00
      capture @first 1                               -> OK
      """)
  }
}
