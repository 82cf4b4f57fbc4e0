import FareboxCore
import Testing

@testable import Farebox

/// Transfers of many postings, and their reversal.
@Suite struct TransferTests {
  @Test func `a transfer balances in each asset or does not happen`() throws {
    try play(
      """
      deposit user:ana 10
      deposit user:ana 10 asset=EUR
      open user:bob
      open user:eve
      transfer user:ana=-3 user:bob=2 user:eve=1                               -> OK amount=3.00 balance=7.00
      transfer user:ana=-3 user:bob=2                                          -> INVALID_AMOUNT field=postings
      transfer user:ana=-1 user:bob=1@EUR                                      -> INVALID_AMOUNT field=postings
      transfer user:ana=-1 user:bob=1 user:ana=-2@EUR user:bob=2@EUR           -> OK
      transfer user:ana=-1                                                     -> INVALID_ARGUMENT field=postings
      transfer                                                                 -> INVALID_ARGUMENT field=postings
      transfer user:ana=-1 user:nobody=1                                       -> ACCOUNT_NOT_FOUND field=postings[1].account
      transfer user:ana=-x user:bob=1                                          -> INVALID_AMOUNT field=postings[0].amount
      transfer user:ana=-0.0000000001 user:bob=0.0000000001                    -> TOO_PRECISE field=postings[0].amount
      transfer user:ana=-7 user:bob=7                                          -> INSUFFICIENT_FUNDS limit=6.00 requested=7.00
      balance user:ana                                                         -> OK balance=6.00
      balance user:bob                                                         -> OK balance=3.00
      balance user:bob asset=EUR                                               -> OK balance=2.00
      """)
  }

  @Test func `it is what an account has in the end that must be possible`() throws {
    try play(
      """
      deposit user:ana 1
      open user:bob
      transfer user:ana=-5 user:ana=4 user:bob=1   -> OK
      balance user:ana                             -> OK balance=0.00
      transfer user:ana=-5 user:ana=4 user:bob=1   -> INSUFFICIENT_FUNDS requested=1.00
      """)
  }

  @Test func `held money is not transferred`() throws {
    try play(
      """
      deposit user:ana 10
      open user:bob
      reserve user:ana 6
      transfer user:ana=-5 user:bob=5              -> INSUFFICIENT_FUNDS limit=4.00 held=6.00
      transfer user:ana=-4 user:bob=4              -> OK
      """)
  }

