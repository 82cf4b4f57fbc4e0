public import FareboxCore

/// What a charge or a reservation asks for; texts are borrowed for the length of the call.
///
/// Either `tool` and its usage decide the amount, or `amount` and `asset` are given.
public struct ChargeRequest {
  public var payer = BorrowedText.empty
  public var tool = BorrowedText.empty
  /// Credited account of an explicit amount; empty is `platform`.
  public var payee = BorrowedText.empty
  /// Asset of an explicit amount; empty is the ledger's default.
  public var asset = BorrowedText.empty
  public var key = BorrowedText.empty
  public var run = BorrowedText.empty
  public var call = BorrowedText.empty
  public var description = BorrowedText.empty
  /// A JSON object.
  public var metadata = BorrowedText.empty
  /// Atomic units; nil with a tool, unless its price is dynamic.
  public var amount: Int64?
  /// Atomic units; nil is no maximum.
  public var maxCost: Int64?
  public var usage = Usage.oneRequest
  /// The asset in whose units the amounts are, where they were read from decimals; nil where units were given.
  var unitsAsset: UInt16?

  public init() {}
}

/// What a reservation adds to a charge.
public struct HoldTerms {
  public var expiresInMilliseconds: Int64 = HoldTerms.defaultMilliseconds
  public var overCapture: OverCapture = .reject

  /// A quarter of an hour.
  public static let defaultMilliseconds: Int64 = 900_000

  public init() {}
}

/// What a capture beyond its hold does; the numbers are those of the C header.
public enum OverCapture: UInt8, CaseIterable, Sendable {
  case reject = 0
  case cap = 1
  case overflow = 2

  public var name: String {
    switch self {
    case .reject: "reject"
    case .cap: "cap"
    case .overflow: "overflow"
    }
  }
}

/// What a capture asks for.
public struct CaptureRequest {
  public enum Amount {
    /// All that is left of the hold.
    case rest
    case units(Int64)
    /// The price of a usage, at the price of the reservation.
    case usage(Usage)
    /// The sum of lines, each at its own price.
    case lines([CaptureLine])
  }

  public var hold: UInt64 = 0
  public var amount: Amount = .rest
  /// Whether the rest of the hold returns to the payer.
  public var isFinal = true
  public var key = BorrowedText.empty
  public var description = BorrowedText.empty
  public var metadata = BorrowedText.empty

  public init() {}
}

/// Proof of a charge, hold, capture, release or refund.
public struct Receipt: Sendable {
  /// The transfer's number; 0 for a receipt that was never filled.
  public var id: UInt64 = 0
  public var hold: UInt64 = 0
  public var amount: Int64 = 0
  public var holdRemaining: Int64 = 0
  public var balance: Int64 = 0
  public var available: Int64 = 0
  public var time: Int64 = 0
  public var priceVersion: UInt64 = 0
  public var asset: UInt16 = 0
  /// Index of the tool + 1, or 0.
  var tool: UInt32 = 0
  /// The asset's code padded with zeros.
  public var assetCode = InlineArray<24, UInt8>(repeating: 0)
  public var isReplayed = false
  public var isUncommitted = false
  public var isFinal = false
  public var isCapped = false
  /// Whether a metered call was charged what was held, because its usage never came.
  public var isUnreported = false
  /// Whether nothing was charged: `amount` is back with the payer.
  public var isReleased = false
  /// The part of a metered call's price that its payer could not pay.
  public var shortfall: Int64 = 0
  /// Whether its record lists several lines.
  var hasLines = false

  public init() {}
}
