extension Usage {
  /// Reads `{"input_tokens": 1200, "units": "4.5", "value": "12.34"}`.
  ///
  /// Counts are whole; only `units` may have up to six digits after the point. `value` is decimal text of the asset.
  /// `tokens` is another name for `input_tokens`; `requests` is 1 where it is absent or 0.
  /// - Throws: `unknownField`, `invalidArgument`, `invalidAmount`, `tooPrecise`, `overflow`, naming the member.
  public static func parse(_ json: JSON, scale: UInt8, path: String = "usage") throws(Failure) -> Usage {
    var fields = try JSONFields(json, path: path)
    var usage = Usage.oneRequest
    for meter in Meter.allCases {
      guard let value = fields.optional(meter.name) else { continue }
      let quantity = try quantity(of: value, meter, scale: scale, field: fields.path(meter.name))
      if meter != .requests || quantity != 0 { try usage.set(meter, micro: quantity) }
    }
    if let tokens = fields.optional("tokens") {
      guard usage[.inputTokens] == 0 else {
        throw fields.wrong("tokens", "is another name for input_tokens; give one of them")
      }
      try usage.set(
        .inputTokens, micro: quantity(of: tokens, .inputTokens, scale: scale, field: fields.path("tokens")))
    }
    try fields.finish()
    return usage
  }

  private static func quantity(
    of json: JSON, _ meter: Meter, scale: UInt8, field: String
  ) throws(Failure) -> Int64 {
    guard let text = json.numberText else {
      throw Failure(.invalidArgument, field: field, "must be a number, or a string of one")
    }
    let quantity: Int64
    switch meter {
    case .value: quantity = try Amount.parse(text, scale: scale, field: field)
    case .units: quantity = try Price.quantity(text, field: field)
    case .requests, .inputTokens, .outputTokens, .cacheReadTokens, .cacheWriteTokens, .reasoningTokens,
      .inputAudioTokens, .outputAudioTokens, .images:
      quantity = try Price.quantity(text, field: field)
      guard quantity % micro == 0 else { throw Failure(.invalidArgument, field: field, "must be a whole number") }
    }
    guard quantity >= 0 else { throw Failure(.invalidArgument, field: field, "must not be negative") }
    return quantity
  }

  /// The usage as JSON that `parse` reads back to the same usage.
  public func json(scale: UInt8) -> JSON {
    var object = JSONObject()
    for meter in present.meters {
      let quantity = self[meter]
      switch meter {
      case .value: object.append(meter.name, .string(Amount.text(quantity, scale: scale, minorDigits: 0)))
      case .units: object.append(meter.name, .string(Price.text(quantity: quantity)))
      case .requests, .inputTokens, .outputTokens, .cacheReadTokens, .cacheWriteTokens, .reasoningTokens,
        .inputAudioTokens, .outputAudioTokens, .images:
        object.append(meter.name, .int(quantity / Usage.micro))
      }
    }
    return .object(object)
  }
}
