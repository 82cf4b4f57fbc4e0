import Testing

/// Amounts near the end of 64 bits: each has its status, and no sum wraps round.
@Suite struct OverflowTests {
  @Test func `a balance ends at the largest Int64`() throws {
    try play(
      """
      deposit user:ana 9223372036.854775807            -> OK balance=9223372036.854775807
      deposit user:ana 0.000000001                     -> OVERFLOW
      deposit user:bob 0.000000001                     -> OK
      deposit user:bob 1                               -> OVERFLOW
      withdraw user:bob 0.000000001                    -> OK
      deposit user:bob 9223372036.854775808            -> OVERFLOW field=amount
      charge user:ana 9223372036.854775807             -> OK balance=0.00
      balance platform                                 -> OK balance=9223372036.854775807
      withdraw platform 9223372036.854775807           -> OK balance=0.00
      """)
  }

  @Test func `a payee who can take no more makes the charge overflow`() throws {
    try play(
      """
      deposit user:ana 9223372036.854775807
      charge user:ana 9223372036.854775806 payee=platform
      open user:eve credit_line=10
      charge user:eve 2                                -> OVERFLOW
      reserve user:eve 2                               -> OVERFLOW
      charge user:eve 1                                -> OVERFLOW
      charge user:eve 0.000000001                      -> OK
      """)
  }

  @Test func `the largest credit line and the largest hold`() throws {
    try play(
      """
      open user:ana credit_line=9223372036.854775807
      deposit user:ana 1
      balance user:ana                                 -> OK available=9223372036.854775807
      reserve user:ana 9223372036.854775807 as hold    -> OK available=1.00
      reserve user:ana 0.5                             -> OVERFLOW
      release @hold
      reserve user:ana 1 over_capture=overflow as flow
      capture @flow 9223372036.854775807               -> OK
      balance user:ana                                 -> OK balance=-9223372035.854775807
      """)
  }

  @Test func `the world outside does not wrap round either`() throws {
    try play(
      """
      reserve external 9223372036.854775807 payee=user:ana   -> ACCOUNT_NOT_FOUND
      reserve external 9223372036.854775807 as first
      reserve external 1                                     -> OVERFLOW
      balance external                                       -> OK held=9223372036.854775807
      release @first
      """)
  }

  @Test func `a refund that its giver cannot represent overflows`() throws {
    try play(
      """
      deposit user:ana 9000000000
      charge user:ana 5000000000 payee=external as charge
      deposit user:bob 5000000000
      balance external                                       -> OK balance=-9000000000.00
      refund @charge                                         -> OVERFLOW
      balance external                                       -> OK balance=-9000000000.00
      balance user:ana                                       -> OK balance=4000000000.00
      """)
  }

  @Test func `limits take the largest numbers`() throws {
    try play(
      """
      deposit user:ana 9223372036.854775807
      budget user:ana day 9223372036.854775807
      limits user:ana per_call=9223372036.854775807 per_run=9223372036.854775807
      reserve user:ana 9223372036.854775807 run=r as hold    -> OK
      charge user:ana 0.000000001 run=r                      -> OVER_RUN_CAP
      charge user:ana 0.000000001                            -> OVER_BUDGET
      release @hold
      charge user:ana 9223372036.854775807 run=r             -> OK
      """)
  }
}
