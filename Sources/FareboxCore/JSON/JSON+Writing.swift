extension JSON {
  /// The value as compact JSON text, members in their order.
  public func serialized() -> String {
    text(sorted: false)
  }

  /// The value as compact JSON text with the members of every object sorted by the bytes of their keys.
  ///
  /// Two values that are equal give the same text, except that a number keeps the text it was written with: `1.0` and
  /// `1` stay apart.
  public func canonical() -> String {
    text(sorted: true)
  }

  private func text(sorted: Bool) -> String {
    var writer = JSONWriter(sorted: sorted)
    writer.write(self)
    return String(decoding: writer.bytes, as: UTF8.self)
  }
}

private struct JSONWriter {
  let sorted: Bool
  var bytes: [UInt8] = []

  init(sorted: Bool) {
    self.sorted = sorted
  }

  mutating func write(_ value: JSON) {
    switch value {
    case .null: write("null")
    case .bool(let flag): write(flag ? "true" : "false")
    case .number(let text): write(text)
    case .string(let text): quote(text)
    case .array(let elements): write(elements)
    case .object(let object): write(object)
    }
  }

  private mutating func write(_ text: String) {
    bytes.append(contentsOf: text.utf8)
  }

  private mutating func write(_ elements: [JSON]) {
    bytes.append(UInt8(ascii: "["))
    for (index, element) in elements.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      write(element)
    }
    bytes.append(UInt8(ascii: "]"))
  }

  private mutating func write(_ object: JSONObject) {
    var members = object.members
    if sorted {
      members.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }
    bytes.append(UInt8(ascii: "{"))
    for (index, member) in members.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      quote(member.key)
      bytes.append(UInt8(ascii: ":"))
      write(member.value)
    }
    bytes.append(UInt8(ascii: "}"))
  }

  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
      case 0x0A: write("\\n")
      case 0x0D: write("\\r")
      case 0x09: write("\\t")
      case 0..<0x20: control(byte)
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func control(_ byte: UInt8) {
    write(byte < 0x10 ? "\\u000" : "\\u00")
    write(String(byte, radix: 16))
  }
}
