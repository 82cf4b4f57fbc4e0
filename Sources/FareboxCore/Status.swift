/// What became of a call: a stable number, shared by Swift, C, Python, Node and HTTP.
///
/// Numbers are never reused and never change meaning. The table below is the only home of a status: the C constants,
/// the Python exceptions and `docs/errors.md` are generated from it through `farebox_describe()`.
public struct Status: RawRepresentable, Hashable, Sendable {
  public let rawValue: Int32

  public init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// The kind of answer a caller can give to a status: a binding makes one exception class of each.
  public enum Family: String, Sendable, CaseIterable {
    case ok
    /// The request is wrong as it stands: change it.
    case request
    /// The handle is null, closed, foreign or belongs to another process.
    case handle
    /// The thing named does not exist, or is not in a state that allows this.
    case state
    /// An expected "no": money, a budget, a limit or an approval stood against it.
    case refused
    /// The hold is not in a state that allows this.
    case hold
    /// The idempotency key was used for another request.
    case conflict
    /// The webhook could not be trusted.
    case webhook
    /// The store could not do it.
    case store
    /// A fault of ours, or of the machine.
    case `internal`
    /// The plugin, or what it is allowed to do, stood against it.
    case plugin
  }
}

extension Status {
  public static let ok = Status(rawValue: 0)

  public static let invalidArgument = Status(rawValue: 100)
  public static let unknownField = Status(rawValue: 101)
  public static let missingField = Status(rawValue: 102)
  public static let tooLong = Status(rawValue: 103)
  public static let invalidUTF8 = Status(rawValue: 104)
  public static let invalidJSON = Status(rawValue: 105)
  public static let structSize = Status(rawValue: 106)
  public static let reserved = Status(rawValue: 107)
  public static let unknownOperation = Status(rawValue: 108)
  public static let overflow = Status(rawValue: 109)
  public static let invalidAmount = Status(rawValue: 110)
  public static let tooPrecise = Status(rawValue: 111)
  public static let unrepresentable = Status(rawValue: 112)

  public static let handle = Status(rawValue: 200)
  public static let closed = Status(rawValue: 201)
  public static let busy = Status(rawValue: 202)
  public static let forked = Status(rawValue: 203)
  public static let reentrant = Status(rawValue: 204)

  public static let accountNotFound = Status(rawValue: 300)
  public static let accountExists = Status(rawValue: 301)
  public static let accountFrozen = Status(rawValue: 302)
  public static let accountClosed = Status(rawValue: 303)
  public static let accountNotEmpty = Status(rawValue: 304)
  public static let assetNotFound = Status(rawValue: 310)
  public static let assetExists = Status(rawValue: 311)
  public static let assetMismatch = Status(rawValue: 312)
  public static let toolNotFound = Status(rawValue: 320)
  public static let toolDisabled = Status(rawValue: 321)
  public static let skillNotFound = Status(rawValue: 322)
  public static let skillExists = Status(rawValue: 323)
  public static let rateCardNotFound = Status(rawValue: 324)
  public static let toolAmbiguous = Status(rawValue: 325)
  public static let rateAmbiguous = Status(rawValue: 328)
  public static let transferNotFound = Status(rawValue: 330)
  public static let overRefund = Status(rawValue: 331)
  public static let budgetNotFound = Status(rawValue: 340)

  public static let insufficientFunds = Status(rawValue: 400)
  public static let overBudget = Status(rawValue: 401)
  public static let overCallCap = Status(rawValue: 402)
  public static let overRunCap = Status(rawValue: 403)
  public static let rateLimited = Status(rawValue: 404)
  public static let unpriceable = Status(rawValue: 405)
  public static let overMaxCost = Status(rawValue: 406)

  public static let holdNotFound = Status(rawValue: 500)
  public static let holdCaptured = Status(rawValue: 501)
  public static let holdReleased = Status(rawValue: 502)
  public static let holdExpired = Status(rawValue: 503)
  public static let overCapture = Status(rawValue: 504)

  public static let keyConflict = Status(rawValue: 600)

