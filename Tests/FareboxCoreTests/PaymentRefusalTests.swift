import Testing

@testable import FareboxCore

/// The sentences that models and end users read.
@Suite struct PaymentRefusalTests {
  @Test func `every cause has one row, and every status that refuses has one`() {
    #expect(PaymentRefusal.table.map(\.cause).count == PaymentRefusal.Cause.allCases.count)
    #expect(Set(PaymentRefusal.table.map(\.cause)) == Set(PaymentRefusal.Cause.allCases))
    for entry in Status.table where entry.family == .refused {
      #expect(PaymentRefusal.table.contains { $0.status == entry.status && $0.fields.isEmpty }, "\(entry.name)")
    }
  }

  @Test(arguments: PaymentRefusal.Cause.allCases)
  func `a sentence says what did not happen and what to do`(_ cause: PaymentRefusal.Cause) throws {
    let row = try #require(PaymentRefusal.table.first { $0.cause == cause })
    for (act, tool, beginning) in [
      (PaymentRefusal.Act.run, "search", "The tool search was not run: "), (.run, "", "The call was not run: "),
      (.pay, "search", "The tool search was not paid for: "), (.pay, "", "The payment was not made: "),
    ] {
      let sentence = PaymentRefusal.sentence(cause, act, tool: tool)
      #expect(sentence == "\(beginning)\(row.reason). \(row.advice)\(row.ending)")
      #expect(sentence.last == "." && !sentence.contains("..") && !sentence.contains("http"))
    }
    let url = "https://pay.example/credit?plan=a"
    #expect(PaymentRefusal.sentence(cause, .run, tool: "search", paymentURL: url).contains(url) == row.takesURL)
  }

  @Test func `the longest sentence fits into the field of C`() {
    let tool = String(repeating: "ä", count: 200)
    let url = "https://" + String(repeating: "p", count: Limits.paymentURL - 8)
    for row in PaymentRefusal.table {
      for act in [PaymentRefusal.Act.run, .pay] {
        let sentence = PaymentRefusal.sentence(
          row.cause, act, tool: tool, resets: "2026-12-02 00:00 UTC", paymentURL: url)
        #expect(sentence.utf8.count < 512 && sentence.contains("ä... was not"))
      }
    }
  }

  @Test func `a tool is named without its skill and version`() {
    let sentence = PaymentRefusal.sentence(.empty, .run, tool: "app.search@0.0.0+0123456789abcdef#search")
    #expect(sentence.hasPrefix("The tool search was not run"))
  }

  @Test func `a tool's name is on one line`() {
    let sentence = PaymentRefusal.sentence(.empty, .run, tool: "a\r\nb\u{0}c\u{2028}d")
    #expect(sentence.hasPrefix("The tool abcd was not run"))
  }

  @Test(arguments: [
    ("https://example.com/a?b=c#d", true), ("", true), ("app://credit", true), ("https://例え.jp/", true),
    ("https://example.com/a b", false), ("https://example.com/\n", false), ("a\u{0}b", false), ("a\u{7f}", false),
    (String(repeating: "a", count: Limits.paymentURL + 1), false),
  ])
  func `a payment URL is short and has no spaces`(_ url: String, _ isAllowed: Bool) {
    var failure: Failure?
    do throws(Failure) { try PaymentRefusal.checkURL(url) } catch { failure = error }
    #expect((failure == nil) == isAllowed)
    #expect(failure == nil || failure?.field == "payment_url")
  }

  @Test func `what is no refusal has no sentence`() {
    for failure in [
      Failure(.accountNotFound, field: "payee", "No."), Failure(.accountNotFound, field: "account", "No."),
      Failure(.accountClosed, field: "payee", "No."), Failure(.toolNotFound, field: "tool", "No."),
      Failure(.keyConflict, field: "amount", "No."), Failure(.storeIO, "No."),
    ] {
      #expect(failure.refusal == nil && failure.userMessage.isEmpty)
      #expect(failure.refusing(.run, tool: "search", paymentURL: "https://x.example").details.isNull)
    }
    #expect(Failure(.accountNotFound, field: "payer", "No.").refusal == .noAccount)
  }

  @Test func `the first sentence stays`() {
    let failure = Failure(.rateLimited, "No.").refusing(.run, tool: "search", paymentURL: "")
    #expect(failure.refusing(.pay, tool: "", paymentURL: "").userMessage == failure.userMessage)
  }
}
