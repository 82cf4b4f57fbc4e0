import FareboxCore
import Testing

@testable import Farebox

/// What a refusal says to the model or end user, beside the operator's facts.
@Suite struct RefusalTests {
  struct Case: Sendable, CustomStringConvertible {
    let cause: PaymentRefusal.Cause
    /// What happens before.
    let beginning: String
    /// What is refused.
    let line: String
    let status: Status
    let sentence: String

    var description: String { line }
  }

  private static let url = "https://pay.example/credit"

  private static let skill = """
    skill {"id":"s","version":"1.0.0","owner":"agent:author","tools":[\
    {"name":"search","pricing":{"cost":"2.345"}},{"name":"tokens","pricing":{"cost":"0.001","per":"token"}}]}
    """

  private static let people = """
    open org:acme
    open org:acme/user:ana wallet=parent
    deposit org:acme 6.789
    """

  static let cases: [Case] = [
    Case(
      cause: .low, beginning: "", line: "reserve_call org:acme/user:ana tokens usage={\"input_tokens\":7000}",
      status: .insufficientFunds,
      sentence: "The tool tokens was not run: the account does not have enough credit left. "
        + "Add credit at \(url), then try again."),
    Case(
      cause: .low, beginning: "reserve org:acme/user:ana 1", line: "reserve org:acme/user:ana 6.7891",
      status: .insufficientFunds,
      sentence: "The call was not run: the account does not have enough credit left. "
        + "Add credit at \(url), then try again."),
    Case(
      cause: .empty, beginning: "charge org:acme/user:ana 6.789", line: "call org:acme/user:ana search",
      status: .insufficientFunds,
      sentence:
        "The tool search was not paid for: the account has no credit left. Add credit at \(url), then try again."),
    Case(
      cause: .empty, beginning: "withdraw org:acme 6.789", line: "reserve_call org:acme/user:ana search",
      status: .insufficientFunds,
      sentence: "The tool search was not run: the account has no credit left. Add credit at \(url), then try again."),
    Case(
      cause: .held, beginning: "reserve org:acme/user:ana 6", line: "reserve_call org:acme/user:ana search",
      status: .insufficientFunds,
      sentence: "The tool search was not run: the account's credit is held by calls that are still running. "
        + "Try again when they have finished, or add credit at \(url)."),
    Case(
      cause: .budget, beginning: "budget org:acme day 3\ncharge org:acme/user:ana 1.5",
      line: "reserve_call org:acme/user:ana search", status: .overBudget,
      sentence: "The tool search was not run: the account has reached its usage limit. "
        + "The limit resets at 2026-01-15 00:00 UTC; try again then."),
    Case(
      cause: .budget, beginning: "budget org:acme lifetime 3\ncharge org:acme/user:ana 1.5",
      line: "reserve_call org:acme/user:ana search", status: .overBudget,
      sentence: "The tool search was not run: the account has reached its usage limit. "
        + "Ask the account's administrator to raise the limit."),
    Case(
      cause: .budget, beginning: "count org:acme hour 1\ncharge org:acme/user:ana 0.5",
      line: "charge org:acme/user:ana 0.5", status: .overBudget,
      sentence: "The payment was not made: the account has reached its usage limit. "
        + "The limit resets at 2026-01-14 13:00 UTC; try again then."),
    Case(
      cause: .budgetHeld, beginning: "budget org:acme day 3\nreserve org:acme/user:ana 1.5",
      line: "reserve_call org:acme/user:ana search", status: .overBudget,
      sentence: "The tool search was not run: calls that are still running hold the rest of the account's usage limit. "
        + "Try again when they have finished."),
    Case(
      cause: .budgetSize, beginning: "budget org:acme day 2", line: "reserve_call org:acme/user:ana search",
      status: .overBudget,
      sentence: "The tool search was not run: the price is above the account's usage limit. "
        + "Ask for less, or a higher limit."),
    Case(
      cause: .callCap, beginning: "limits org:acme per_call=2", line: "reserve_call org:acme/user:ana search",
      status: .overCallCap,
      sentence:
        "The tool search was not run: the price is above the limit for one call. Ask for less, or a higher limit."),
    Case(
      cause: .runCap, beginning: "limits org:acme per_run=3\ncall org:acme/user:ana search run=run-77",
      line: "reserve_call org:acme/user:ana search run=run-77 call=call-88", status: .overRunCap,
      sentence: "The tool search was not run: this run has reached its spending limit. "
        + "Ask the account's administrator to raise the limit."),
    Case(
      cause: .rate, beginning: "limits org:acme charges_per_hour=1\ncharge org:acme/user:ana 0.001",
      line: "reserve_call org:acme/user:ana search", status: .rateLimited,
      sentence: "The tool search was not run: the account has made too many calls in the last hour. Try again later."),
    Case(
      cause: .unpriceable, beginning: "", line: "reserve_call org:acme/user:ana search usage={\"images\":3}",
      status: .unpriceable,
      sentence: "The tool search was not run: the price does not cover this request. "
        + "Set a maximum cost for the call, then try again."),
    Case(
      cause: .maxCost, beginning: "", line: "call org:acme/user:ana search max_cost=1.5", status: .overMaxCost,
      sentence: "The tool search was not paid for: the price is above the maximum cost that was set. "
        + "Raise the maximum, or ask for less."),
    Case(
      cause: .noAccount, beginning: "", line: "reserve_call user:nobody search", status: .accountNotFound,
      sentence:
        "The tool search was not run: there is no account to pay for it. Open an account at \(url), then try again."),
    Case(
      cause: .frozen, beginning: "freeze org:acme", line: "reserve_call org:acme/user:ana search",
      status: .accountFrozen,
      sentence: "The tool search was not run: the account is suspended. Contact the account's administrator."),
    Case(
      cause: .closed, beginning: "close org:acme/user:ana", line: "reserve_call org:acme/user:ana search",
      status: .accountClosed,
      sentence: "The tool search was not run: the account is closed. Contact the account's administrator."),
  ]