  public static let signatureMissing = Status(rawValue: 700)
  public static let signatureMalformed = Status(rawValue: 701)
  public static let signatureMismatch = Status(rawValue: 702)
  public static let timestampTooOld = Status(rawValue: 703)
  public static let timestampTooNew = Status(rawValue: 704)
  public static let webhookReplayed = Status(rawValue: 705)
  public static let secretInvalid = Status(rawValue: 706)

  public static let storeIO = Status(rawValue: 800)
  public static let storeBusy = Status(rawValue: 801)
  public static let storeFull = Status(rawValue: 802)
  public static let storeCorrupt = Status(rawValue: 803)
  public static let storeReadOnly = Status(rawValue: 804)
  public static let storeNewer = Status(rawValue: 805)
  public static let storeNotFound = Status(rawValue: 806)
  public static let ledgerInvalid = Status(rawValue: 807)
  public static let storeUnreachable = Status(rawValue: 808)
  public static let storeOutcomeUnknown = Status(rawValue: 809)
  public static let storeUntrusted = Status(rawValue: 810)
  public static let storeExists = Status(rawValue: 811)
  public static let storeUnfinished = Status(rawValue: 812)
  public static let storeAuthentication = Status(rawValue: 813)
  public static let storeDenied = Status(rawValue: 814)
  public static let clockAhead = Status(rawValue: 815)

  public static let `internal` = Status(rawValue: 900)
  public static let noMemory = Status(rawValue: 901)
  public static let unsupported = Status(rawValue: 902)

  public static let pluginsOff = Status(rawValue: 1000)
  public static let pluginPolicy = Status(rawValue: 1001)
  public static let pluginNotFound = Status(rawValue: 1002)
  public static let pluginManifest = Status(rawValue: 1003)
  public static let pluginUntrusted = Status(rawValue: 1004)
  public static let pluginABI = Status(rawValue: 1005)
  public static let pluginBroken = Status(rawValue: 1006)
  public static let pluginInactive = Status(rawValue: 1007)
  public static let pluginQuarantined = Status(rawValue: 1008)
  public static let pluginCrashed = Status(rawValue: 1020)
  public static let pluginDeadline = Status(rawValue: 1021)
  public static let pluginCancelled = Status(rawValue: 1022)
  public static let pluginOutputLimit = Status(rawValue: 1023)
  public static let pluginFailed = Status(rawValue: 1024)
  public static let pluginInput = Status(rawValue: 1025)
  public static let pluginOutput = Status(rawValue: 1026)
  public static let pluginUnavailable = Status(rawValue: 1027)
}

extension Status {
  /// One row of the table: what bindings, header and documentation say about a status.
  public struct Entry: Sendable {
    public let status: Status
    /// The name in every language: `INSUFFICIENT_FUNDS` is `FAREBOX_INSUFFICIENT_FUNDS` in C.
    public let name: String
    public let family: Family
    /// Whether the same request may succeed later, unchanged.
    public let retryable: Bool
    /// What it means and what to do, in one sentence.
    public let doc: String

    init(_ status: Status, _ name: String, _ family: Family, retryable: Bool = false, _ doc: String) {
      self.status = status
      self.name = name
      self.family = family
      self.retryable = retryable
      self.doc = doc
    }
  }

