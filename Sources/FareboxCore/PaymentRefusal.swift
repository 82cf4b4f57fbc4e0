/// What a model or an end user may read about a payment that was refused.
///
/// The table below is the only place that decides which failures are refusals and what is said about each. A sentence
/// names the tool and what to do. It has no amounts, account names, run, call or hold ids: the payer may not be the
/// person who reads it. The message and details of a `Failure` have the facts for the operator.
public enum PaymentRefusal {
  /// Why a payment was refused. Raw values are public: they are the `cause` in the details of a failure.
  public enum Cause: String, CaseIterable, Sendable {
    /// Nothing is left, even after every hold is released.
    case empty
    /// Something is left, but not enough, even after every hold is released.
    case low
    /// The wallet covers it once the calls under way have finished.
    case held
    /// A budget is spent.
    case budget
    /// A budget covers it once the calls under way have finished.
    case budgetHeld = "budget_held"
    /// It is more than a whole budget.
    case budgetSize = "budget_size"
    case callCap = "call_cap"
    case runCap = "run_cap"
    case rate
    case unpriceable
    case maxCost = "max_cost"
    case noAccount = "no_account"
    case frozen
    case closed
    case toolDisabled = "tool_disabled"
    /// Any other status of the family `refused`.
    case other
  }

  /// What did not happen.
  public enum Act: Sendable {
    /// A call asked for its price before it ran.
    case run
    /// A charge or a capture.
    case pay
  }

  /// One row of the table.
  public struct Row: Sendable {
    public let cause: Cause
    /// Nil for `other`.
    public let status: Status?
    /// The input fields of which the failure must blame one; any where there is none.
    public let fields: [String]
    public let reason: String
    /// What to do, as the beginning of a sentence.
    public let advice: String
    /// Whether credit helps: then the advice is followed by ` at ` and the payment URL, where the engine has one.
    public let takesURL: Bool
    /// What follows the advice.
    public let ending: String

    init(
      _ cause: Cause, _ status: Status?, fields: [String] = [], _ reason: String, _ advice: String,
      takesURL: Bool = false, _ ending: String = "."
    ) {
      self.cause = cause
      self.status = status
      self.fields = fields
      self.reason = reason
      self.advice = advice
      self.takesURL = takesURL
      self.ending = ending
    }
  }

  private static let askForMore = "Ask the account's administrator to raise the limit"

  /// Every refusal. The first row of a status speaks where only the status is known, as in a batch.
  public static let table: [Row] = [
    Row(
      .low, .insufficientFunds, "the account does not have enough credit left", "Add credit", takesURL: true,
      ", then try again."),
    Row(
      .empty, .insufficientFunds, "the account has no credit left", "Add credit", takesURL: true, ", then try again."),
    Row(
      .held, .insufficientFunds, "the account's credit is held by calls that are still running",
      "Try again when they have finished, or add credit", takesURL: true),
    Row(.budget, .overBudget, "the account has reached its usage limit", askForMore),
    Row(
      .budgetHeld, .overBudget, "calls that are still running hold the rest of the account's usage limit",
      "Try again when they have finished"),
    Row(
      .budgetSize, .overBudget, "the price is above the account's usage limit", "Ask for less", ", or a higher limit."),
    Row(.callCap, .overCallCap, "the price is above the limit for one call", "Ask for less", ", or a higher limit."),
    Row(.runCap, .overRunCap, "this run has reached its spending limit", askForMore),
    Row(.rate, .rateLimited, "the account has made too many calls in the last hour", "Try again later"),
    Row(
      .unpriceable, .unpriceable, "the price does not cover this request", "Set a maximum cost for the call",
      ", then try again."),
    Row(
      .maxCost, .overMaxCost, "the price is above the maximum cost that was set", "Raise the maximum",
      ", or ask for less."),
    Row(
      .noAccount, .accountNotFound, fields: ["payer"], "there is no account to pay for it", "Open an account",
      takesURL: true, ", then try again."),
    Row(
      .frozen, .accountFrozen, fields: ["payer", "hold"], "the account is suspended",
      "Contact the account's administrator"),
    Row(
      .closed, .accountClosed, fields: ["payer", "hold"], "the account is closed", "Contact the account's administrator"
    ),
    Row(.toolDisabled, .toolDisabled, fields: ["tool"], "the tool is not available", "Use another tool"),
    Row(.other, nil, "the payment was refused", "Contact the account's administrator"),
  ]

