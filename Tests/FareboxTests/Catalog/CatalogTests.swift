import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// Skills, tools, rate cards, and which price applies when.
@Suite struct CatalogTests {
  @Test func `a new version changes the price of what begins from then on`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1","per":"unit"}}]}   -> OK changed=true
      skill {"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1","per":"unit"}}]}   -> OK changed=false
      reserve_call user:ana t usage={"units":5} over_capture=cap expires_in_ms=99999999 as hold       -> OK amount=5.00 price_version=1
      wait 1s
      skill {"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"3","per":"unit"}}]}   -> SKILL_EXISTS field=manifest.version
      skill {"id":"s","version":"1.1.0","tools":[{"name":"t","pricing":{"cost":"3","per":"unit"}}]}   -> OK changed=true
      call user:ana t usage={"units":2}                -> OK amount=6.00 price_version=2
      capture @hold usage={"units":2} final=false      -> OK amount=2.00 price_version=1
      seal
      reopen
      capture @hold usage={"units":1} final=false      -> OK amount=1.00 price_version=1
      capture @hold usage={"units":9}                  -> OK amount=2.00 capped=true price_version=1
      call user:ana t usage={"units":1}                -> OK amount=3.00
      """)
  }

  @Test func `a tool that a new version no longer has is not for sale, and its holds go on`() throws {
    try play(
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"a","pricing":{"cost":"1"}},{"name":"b","pricing":{"cost":"2"}}]}
      reserve_call user:ana b as hold
      skill {"id":"s","version":"2.0.0","tools":[{"name":"a","pricing":{"cost":"1"}}]}
      call user:ana b                                  -> TOOL_DISABLED field=tool
      call user:ana a                                  -> OK
      capture @hold                                    -> OK amount=2.00
      """)
  }

  @Test func `disabled tools and skills take no charges, quotes or holds`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"s","tools":[{"name":"a","pricing":{"cost":"1"}},{"name":"b","pricing":{"cost":"2"}},{"name":"off","enabled":false,"pricing":{"cost":"2"}}]}
      call user:ana off                                -> TOOL_DISABLED
      reserve_call user:ana a as hold
      tool.disable tool=a                              -> OK enabled=false
      call user:ana a                                  -> TOOL_DISABLED field=tool
      reserve_call user:ana a                          -> TOOL_DISABLED
      quote a                                          -> TOOL_DISABLED
      call user:ana b                                  -> OK
      skill.disable skill=s                            -> OK enabled=false
      seal
      reopen
      call user:ana b                                  -> TOOL_DISABLED
      capture @hold                                    -> OK amount=1.00
      tool.enable tool=a
      call user:ana a                                  -> TOOL_DISABLED
      skill.enable skill=s                             -> OK enabled=true
      call user:ana a                                  -> OK
      skill.disable skill=nope                         -> SKILL_NOT_FOUND field=skill
      tool.disable tool=nope                           -> TOOL_NOT_FOUND field=tool
      call user:ana nope                               -> TOOL_NOT_FOUND field=tool
      """)
  }

  @Test func `a new version of a disabled skill stays disabled`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"a","pricing":{"cost":"1"}}]}
      skill.disable skill=s
      skill {"id":"s","version":"1.1.0","tools":[{"name":"a","pricing":{"cost":"1"}},{"name":"b","pricing":{"cost":"1"}}]}
      call user:ana a                                  -> TOOL_DISABLED
      call user:ana b                                  -> TOOL_DISABLED
      seal
      reopen
      call user:ana b                                  -> TOOL_DISABLED
      skill.enable skill=s
      call user:ana b                                  -> OK
      """)
  }

  @Test func `revenue is split to the last unit`() throws {
    try play(
      """
      deposit user:ana 100
      skill {"id":"s","owner":"agent:a","revenue_share":"0.7","tools":[{"name":"t","pricing":{"components":[{"model":"dynamic"}]}}]}
      call user:ana t amount=1                         -> OK
      balance agent:a                                  -> OK balance=0.70
      balance platform                                 -> OK balance=0.30
      call user:ana t amount=0.000000001               -> OK
      balance agent:a                                  -> OK balance=0.700000001
      balance platform                                 -> OK balance=0.30
      call user:ana t                                  -> UNPRICEABLE
      call user:ana t max_cost=2                       -> OK amount=2.00 capped=true
      call user:ana t amount=3 max_cost=2              -> OVER_MAX_COST limit=2.00 requested=3.00
      call user:ana t amount=-1                        -> INVALID_AMOUNT
      """)
  }

  @Test func `what a price does not decide may not be given with it`() throws {
    try play(
      """
      deposit user:ana 100
      skill {"id":"s","tools":[{"name":"t","pricing":{"cost":"1","per":"unit"}}]}
      call user:ana t amount=1                         -> INVALID_ARGUMENT field=amount
      call user:ana t payee=platform                   -> INVALID_ARGUMENT field=payee
      call user:ana t asset=USD                        -> INVALID_ARGUMENT field=asset
      call user:ana t usage={"images":1}               -> UNPRICEABLE field=usage.images
      call user:ana t usage={"images":1} max_cost=4    -> OK amount=4.00 capped=true
      call user:ana t usage={"units":3} max_cost=2     -> OVER_MAX_COST
      reserve_call user:ana t usage={"units":3} max_cost=2   -> OK amount=2.00
      reserve_call user:ana t usage={"units":3} max_cost=9   -> OK amount=9.00
      """)
  }

  @Test func `rates apply from their date until before their end`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      card {"name":"c","entries":[{"name":"m","versions":[{"from":"2026-01-15","to":"2026-02-01","price":{"cost":"1"}},{"from":"2026-02-01","price":{"cost":"2"}}]}]}   -> OK version=1 entries=1
      call user:ana c/m                                -> RATE_CARD_NOT_FOUND field=tool
      clock 2026-01-14T23:59:59
      wait 999999us
      quote c/m                                        -> RATE_CARD_NOT_FOUND
      wait 1us
      call user:ana c/m                                -> OK amount=1.00
      quote c/m at=\(NaiveCalendar.microseconds(2026, 2, 1))         -> OK total=2.00
      quote c/m at=\(NaiveCalendar.microseconds(2026, 2, 1) - 1)     -> OK total=1.00
      reserve_call user:ana c/m expires_in_ms=9999999999 as hold
      clock 2026-02-01
      seal
      reopen
      call user:ana c/m                                -> OK amount=2.00
      capture @hold                                    -> OK amount=1.00
      call user:ana c/nope                             -> RATE_CARD_NOT_FOUND field=tool
      call user:ana none/m                             -> RATE_CARD_NOT_FOUND field=tool
      quote c/nope                                     -> RATE_CARD_NOT_FOUND field=tool
      tool.inspect tool=none/m                         -> RATE_CARD_NOT_FOUND field=tool
      price.set tool=c/nope customer=user:ana price={"cost":"1"}   -> RATE_CARD_NOT_FOUND field=tool
      call user:ana nope                               -> TOOL_NOT_FOUND field=tool
      """)
  }

  @Test func `a name that leaves a card is found by its rules, or has no price`() throws {
    func card(_ entries: String) -> String {
      #"card {"name":"c","entries":[\#(entries)]}"#
    }
    try play(
      inFile: true,
      """
      deposit user:ana 100
      \(card(#"{"name":"m","aliases":["m-1","m-2","x"],"price":{"cost":"1"}},{"name":"gone","price":{"cost":"1"}}"#))
      call user:ana c/m-1                              -> OK amount=1.00
      \(card(#"{"name":"m","match":{"starts_with":"m-"},"price":{"cost":"2"}},{"name":"gone","versions":[]}"#))
      call user:ana c/m                                -> OK amount=2.00
      call user:ana c/m-1                              -> OK amount=2.00
      call user:ana c/m-3                              -> OK amount=2.00
      call user:ana c/x                                -> RATE_CARD_NOT_FOUND
      call user:ana c/gone                             -> RATE_CARD_NOT_FOUND
      \(card(#"{"name":"n","match":{"equals":"m-2"},"price":{"cost":"3"}},{"name":"gone","price":{"cost":"4"}}"#))
      call user:ana c/m                                -> RATE_CARD_NOT_FOUND
      call user:ana c/m-1                              -> RATE_CARD_NOT_FOUND
      call user:ana c/m-2                              -> OK amount=3.00
      call user:ana c/gone                             -> OK amount=4.00
      seal
      reopen
      call user:ana c/m-1                              -> RATE_CARD_NOT_FOUND
      call user:ana c/m-2                              -> OK amount=3.00
      \(card(#"{"name":"m-1","price":{"cost":"5"}}"#))
      call user:ana c/m-1                              -> OK amount=5.00
      call user:ana c/m-2                              -> RATE_CARD_NOT_FOUND
      """)
  }

  @Test func `a customer may have a price of its own for a skill's tool`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      deposit user:ben 100
      skill {"id":"s","version":"1.0.0","owner":"org:vendor","revenue_share":"0.50","tools":[{"name":"t","pricing":{"cost":"2"}}]}
      reserve_call user:ana t as hold
      price.set tool=t customer=user:ana price={"cost":"1"}   -> OK tool=t customer=user:ana price_version=2
      call user:ana t                                         -> OK amount=1.00 price_version=2
      call user:ben t                                         -> OK amount=2.00 price_version=1
      capture @hold                                           -> OK amount=2.00 price_version=1
      balance org:vendor                                      -> OK balance=2.50
      seal
      reopen
      call user:ana t                                         -> OK amount=1.00 price_version=2
      price.set tool=none customer=user:ana price={"cost":"1"}     -> TOOL_NOT_FOUND field=tool
      price.set tool=t customer=user:nobody price={"cost":"1"}     -> ACCOUNT_NOT_FOUND field=customer
      price.set tool=t customer=user:ana price={"cost":"x"}        -> INVALID_AMOUNT
      price.set tool=t customer=user:ana price={"cost":"1"} to=5   -> INVALID_ARGUMENT field=to
      """)
  }

  @Test func `a customer may have a price of its own`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      deposit user:bob 100
      card {"name":"c","entries":[{"name":"m","price":{"cost":"5"}},{"name":"m","customer":"user:ana","price":{"cost":"4"}}]}
      call user:ana c/m                                -> OK amount=4.00
      call user:bob c/m                                -> OK amount=5.00
      quote c/m                                        -> OK total=5.00
      quote c/m customer=user:ana                      -> OK total=4.00
      seal
      reopen
      call user:ana c/m                                -> OK amount=4.00
      card {"name":"c","entries":[{"name":"m","customer":"user:nobody","price":{"cost":"4"}}]}   -> ACCOUNT_NOT_FOUND
      """)
  }

  @Test func `a rate card published again replaces its undated rates from now on`() throws {
    try play(
      """
      deposit user:ana 100
      card {"name":"c","entries":[{"name":"m","price":{"cost":"5"}}]}   -> OK version=1
      card {"name":"c","entries":[{"name":"m","price":{"cost":"5"}}]}   -> OK version=1
      reserve_call user:ana c/m as hold
      wait 1s
      card {"name":"c","entries":[{"name":"m","price":{"cost":"6"}}]}   -> OK version=2
      call user:ana c/m                                -> OK amount=6.00
      quote c/m at=\(ManualClock.start)                -> OK total=5.00
      capture @hold                                    -> OK amount=5.00
      """)
  }

  @Test func `a customer's own price outlives the card's name`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      deposit user:bob 100
      card {"name":"c","entries":[{"name":"m","price":{"cost":"5"}},{"name":"m","customer":"user:ana","price":{"cost":"4"}},{"name":"n","price":{"cost":"6"}}]}
      price.set tool=c/n customer=user:bob price={"cost":"3"}
      wait 1s
      # The first name is gone from the card, and of the second only an entry of one customer is left.
      card {"name":"c","entries":[{"name":"n","customer":"user:ana","price":{"cost":"2"}}]}   -> OK version=2
      call user:ana c/m                                -> OK amount=4.00
      call user:bob c/m                                -> RATE_CARD_NOT_FOUND field=tool
      call user:bob c/n                                -> OK amount=3.00
      call user:ana c/n                                -> OK amount=2.00
      quote c/n                                        -> RATE_CARD_NOT_FOUND
      quote c/n at=\(ManualClock.start)                -> OK total=6.00
      seal
      reopen
      call user:ana c/m                                -> OK amount=4.00
      call user:bob c/n                                -> OK amount=3.00
      price.set tool=c/m customer=user:bob price={"cost":"1"}   -> OK
      call user:bob c/m                                -> OK amount=1.00
      """)
  }

  @Test func `a rate that only customers have takes further ones`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      deposit user:bob 100
      card {"name":"c","entries":[{"name":"m","customer":"user:ana","price":{"cost":"4"}}]}
      call user:bob c/m                                -> RATE_CARD_NOT_FOUND
      price.set tool=c/m customer=user:bob price={"cost":"3"}   -> OK
      call user:bob c/m                                -> OK amount=3.00
      seal
      reopen
      call user:bob c/m                                -> OK amount=3.00
      balance platform                                 -> OK balance=6.00
      """)
  }

  @Test func `a scheduled rate does not outlive the version of its card`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      clock 2026-01-10
      card {"name":"c","entries":[{"name":"gone","versions":[{"price":{"cost":"1"}},{"from":"2026-02-01","price":{"cost":"2"}}]},{"name":"kept","versions":[{"price":{"cost":"1"}},{"from":"2026-02-01","price":{"cost":"2"}}]},{"name":"again","versions":[{"price":{"cost":"1"}},{"from":"2026-02-01","price":{"cost":"2"}}]},{"name":"kept","customer":"user:ana","versions":[{"from":"2026-03-01","price":{"cost":"9"}}]}]}
      quote gone                                       -> TOOL_NOT_FOUND
      quote c/kept at=\(NaiveCalendar.microseconds(2026, 2, 1))     -> OK total=2.00
      clock 2026-01-20
      card {"name":"c","entries":[{"name":"kept","price":{"cost":"5"}},{"name":"again","versions":[{"price":{"cost":"5"}},{"from":"2026-02-01","price":{"cost":"6"}}]}]}
      quote c/kept                                     -> OK total=5.00
      quote c/kept at=\(NaiveCalendar.microseconds(2026, 1, 15))    -> OK total=1.00
      quote c/kept at=\(NaiveCalendar.microseconds(2026, 2, 1))     -> OK total=5.00
      quote c/again at=\(NaiveCalendar.microseconds(2026, 2, 1))    -> OK total=6.00
      quote c/gone at=\(NaiveCalendar.microseconds(2026, 1, 15))    -> OK total=1.00
      quote c/gone at=\(NaiveCalendar.microseconds(2026, 2, 1))     -> RATE_CARD_NOT_FOUND
      seal
      reopen
      clock 2026-02-02
      call user:ana c/gone                             -> RATE_CARD_NOT_FOUND
      call user:ana c/kept                             -> OK amount=5.00
      call user:ana c/again                            -> OK amount=6.00
      clock 2026-03-01
      call user:ana c/kept                             -> OK amount=9.00
      """)
  }
}