  /// Every status, in the order of its number.
  public static let table: [Entry] = [
    Entry(.ok, "OK", .ok, "It was done."),

    Entry(.invalidArgument, "INVALID_ARGUMENT", .request, "A field has a value that is not allowed; `field` names it."),
    Entry(.unknownField, "UNKNOWN_FIELD", .request, "The input has a field that the operation does not know."),
    Entry(.missingField, "MISSING_FIELD", .request, "A field that the operation needs is absent."),
    Entry(
      .tooLong, "TOO_LONG", .request, "A text, list or nesting passes its limit; see the limits in `farebox_describe`."),
    Entry(.invalidUTF8, "INVALID_UTF8", .request, "A text is not valid UTF-8."),
    Entry(.invalidJSON, "INVALID_JSON", .request, "The input is not JSON; the message names line and column."),
    Entry(.structSize, "STRUCT_SIZE", .request, "A struct's `struct_size` is not one that this library knows."),
    Entry(.reserved, "RESERVED", .request, "A reserved byte is not zero or a flag is unknown."),
    Entry(
      .unknownOperation, "UNKNOWN_OPERATION", .request, "No operation has this name; `farebox_describe` lists them."),
    Entry(.overflow, "OVERFLOW", .request, "The result does not fit into 64 bits of atomic units."),
    Entry(
      .invalidAmount, "INVALID_AMOUNT", .request,
      "An amount is not a decimal number, or has a sign that is not allowed."),
    Entry(
      .tooPrecise, "TOO_PRECISE", .request,
      "An amount has more digits than the asset's scale, or a rate more than twelve."),
    Entry(
      .unrepresentable, "UNREPRESENTABLE", .request,
      "A price says something that the price model cannot represent exactly."),

    Entry(.handle, "HANDLE", .handle, "The handle is null or is not one that this library gave out."),
    Entry(.closed, "CLOSED", .handle, "The engine was closed."),
    Entry(.busy, "BUSY", .handle, retryable: true, "Another call is using what this one needs alone."),
    Entry(.forked, "FORKED", .handle, "The engine was opened before a fork; open it again in the child."),
    Entry(.reentrant, "REENTRANT", .handle, "A callback called back into the engine that is calling it."),

    Entry(.accountNotFound, "ACCOUNT_NOT_FOUND", .state, "No account has this name; open it first."),
    Entry(.accountExists, "ACCOUNT_EXISTS", .state, "An account of this name is open with other terms."),
    Entry(.accountFrozen, "ACCOUNT_FROZEN", .state, "The account, or one above it, is frozen."),
    Entry(.accountClosed, "ACCOUNT_CLOSED", .state, "The account is closed."),
    Entry(
      .accountNotEmpty, "ACCOUNT_NOT_EMPTY", .state,
      "The account still has a balance, a hold or an open account below it."),
    Entry(.assetNotFound, "ASSET_NOT_FOUND", .state, "No asset has this code; open it first."),
    Entry(.assetExists, "ASSET_EXISTS", .state, "An asset of this code is open with another scale."),
    Entry(.assetMismatch, "ASSET_MISMATCH", .state, "The amount is in another asset than the one required."),
    Entry(.toolNotFound, "TOOL_NOT_FOUND", .state, "No tool has this name."),
    Entry(
      .toolDisabled, "TOOL_DISABLED", .state,
      "The tool or its skill is disabled, or the current version of the skill no longer offers it."),
    Entry(.skillNotFound, "SKILL_NOT_FOUND", .state, "No skill has this id."),
    Entry(
      .skillExists, "SKILL_EXISTS", .state,
      "This version of the skill is registered with another manifest; give the changed manifest another version."),
    Entry(
      .rateCardNotFound, "RATE_CARD_NOT_FOUND", .state, "No rate card, or no rate on it, has this name at this time."),
    Entry(
      .toolAmbiguous, "TOOL_AMBIGUOUS", .state,
      "Several skills offer a tool of this name; the details list them. Write `skill#tool`."),
    Entry(
      .rateAmbiguous, "RATE_AMBIGUOUS", .state, "Several providers on the rate card offer this name; name one of them."),
    Entry(
      .transferNotFound, "TRANSFER_NOT_FOUND", .state, "No transfer has this id, or it is not of the kind required."),
    Entry(.overRefund, "OVER_REFUND", .state, "The refund is more than what is left of the charge."),
    Entry(.budgetNotFound, "BUDGET_NOT_FOUND", .state, "The account has no budget of this name."),

    Entry(
      .insufficientFunds, "INSUFFICIENT_FUNDS", .refused, retryable: true,
      "The wallet's available balance and credit line do not cover it."),
    Entry(
      .overBudget, "OVER_BUDGET", .refused, retryable: true,
      "A budget on the account's path would be passed; the details name it."),
    Entry(.overCallCap, "OVER_CALL_CAP", .refused, "One call may not cost this much on this account."),
    Entry(.overRunCap, "OVER_RUN_CAP", .refused, "One run may not cost this much on this account."),
    Entry(
      .rateLimited, "RATE_LIMITED", .refused, retryable: true, "Too many charges in the last hour on this account."),
    Entry(
      .unpriceable, "UNPRICEABLE", .refused,
      "The usage has a part that the price does not cover, and no max_cost was given."),
    Entry(.overMaxCost, "OVER_MAX_COST", .refused, "The price of this usage is more than the caller's max_cost."),

    Entry(.holdNotFound, "HOLD_NOT_FOUND", .hold, "No hold has this id."),
    Entry(.holdCaptured, "HOLD_CAPTURED", .hold, "The hold was captured and closed."),
    Entry(.holdReleased, "HOLD_RELEASED", .hold, "The hold was released."),
    Entry(.holdExpired, "HOLD_EXPIRED", .hold, "The hold expired and its money is back with the payer."),
    Entry(
      .overCapture, "OVER_CAPTURE", .hold,
      "The capture is more than what is left of the hold, and the hold's policy is to reject that."),

    Entry(
      .keyConflict, "KEY_CONFLICT", .conflict,
      "The idempotency key was used for another request; `field` names the first difference."),

    Entry(.signatureMissing, "SIGNATURE_MISSING", .webhook, "The webhook has no signature of the scheme expected."),
    Entry(
      .signatureMalformed, "SIGNATURE_MALFORMED", .webhook,
      "The webhook's signature header, id or timestamp cannot be read."),
    Entry(
      .signatureMismatch, "SIGNATURE_MISMATCH", .webhook, "No signature of the webhook matches any of the secrets."),
    Entry(.timestampTooOld, "TIMESTAMP_TOO_OLD", .webhook, "The webhook was signed longer ago than the tolerance."),
    Entry(
      .timestampTooNew, "TIMESTAMP_TOO_NEW", .webhook,
      "The webhook was signed further in the future than the tolerance."),
    Entry(.webhookReplayed, "WEBHOOK_REPLAYED", .webhook, "The ledger has seen this webhook before."),
    Entry(
      .secretInvalid, "SECRET_INVALID", .webhook, "A webhook secret is empty or not of the form its scheme requires."),

    Entry(.storeIO, "STORE_IO", .store, retryable: true, "The store could not read or write; nothing was changed."),
    Entry(
      .storeBusy, "STORE_BUSY", .store, retryable: true,
      "Another process held the store for longer than the busy timeout."),
    Entry(.storeFull, "STORE_FULL", .store, "The store has no room left; nothing was changed. Free some space."),
    Entry(.storeCorrupt, "STORE_CORRUPT", .store, "The store's content is not what was written; restore a backup."),
    Entry(.storeReadOnly, "STORE_READ_ONLY", .store, "The store may only be read."),
    Entry(.storeNewer, "STORE_NEWER", .store, "The store was written by a newer version of Farebox."),
    Entry(.storeNotFound, "STORE_NOT_FOUND", .store, "There is no store at this address."),
    Entry(.ledgerInvalid, "LEDGER_INVALID", .store, "The ledger does not verify; the details say where."),
    Entry(
      .storeUnreachable, "STORE_UNREACHABLE", .store, retryable: true,
      "The store's server cannot be reached, or the connection to it was lost; nothing was changed."),
    Entry(
      .storeOutcomeUnknown, "STORE_OUTCOME_UNKNOWN", .store, retryable: true,
      "The connection was lost while committing and did not come back in time: all of it has happened or nothing; "
        + "repeat it with the same idempotency key."),
    Entry(
      .storeUntrusted, "STORE_UNTRUSTED", .store,
      "The store broke a promise, by a failed flush or a lost record; look at it, then close the engine and open it again."
    ),
    Entry(.storeExists, "STORE_EXISTS", .store, "There is something where a copy was to be made; nothing was changed."),
    Entry(
      .storeUnfinished, "STORE_UNFINISHED", .store, "A copy into this store was not finished; make the copy again."),
    Entry(
      .storeAuthentication, "STORE_AUTHENTICATION", .store,
      "The server refused the user or the password; correct the address or the server's settings."),
    Entry(
      .storeDenied, "STORE_DENIED", .store,
      "The process or the role has no permission to use the store; the message names the file, schema or database."),
    Entry(
      .clockAhead, "CLOCK_AHEAD", .store, retryable: true,
      "The clock is further ahead than it can be right; nothing was changed. Set the clock and repeat the call."),

    Entry(.internal, "INTERNAL", .internal, "A fault of the library's own; the message helps its developers."),
    Entry(.noMemory, "NO_MEMORY", .internal, retryable: true, "The process has no memory left."),
    Entry(.unsupported, "UNSUPPORTED", .internal, "This build or this store does not have the feature."),

    Entry(
      .pluginsOff, "PLUGINS_OFF", .plugin,
      "This process loads no plugins; `farebox_set_plugin_policy` switches that on."),
    Entry(
      .pluginPolicy, "PLUGIN_POLICY", .plugin,
      "The policy of this process does not allow it, or would be loosened; `field` names the member."),
    Entry(.pluginNotFound, "PLUGIN_NOT_FOUND", .plugin, "No plugin has this id, or no manifest is at this path."),
    Entry(
      .pluginManifest, "PLUGIN_MANIFEST", .plugin,
      "The manifest is not valid; `field` names the member and the message its line."),
    Entry(
      .pluginUntrusted, "PLUGIN_UNTRUSTED", .plugin,
      "A hash, signature, owner, mode, revocation or the lock file stood against it; the message says which."),
    Entry(
      .pluginABI, "PLUGIN_ABI", .plugin, "Plugin and host have no version of `farebox_plugin.h` in common."),
    Entry(
      .pluginBroken, "PLUGIN_BROKEN", .plugin,
      "What the plugin exports or does is not what its manifest says, or it could not be started."),
    Entry(.pluginInactive, "PLUGIN_INACTIVE", .plugin, "The plugin is not active; the message says why."),
    Entry(
      .pluginQuarantined, "PLUGIN_QUARANTINED", .plugin,
      "The plugin crashed while it was looked at, and is left alone until its file changes."),
    Entry(
      .pluginCrashed, "PLUGIN_CRASHED", .plugin, retryable: true,
      "The plugin's process ended in the middle of the call; nothing was charged."),
    Entry(
      .pluginDeadline, "PLUGIN_DEADLINE", .plugin, retryable: true,
      "The call passed its deadline and was ended; nothing was charged."),
    Entry(.pluginCancelled, "PLUGIN_CANCELLED", .plugin, "The call was cancelled; nothing was charged."),
    Entry(
      .pluginOutputLimit, "PLUGIN_OUTPUT_LIMIT", .plugin, "The call wrote more than it may; nothing was charged."),
    Entry(
      .pluginFailed, "PLUGIN_FAILED", .plugin,
      "The plugin says that the call failed, and the message is its own; nothing was charged."),
    Entry(
      .pluginInput, "PLUGIN_INPUT", .plugin,
      "The input is not what the tool takes; `field` names the member. Nothing was charged."),
    Entry(
      .pluginOutput, "PLUGIN_OUTPUT", .plugin,
      "The plugin gave something else than its manifest says; nothing was charged."),
    Entry(
      .pluginUnavailable, "PLUGIN_UNAVAILABLE", .plugin, retryable: true,
      "The plugin is busy, is being restarted, or says that it cannot now; nothing was charged."),
  ]

  private static let entries = Dictionary(uniqueKeysWithValues: table.map { ($0.status.rawValue, $0) })

  /// The name of this status, or `UNKNOWN` for a number that is not in the table.
  public var name: String {
    entry?.name ?? "UNKNOWN"
  }

  /// The row of this status, or nil for a number that is not in the table.
  public var entry: Entry? {
    Status.entries[rawValue]
  }
}
