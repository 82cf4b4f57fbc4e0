/// Every bound in one place; `farebox_describe()` publishes them.
///
/// A bound exists so that no input decides how much memory or time a call takes.
public enum Limits {
  /// Bytes of an account name, the whole path.
  public static let accountName = 255
  /// Segments of an account path: `org:acme/dept:research/agent:writer` has three.
  public static let accountDepth = 8
  /// Bytes of a tool or skill name.
  public static let toolName = 128
  /// Bytes of what names a tool: `skill@version#tool`, or `card/provider/model` of a rate card, which is the longest.
  public static let toolReference = toolName + 2 * rateName + 2
  /// Bytes of a rate's name, its provider or an alias.
  public static let rateName = 255
  /// Versions of a skill that are listed with it and with its tools, the newest.
  public static let listedVersions = 20
  /// Tools that are listed where a name fits several.
  public static let listedCandidates = 10
  /// Bytes of an asset code.
  public static let assetCode = 16
  /// Bytes of an idempotency key; Stripe's bound.
  public static let key = 255
  /// Bytes of a run or call id that is kept as it is; see `identifier`.
  public static let runID = 255
  /// Bytes of a run or call id; one that is longer than `runID` is kept as its SHA-256.
  public static let identifier = 65_536
  /// Bytes of the usage that one record gives.
  public static let usage = 4_096
  /// Tries of one metered call that fail, before it needs another id.
  public static let callAttempts = 1_000
  /// Bytes of a description.
  public static let description = 500
  /// Bytes of a metadata object, as JSON.
  public static let metadata = 8_192
  /// Bytes of the input of one JSON-door call.
  public static let jsonBytes = 16 << 20
  /// Nesting of JSON.
  public static let jsonDepth = 64
  /// Postings in one transfer.
  public static let postings = 1_000
  /// Lines of one capture.
  public static let captureLines = 32
  /// Recipients of one split.
  public static let recipients = 32
  /// Bytes of the URL where a payer can add credit; the sentence of a refusal has room for it.
  public static let paymentURL = 240
  /// Requests in one batch.
  public static let batch = 65_536
  /// Tiers in one price component.
  public static let tiers = 64
  /// Components in one price.
  public static let components = 32
  /// Budgets on one account.
  public static let budgets = 16
  /// Soft thresholds on one budget.
  public static let thresholds = 8
  /// Charges that a sliding hourly rate limit can count.
  public static let ratePerHour = 10_000
  /// Rows in one page of a listing.
  public static let page = 1_000
  /// Bytes of a webhook's body.
  public static let webhookBody = 4 << 20
  /// Secrets or signatures tried for one webhook.
  public static let webhookSecrets = 16
  /// Bytes of a signature header.
  public static let webhookSignature = 8_192
  /// Bytes of one webhook secret, as text.
  public static let webhookSecret = 512
  /// Bytes of a webhook's id.
  public static let webhookID = 255
  /// Bytes of the name of a sender of webhooks.
  public static let webhookSender = 255
  /// Milliseconds that a hold may stay open: a year.
  public static let holdMilliseconds: Int64 = 366 * 86_400_000
  /// Bytes of a key under which a skill keeps a value.
  public static let skillValueKey = 128
  /// Bytes of a value that a skill keeps.
  public static let skillValue = 4_096
  /// Keys of one skill.
  public static let skillValueKeys = 1_000
  /// Bytes of the sentence in which a plugin says why it failed.
  public static let pluginSentence = 1_024
  /// Bytes of one line of a plugin's log.
  public static let pluginLogLine = 4_096
  /// Lines of a plugin's log in one second.
  public static let pluginLogLines = 100
  /// Keys of its store that one call of a plugin sets.
  public static let pluginWrites = 16
  /// Open engines in one process.
  public static let engines = 1_024
  /// Bytes of a C function's signature.
  public static let signature = 2_048
  /// Parameters in a signature; a range of bytes is one.
  public static let signatureParameters = 16
  /// Bytes of a parameter's name.
  public static let parameterName = 64
  /// Metered functions in use in one process.
  public static let meteredFunctions = 4_096
  /// Metered functions that a process ever needs memory for, used again or not.
  public static let closures = 65_536
  /// Signatures whose call frames a process keeps.
  public static let callFrames = 1_024
}