  @Test func `a thousand postings are a transfer and one more is too long`() throws {
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "1"])
    func transfer(_ count: Int) -> Status {
      let pair: [JSON] = [
        ["account": "user:ana", "amount": "-0.001"], ["account": "platform", "amount": "0.001"],
      ]
      let postings = (0..<count).map { pair[$0 % 2] }
      return status { _ = try ledger.engine.call("transfer.create", ["postings": .array(postings)]) }
    }
    #expect(transfer(1_000) == .ok)
    #expect(transfer(1_002) == .tooLong)
  }

  @Test func `a transfer is reversed once, whether or not the money is still there`() throws {
    try play(
      """
      deposit user:ana 10
      open user:bob
      transfer user:ana=-4 user:bob=4 as first
      charge user:bob 3
      reverse @first idempotency_key=undo as undone    -> OK amount=4.00
      balance user:ana                                 -> OK balance=10.00
      balance user:bob                                 -> OK balance=-3.00
      reverse @first                                   -> OVER_REFUND field=id
      reverse @first idempotency_key=other             -> OVER_REFUND field=id
      reverse @first idempotency_key=undo              -> OK replayed=true amount=4.00
      reverse @undone                                  -> OK
      reverse @undone                                  -> OVER_REFUND
      balance user:bob                                 -> OK balance=1.00
      """)
  }

  @Test func `a reversal is a transfer, which is reversed once`() throws {
    try play(
      """
      deposit user:ana 10 as deposit
      transfer user:ana=-1 user:bob=1         -> ACCOUNT_NOT_FOUND
      open user:bob
      transfer user:ana=-1 user:bob=1 as moved
      reverse @moved as back
      reverse @back as forth
      balance user:bob                        -> OK balance=1.00
      reverse @back                           -> OVER_REFUND
      reverse @moved                          -> OVER_REFUND
      reverse @forth
      balance user:bob                        -> OK balance=0.00
      reverse @deposit
      balance user:ana                        -> OK balance=0.00
      """)
  }

  @Test func `a receipt of many postings is that of the first that debits`() throws {
    try play(
      """
      deposit user:ana 10
      deposit user:bob 20
      deposit user:bob 20 asset=EUR
      transfer platform=4 user:bob=-3 user:ana=-1                      -> OK amount=3.00 asset=USD balance=17.00
      transfer platform=5 user:bob=-2 user:bob=-3                      -> OK amount=2.00 balance=12.00
      transfer user:ana=1@EUR user:bob=-1@EUR user:bob=-1 platform=1   -> OK amount=1.00 asset=EUR balance=19.00
      transfer platform=0 user:bob=0                                   -> OK amount=0.00 balance=10.00
      deposit user:ana 1                                               -> OK amount=1.00 balance=10.00
      """)
  }

  @Test func `a transfer looks at the account that is named and at all above it`() throws {
    try play(
      """
      open org:p
      open org:p/k
      open org:p/k/l
      deposit org:p 10
      freeze org:p/k
      transfer org:p=-1 platform=1            -> OK
      transfer org:p/k=-1 platform=1          -> ACCOUNT_FROZEN
      transfer org:p/k/l=-1 platform=1        -> ACCOUNT_FROZEN
      withdraw org:p/k/l 1                    -> ACCOUNT_FROZEN
      withdraw org:p 1                        -> OK
      transfer platform=-1 org:p/k=1          -> OK
      """)
  }

  @Test func `a reversal is known after sealing and opening again`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 10
      open user:bob
      transfer user:ana=-4 user:bob=4 as first
      transfer user:ana=-1 user:bob=1 as second
      reverse @first idempotency_key=undo
      seal
      reopen
      reverse @first                                   -> OVER_REFUND
      reverse @first idempotency_key=undo              -> OK replayed=true
      reverse @second                                  -> OK
      """)
  }

  @Test func `only transfers are reversed`() throws {
    try play(
      """
      deposit user:ana 10 as deposit
      charge user:ana 1 as charge
      reverse @charge                                  -> TRANSFER_NOT_FOUND field=id
      reverse 999                                      -> TRANSFER_NOT_FOUND field=id
      reverse 0                                        -> TRANSFER_NOT_FOUND
      reverse -1                                       -> INVALID_ARGUMENT field=id
      reverse @deposit                                 -> OK
      balance user:ana                                 -> OK balance=-1.00
      """)
  }

  @Test func `texts of every operation have their limits`() throws {
    let ledger = try TestLedger()
    let engine = ledger.engine
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    let charge = try engine.call("charge.create", ["payer": "user:ana", "amount": "9"])
    let id = try #require(charge.object?["id"])
    let transfer = try engine.call(
      "transfer.create",
      ["postings": [["account": "user:ana", "amount": "-1"], ["account": "platform", "amount": "1"]]])
    let moved = try #require(transfer.object?["id"])
    let requests: [(String, JSONObject)] = [
      ("account.deposit", ["account": "user:ana", "amount": "1"]),
      ("account.withdraw", ["account": "user:ana", "amount": "1"]),
      (
        "transfer.create",
        ["postings": [["account": "user:ana", "amount": "-1"], ["account": "platform", "amount": "1"]]]
      ),
      ("charge.create", ["payer": "user:ana", "amount": "1"]),
      ("hold.reserve", ["payer": "user:ana", "amount": "1"]),
      ("charge.refund", ["id": id, "amount": "1"]),
      ("transfer.reverse", ["id": moved]),
    ]
    for (operation, fields) in requests {
      func result(_ field: String, _ value: JSON) -> Status {
        var input = fields
        input.append(field, value)
        return status { _ = try engine.call(operation, .object(input)) }
      }
      #expect(result("description", .string(String(repeating: "x", count: 501))) == .tooLong, "\(operation)")
      #expect(result("description", "a\u{0}b") == .invalidUTF8, "\(operation)")
      #expect(result("idempotency_key", .string(String(repeating: "x", count: 256))) == .tooLong, "\(operation)")
      guard operation != "charge.refund", operation != "transfer.reverse" else { continue }
      let metadata: JSON = ["x": .string(String(repeating: "x", count: 8_192))]
      #expect(result("metadata", metadata) == .tooLong, "\(operation)")
    }
  }
}