  /// Why a failure is a refusal, or nil where it is none.
  static func cause(of status: Status, field: String) -> Cause? {
    for row in table where row.status == status && (row.fields.isEmpty || row.fields.contains(field)) {
      return row.cause
    }
    return status.entry?.family == .refused ? .other : nil
  }

  /// The sentence for a model or an end user.
  ///
  /// - Parameters:
  ///   - tool: as the caller named it, or "" where there is none.
  ///   - resets: when a spent budget resets, as text, or "" where it does not.
  ///   - paymentURL: where credit can be added, or "".
  public static func sentence(
    _ cause: Cause, _ act: Act, tool: String = "", resets: String = "", paymentURL: String = ""
  ) -> String {
    guard let row = table.first(where: { $0.cause == cause }) else { return "" }
    let subject =
      switch act {
      case .run: tool.isEmpty ? "The call was not run" : "The tool \(shown(tool)) was not run"
      case .pay: tool.isEmpty ? "The payment was not made" : "The tool \(shown(tool)) was not paid for"
      }
    if cause == .budget, !resets.isEmpty {
      return "\(subject): \(row.reason). The limit resets at \(resets); try again then."
    }
    let place = row.takesURL && !paymentURL.isEmpty ? " at \(paymentURL)" : ""
    return "\(subject): \(row.reason). \(row.advice)\(place)\(row.ending)"
  }

  /// A tool's name in at most 80 bytes, on one line; of `skill@version#tool` the tool.
  private static func shown(_ tool: String) -> String {
    var text = ""
    let name = tool.lastIndex(of: "#").map { tool[tool.index(after: $0)...] } ?? tool[...]
    for character in name {
      let isControl = character.unicodeScalars.contains { $0.properties.generalCategory == .control }
      guard !isControl, !character.isNewline else { continue }
      guard text.utf8.count + character.utf8.count <= 77 else { return text + "..." }
      text.append(character)
    }
    return text
  }

  /// Refuses a payment URL that would not fit into a sentence.
  public static func checkURL(_ url: String) throws(Failure) {
    guard url.utf8.count <= Limits.paymentURL else {
      throw Failure(.tooLong, field: "payment_url", "A payment URL has at most \(Limits.paymentURL) bytes.")
    }
    guard url.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.properties.generalCategory != .control }) else {
      throw Failure(
        .invalidArgument, field: "payment_url", "A payment URL has no spaces and no control characters; escape them.")
    }
  }
}

extension Failure {
  /// What is known of a refusal beyond its status; a class, so that a failure stays small.
  final class Notice: Sendable {
    let cause: PaymentRefusal.Cause
    /// When a spent budget resets, as text, or "".
    let resets: String
    /// Empty until the payment is known.
    let sentence: String

    init(_ cause: PaymentRefusal.Cause, resets: String, sentence: String = "") {
      self.cause = cause
      self.resets = resets
      self.sentence = sentence
    }
  }

  /// Why it is the refusal of a payment, or nil where it is another failure.
  public var refusal: PaymentRefusal.Cause? {
    notice?.cause ?? PaymentRefusal.cause(of: status, field: field)
  }

  /// A sentence for a model or an end user, or "" where it is not the refusal of a payment.
  public var userMessage: String {
    guard let cause = refusal else { return "" }
    if let notice, !notice.sentence.isEmpty { return notice.sentence }
    return PaymentRefusal.sentence(cause, .pay, resets: notice?.resets ?? "")
  }

  /// The failure with the sentence that fits what was asked for; unchanged where it has one or is no refusal.
  public func refusing(_ act: PaymentRefusal.Act, tool: String, paymentURL: String) -> Failure {
    guard let cause = refusal, notice?.sentence.isEmpty ?? true else { return self }
    let resets = notice?.resets ?? ""
    var facts = details.object ?? [:]
    facts.append("cause", .string(cause.rawValue))
    let takesURL = PaymentRefusal.table.contains { $0.cause == cause && $0.takesURL }
    if takesURL, !paymentURL.isEmpty { facts.append("payment_url", .string(paymentURL)) }
    let sentence = PaymentRefusal.sentence(cause, act, tool: tool, resets: resets, paymentURL: paymentURL)
    return Failure(
      status, field: field, message, details: .object(facts), notice: Notice(cause, resets: resets, sentence: sentence))
  }
}
