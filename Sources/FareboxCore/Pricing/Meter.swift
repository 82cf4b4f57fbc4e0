/// A kind of usage that a price can charge for; the numbers are those of `farebox_meter_kind`.
public enum Meter: UInt8, CaseIterable, Sendable {
  case requests = 0
  case units = 1
  /// Input tokens without the cached ones.
  case inputTokens = 2
  case outputTokens = 3
  case cacheReadTokens = 4
  case cacheWriteTokens = 5
  case reasoningTokens = 6
  case inputAudioTokens = 7
  case outputAudioTokens = 8
  case images = 9
  /// The amount that a percentage applies to, in atomic units.
  case value = 10

  /// The name in JSON.
  public var name: String {
    switch self {
    case .requests: "requests"
    case .units: "units"
    case .inputTokens: "input_tokens"
    case .outputTokens: "output_tokens"
    case .cacheReadTokens: "cache_read_tokens"
    case .cacheWriteTokens: "cache_write_tokens"
    case .reasoningTokens: "reasoning_tokens"
    case .inputAudioTokens: "input_audio_tokens"
    case .outputAudioTokens: "output_audio_tokens"
    case .images: "images"
    case .value: "value"
    }
  }

  /// The meter of this name in JSON, in the plural (`output_tokens`) or the singular (`output_token`).
  public init?(name: String) {
    guard let meter = Meter.byName[name] ?? Meter.byName[name + "s"] else { return nil }
    self = meter
  }

  private static let byName = Dictionary(
    allCases.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
}

/// Some of the meters.
public struct MeterSet: OptionSet, Hashable, Sendable {
  /// One bit a meter, the lowest for the meter of number 0.
  public let rawValue: UInt16

  /// The set of these bits.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// The set of one meter.
  public init(_ meter: Meter) {
    rawValue = 1 << UInt16(meter.rawValue)
  }

  /// Every meter.
  public static let all = MeterSet(rawValue: 0x7FF)
  /// Every class of token, which is what `tokens` means in a price.
  public static let tokens = MeterSet(rawValue: 0x1FC)
  /// Everything that went into a model: what selects the tier of a cliff unless the price says otherwise.
  public static let totalInput: MeterSet = [
    MeterSet(.inputTokens), MeterSet(.cacheReadTokens), MeterSet(.cacheWriteTokens), MeterSet(.inputAudioTokens),
  ]

  /// The meters in the order of their numbers.
  public var meters: [Meter] {
    Meter.allCases.filter { contains(MeterSet($0)) }
  }

  /// The one of the lowest number; `requests` for the empty set.
  public var first: Meter {
    Meter(rawValue: UInt8(truncatingIfNeeded: rawValue.trailingZeroBitCount)) ?? .requests
  }

  /// Whether the set has exactly one meter.
  var isSingle: Bool {
    rawValue.nonzeroBitCount == 1
  }
}
