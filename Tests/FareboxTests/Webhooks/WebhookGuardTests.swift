import FareboxCore
import Testing

@testable import Farebox

/// The replay guard: one for each sender.
@Suite struct WebhookGuardTests {
  private static func status(
    _ engine: Engine, _ id: String, secrets: [String] = [], sender: String? = nil,
    scheme: WebhookScheme = .standard
  ) throws -> Status {
    let of = try WebhookSender(name: sender, secrets: secrets)
    do throws(Failure) {
      try id.withBorrowedText { id throws(Failure) in try engine.guardAgainstReplay(scheme, id: id, of: of) }
      return .ok
    } catch {
      return error.status
    }
  }

  @Test func `two senders may use one id, and each only once`() throws {
    let ledger = try TestLedger(inFile: true)
    func check(_ secrets: [String], _ sender: String?, _ expected: Status, line: Int = #line) throws {
      let found = try WebhookGuardTests.status(ledger.engine, "msg_1", secrets: secrets, sender: sender)
      #expect(found == expected, "line \(line)")
    }
    try check(["whsec_YQ=="], nil, .ok)
    try check(["whsec_Yg=="], nil, .ok)
    try check(["whsec_YQ=="], nil, .webhookReplayed)
    try check(["YQ=="], nil, .webhookReplayed)
    try check(["whsec_YQ=="], "clerk", .ok)
    try check(["whsec_YQ=="], "resend", .ok)
    try check(["whsec_Yw=="], "clerk", .webhookReplayed)
    for _ in 0..<2 {
      try ledger.engine.sealNow()
      try ledger.reopen()
      try check(["whsec_YQ=="], nil, .webhookReplayed)
      try check(["whsec_Yw=="], "clerk", .webhookReplayed)
      try check([], "resend", .webhookReplayed)
    }
    try check(["whsec_Yw=="], nil, .ok)
    try ledger.engine.expectSound()
  }

  @Test func `the old and the new secret of an endpoint share a guard`() throws {
    let ledger = try TestLedger()
    let (old, new) = ("whsec_b2xk", "whsec_bmV3")
    func check(_ id: String, _ secrets: [String], _ expected: Status, line: Int = #line) throws {
      #expect(try WebhookGuardTests.status(ledger.engine, id, secrets: secrets) == expected, "line \(line)")
    }
    try check("before", [old], .ok)
    try check("before", [new, old], .webhookReplayed)
    try check("during", [old, new], .ok)
    try check("during", [new], .webhookReplayed)
    try check("during", [old], .webhookReplayed)
    try check("after", [new], .ok)
    try check("after", [new, old, new], .webhookReplayed)
  }

  @Test func `what was seen before senders were told apart stays seen`() throws {
    let ledger = try TestLedger(inFile: true)
    try "evt_1".withBorrowedText { id throws(Failure) in try ledger.engine.guardAgainstReplay(.stripe, id: id) }
    try ledger.reopen()
    #expect(try WebhookGuardTests.status(ledger.engine, "evt_1", secrets: ["a"], scheme: .stripe) == .webhookReplayed)
    #expect(try WebhookGuardTests.status(ledger.engine, "evt_1", sender: "b", scheme: .stripe) == .webhookReplayed)
    #expect(try WebhookGuardTests.status(ledger.engine, "evt_1", secrets: ["a"], scheme: .standard) == .ok)
    #expect(try WebhookGuardTests.status(ledger.engine, "evt_2", secrets: ["a"], scheme: .stripe) == .ok)
  }

  @Test func `the JSON door takes a sender`() throws {
    let ledger = try TestLedger()
    let body = Array("{}".utf8)
    func verify(_ secret: String, _ sender: String?) throws(Failure) {
      let signature = try signWebhook(scheme: .robutler, body: body.span, secret: secret)
      var input: [(String, JSON)] = [
        ("scheme", "robutler"), ("body", "{}"), ("signature", .string(signature)), ("id", "e"), ("guard", true),
        ("secrets", [.string(secret)]),
      ]
      if let sender { input.append(("sender", .string(sender))) }
      _ = try ledger.engine.call("webhook.verify", .object(JSONObject(input)))
    }
    try verify("one", nil)
    try verify("two", nil)
    try verify("one", "a")
    #expect(failure { try verify("one", nil) } == .webhookReplayed)
    #expect(failure { try verify("two", "a") } == .webhookReplayed)
    #expect(failure { try verify("one", String(repeating: "x", count: 256)) } == .tooLong)
  }

  private func failure(_ work: () throws -> Void) -> Status? {
    do {
      try work()
      return nil
    } catch {
      return (error as? Failure)?.status
    }
  }
}
