/// Reads CSV row by row: cells may be quoted, with quotes doubled in them, and lines end in LF or CR LF.
struct CSVReader {
  private let bytes: [UInt8]
  private let separator: UInt8
  private var at = 0

  init(_ text: String, separator: UInt8) {
    bytes = Array(text.utf8)
    self.separator = separator
  }

  /// The next row, or nil behind the last. Empty lines are left out.
  mutating func next() -> [String]? {
    while at < bytes.count, endsLine(at) { at += 1 }
    guard at < bytes.count else { return nil }
    var row: [String] = []
    while true {
      row.append(at < bytes.count && bytes[at] == UInt8(ascii: "\"") ? quoted() : plain())
      guard at < bytes.count, bytes[at] == separator else { return row }
      at += 1
    }
  }

  private func endsLine(_ place: Int) -> Bool {
    bytes[place] == UInt8(ascii: "\n") || bytes[place] == UInt8(ascii: "\r")
  }

  private mutating func plain() -> String {
    let start = at
    while at < bytes.count, bytes[at] != separator, !endsLine(at) { at += 1 }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private mutating func quoted() -> String {
    var cell: [UInt8] = []
    at += 1
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      if byte == UInt8(ascii: "\"") {
        guard at < bytes.count, bytes[at] == byte else { break }
        at += 1
      }
      cell.append(byte)
    }
    return String(decoding: cell, as: UTF8.self) + plain()
  }
}
