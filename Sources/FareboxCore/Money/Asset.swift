/// A currency or credit unit and how finely the ledger counts it.
///
/// An atomic unit is about a nano-dollar in every asset, so that an Int64 holds some nine billion dollars in any of
/// them, and always at least two digits finer than ISO 4217. Two assets are the same only when all of this is.
public struct Asset: Hashable, Sendable {
  /// The code, such as `USD`, `CREDITS` or `ACME:GOLD`.
  public let code: String
  /// The digits after the point that the ledger keeps: an atomic unit is 10^-scale of the major unit.
  public let scale: UInt8
  /// The digits after the point on invoices and rails; for a currency, those of ISO 4217.
  public let minorDigits: UInt8
  /// The name for people.
  public let name: String

  /// The largest scale: 10^-18 of a unit, of which an Int64 holds nine.
  public static let highestScale: UInt8 = 18

  /// Credits, the built-in unit that is no currency.
  public static let credits = Asset(trusted: "CREDITS", scale: 7, minorDigits: 2, "Credits")

  /// An asset of one's own.
  /// - Throws: `invalidArgument` for a malformed code or scales out of order, `tooLong` for the code.
  public init(code: String, scale: UInt8, minorDigits: UInt8, name: String = "") throws(Failure) {
    try Asset.validate(code: code, field: "code")
    guard scale <= Asset.highestScale else {
      throw Failure(.invalidArgument, field: "scale", "must be at most \(Asset.highestScale)")
    }
    guard minorDigits <= scale else {
      throw Failure(.invalidArgument, field: "minor_digits", "must be at most the scale")
    }
    self.init(trusted: code, scale: scale, minorDigits: minorDigits, name.isEmpty ? code : name)
  }

  init(trusted code: String, scale: UInt8, minorDigits: UInt8, _ name: String) {
    self.code = code
    self.scale = scale
    self.minorDigits = minorDigits
    self.name = name
  }

  /// Checks that a code is a capital letter followed by capital letters, digits, `:`, `_` or `-`.
  /// - Throws: `invalidArgument`, or `tooLong` beyond `Limits.assetCode`.
  public static func validate(code: String, field: String) throws(Failure) {
    guard code.utf8.count <= Limits.assetCode else {
      throw Failure(.tooLong, field: field, "an asset code has at most \(Limits.assetCode) bytes")
    }
    guard let first = code.utf8.first, isCapital(first), code.utf8.dropFirst().allSatisfy(isAllowed) else {
      throw Failure(.invalidArgument, field: field, "an asset code is like USD: capitals, then capitals, digits, : _ -")
    }
  }

  private static func isCapital(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "_"), UInt8(ascii: "-"): true
    default: isCapital(byte)
    }
  }
}

extension Asset {
  private static let builtInByCode = Dictionary(
    (iso4217 + [credits]).map { ($0.code, $0) }, uniquingKeysWith: { first, _ in first })

  /// The active currency of ISO 4217, or the credits, of this code; nil for any other.
  public static func builtIn(_ code: String) -> Asset? {
    builtInByCode[code]
  }

  /// US dollars, the default currency of prices.
  public static let usd = builtIn("USD") ?? Asset(trusted: "USD", scale: 9, minorDigits: 2, "US Dollar")
}
