public import FareboxCore

/// One line of a capture of several; texts are borrowed for the length of the call.
///
/// A line is what a tool costs, or an amount. Without a tool and with a usage it is the hold's own tool at the price of
/// the reservation; another tool costs what it costs the payer now, and one with a dynamic price takes an amount. An
/// amount without a tool goes to the payee, or to whom the hold credits.
public struct CaptureLine {
  public var tool = BorrowedText.empty
  /// Credited account of an amount without a tool.
  public var payee = BorrowedText.empty
  public var description = BorrowedText.empty
  /// nil is one request of the tool that is named.
  public var usage: Usage?
  /// Atomic units in the hold's asset.
  public var amount: Int64?

  public init() {}
}

/// One line as a record keeps it, in its field `lines`:
///
///     word 0  tool (4), price (4)                      word 3  what it costs
///     word 1  beneficiary (4), flags (2),              word 4  a hash of what was asked for
///             bytes of description (2)                 then a usage, 11 words, and the description
///     word 2  what was charged                         padded to whole words
///
/// A refund has the lines of its capture without their usages and descriptions, because applying it reads nothing else.
struct StoredLine {
  /// Index of the tool + 1, or 0.
  var tool: UInt32 = 0
  /// Index of the price version + 1, or 0 for a given amount.
  var price: UInt32 = 0
  /// As in a record.
  var beneficiary: UInt32 = 0
  var flags: UInt16 = 0
  var charged: Int64 = 0
  /// What the line costs; more than what was charged where the hold's maximum cut it.
  var priced: Int64 = 0
  var request: UInt64 = 0
  /// The words of a usage that is not one request.
  var usage = BorrowedText.empty
  var description = BorrowedText.empty

  enum Flags {
    /// The amount was given, not priced.
    static let explicit: UInt16 = 1
    /// The amount was bound by a maximum.
    static let capped: UInt16 = 2
    /// A usage follows.
    static let usage: UInt16 = 4
  }

  static let words = 5
  private static let usageWords = 11

  /// What stands in the field of a refund, or before a usage and a description.
  func head(describedBy bytes: Int = 0) -> [Int64] {
    let lengths = UInt64(flags) << 32 | UInt64(truncatingIfNeeded: bytes) << 48
    return [
      Int64(bitPattern: UInt64(tool) | UInt64(price) << 32), Int64(bitPattern: UInt64(beneficiary) | lengths), charged,
      priced, Int64(bitPattern: request),
    ]
  }

  /// The same line as a refund keeps it.
  var forRefund: StoredLine {
    var line = self
    line.flags &= ~Flags.usage
    line.usage = .empty
    line.description = .empty
    return line
  }

  /// Reads a field.
  ///
  /// - Throws: `storeCorrupt` where there is no list of lines.
  static func all(_ field: BorrowedText) throws(Failure) -> [StoredLine] {
    var lines: [StoredLine] = []
    var offset = 0
    func take(_ bytes: Int) throws(Failure) -> BorrowedText {
      guard bytes >= 0, offset + bytes <= field.count else { throw Segment.corrupt("A line of a capture is cut off.") }
      defer { offset += (bytes + 7) / 8 * 8 }
      return unsafe BorrowedText(
        field.bytes.baseAddress.map { unsafe $0.assumingMemoryBound(to: UInt8.self) + offset }, count: bytes)
    }
    while offset < field.count {
      let head = try take(words * 8)
      func word(_ index: Int) -> UInt64 { UInt64(bitPattern: head.word(at: index) ?? 0) }
      var line = StoredLine()
      line.tool = UInt32(truncatingIfNeeded: word(0))
      line.price = UInt32(truncatingIfNeeded: word(0) >> 32)
      line.beneficiary = UInt32(truncatingIfNeeded: word(1))
      line.flags = UInt16(truncatingIfNeeded: word(1) >> 32)
      line.charged = Int64(bitPattern: word(2))
      line.priced = Int64(bitPattern: word(3))
      line.request = word(4)
      if line.flags & Flags.usage != 0 { line.usage = try take(usageWords * 8) }
      line.description = try take(Int(word(1) >> 48))
      lines.append(line)
    }
    guard !lines.isEmpty else { throw Segment.corrupt("A capture of lines has none.") }
    return lines
  }

  /// What falls on each line of a part of all that was charged: in proportion, rounded down, and what is left over one
  /// by one from the first line on, passing over those that were charged nothing.
  static func parts(of amount: Int64, _ lines: [StoredLine]) -> [Int64] {
    let whole = lines.reduce(Int128(0)) { $0 + Int128($1.charged) }
    guard whole > 0 else { return lines.map { _ in 0 } }
    var parts = lines.map { Int64(truncatingIfNeeded: Int128(amount) * Int128($0.charged) / whole) }
    var left = parts.reduce(amount) { $0 &- $1 }
    for index in parts.indices where left > 0 && lines[index].charged > 0 {
      parts[index] &+= 1
      left &-= 1
    }
    return parts
  }
}

extension Log {
  /// Adds the lines of a capture as they were decided.
  mutating func addLines(_ lines: [PricedLine]) {
    var words: [Int64] = []
    for line in lines {
      words += line.stored.head(describedBy: line.request.description.count)
      if line.stored.flags & StoredLine.Flags.usage != 0 { words += (line.request.usage ?? .oneRequest).words }
      let text = line.request.description
      var index = 0
      while index < text.count {
        var word: UInt64 = 0
        for byte in 0..<min(8, text.count - index) { word |= UInt64(unsafe text.bytes[index + byte]) << (byte * 8) }
        words.append(Int64(bitPattern: word))
        index += 8
      }
    }
    addField(.lines, words: words)
  }
}

/// A line of a request with its names resolved and its price known.
struct PricedLine {
  let request: CaptureLine
  var stored: StoredLine
}