  private func refusal(_ test: Case, on ledger: TestLedger) throws -> Failure {
    var script = Script(ledger)
    try script.play(RefusalTests.skill)
    try script.play(RefusalTests.people)
    try script.play(test.beginning)
    do throws(Failure) {
      _ = try script.attempt(test.line)
    } catch {
      return error
    }
    throw Failure(.internal, "'\(test.line)' was not refused.")
  }

  @Test(arguments: cases)
  func `a refusal has a sentence without amounts, names and ids`(_ test: Case) throws {
    let ledger = try TestLedger { $0.paymentURL = RefusalTests.url }
    let failure = try refusal(test, on: ledger)
    #expect(failure.status == test.status && failure.refusal == test.cause)
    #expect(failure.userMessage == test.sentence)
    #expect(failure.details.object?["cause"]?.string == test.cause.rawValue)
    #expect(
      failure.details.object?["payment_url"]?.string
        == (test.sentence.contains(RefusalTests.url) ? RefusalTests.url : nil))
    for secret in ["acme", "ana", "nobody", "run-77", "call-88", "6.78", "6789", "2.345", "USD", "0.7"] {
      #expect(!failure.userMessage.contains(secret), "\(secret)")
    }
  }

  @Test func `every cause that a ledger can have is in the table`() {
    let others: Set<PaymentRefusal.Cause> = [.toolDisabled, .other]
    #expect(Set(RefusalTests.cases.map(\.cause)).union(others) == Set(PaymentRefusal.Cause.allCases))
  }

  @Test(arguments: ["tool.disable tool=search", "tool.disable tool=search account=org:acme"])
  func `a tool that is switched off refuses`(_ line: String) throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(RefusalTests.skill)
    try script.play(RefusalTests.people)
    try script.play(line)
    var failure: Failure?
    do throws(Failure) { _ = try script.attempt("reserve_call org:acme/user:ana search") } catch { failure = error }
    #expect(failure?.refusal == .toolDisabled)
    #expect(
      failure?.userMessage == "The tool search was not run: the tool is not available. Use another tool.")
  }

  @Test(arguments: [
    (
      "", PaymentRefusal.Cause.low, "the account does not have enough credit left. Add credit, then try again."
    ),
    (
      "budget org:acme day 5", .budget,
      "the account has reached its usage limit. The limit resets at 2026-01-15 00:00 UTC; try again then."
    ),
  ])
  func `a capture beyond its hold speaks of the hold's tool`(
    _ limit: String, _ cause: PaymentRefusal.Cause, _ rest: String
  ) throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(RefusalTests.skill)
    try script.play(RefusalTests.people)
    try script.play(limit)
    try script.play("reserve_call org:acme/user:ana search over_capture=overflow as one")
    var failure: Failure?
    do throws(Failure) { _ = try script.attempt("capture @one 7") } catch { failure = error }
    // What the hold itself holds does not come back for it.
    #expect(failure?.refusal == cause)
    #expect(failure?.userMessage == "The tool search was not paid for: \(rest)")
    try script.play("freeze org:acme")
    do throws(Failure) { _ = try script.attempt("capture @one 3") } catch { failure = error }
    #expect(failure?.refusal == .frozen)
  }

  @Test func `each refused charge of a batch has its sentence`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play(RefusalTests.skill)
    try script.play(RefusalTests.people)
    let answer = try ledger.engine.call(
      "charge.create_many",
      [
        "charges": [
          ["payer": "user:nobody", "tool": "search"], ["payer": "org:acme", "amount": "7"],
          ["payer": "org:acme", "amount": "1", "payee": "user:nobody"],
        ]
      ])
    let errors = answer.object?["receipts"]?.array?.map { $0.object?["error"]?.object?["user_message"]?.string }
    #expect(
      errors == [
        "The tool search was not paid for: there is no account to pay for it. Open an account, then try again.",
        "The payment was not made: the account does not have enough credit left. Add credit, then try again.", nil,
      ])
  }

  @Test func `the calls of Swift say the same as the JSON door`() throws {
    let ledger = try TestLedger { $0.paymentURL = RefusalTests.url }
    var script = Script(ledger)
    try script.play(RefusalTests.skill)
    func sentence(_ work: (ChargeRequest) throws(Failure) -> Receipt) -> String {
      "user:nobody".withBorrowedText { payer in
        "search".withBorrowedText { tool in
          var request = ChargeRequest()
          request.payer = payer
          request.tool = tool
          do throws(Failure) {
            _ = try work(request)
            return ""
          } catch {
            return error.userMessage
          }
        }
      }
    }
    let rest = "there is no account to pay for it. Open an account at \(RefusalTests.url), then try again."
    #expect(
      sentence { request throws(Failure) in try ledger.engine.charge(request) }
        == "The tool search was not paid for: \(rest)")
    #expect(
      sentence { request throws(Failure) in try ledger.engine.reserve(request) }
        == "The tool search was not run: \(rest)")
  }

  @Test func `a metered call that cannot begin was not run`() throws {
    let ledger = try TestLedger { $0.paymentURL = RefusalTests.url }
    var script = Script(ledger)
    try script.play(RefusalTests.skill)
    let rest = "there is no account to pay for it. Open an account at \(RefusalTests.url), then try again."
    var failure: Failure?
    do throws(Failure) { _ = try script.attempt("call.begin payer=user:nobody tool=search") } catch { failure = error }
    #expect(failure?.userMessage == "The tool search was not run: \(rest)")
    failure = nil
    "user:nobody".withBorrowedText { payer in
      "search".withBorrowedText { tool in
        var request = BeginRequest()
        request.payer = payer
        request.tool = tool
        do throws(Failure) { _ = try ledger.engine.begin(request) } catch { failure = error }
      }
    }
    #expect(failure?.userMessage == "The tool search was not run: \(rest)")
  }

  @Test func `an engine with a payment URL that no sentence can have is not opened`() {
    var options = EngineOptions()
    options.paymentURL = "https://pay.example/a b"
    #expect(throws: Failure.self) { try Engine(url: "memory:", options: options) }
  }
}
