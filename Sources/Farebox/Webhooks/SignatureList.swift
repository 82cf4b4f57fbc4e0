internal import FareboxCore

/// Where the signatures of one header lie in it: at most as many as one webhook is tried with.
struct SignatureList {
  private(set) var count = 0
  private var entries = InlineArray<16, Entry>(repeating: Entry(version: .v1, start: 0, end: 0))

  enum Version {
    case v1
    case v1a
  }

  struct Entry {
    let version: Version
    // A header is shorter than 64 KiB.
    private let start16: UInt16
    private let end16: UInt16

    init(version: Version, start: Int, end: Int) {
      self.version = version
      start16 = UInt16(clamping: start)
      end16 = UInt16(clamping: end)
    }

    var start: Int { Int(start16) }
    var end: Int { Int(end16) }
  }

  subscript(index: Int) -> Entry { entries[index] }

  /// Adds one.
  ///
  /// - Throws: `tooLong` when the list is full.
  mutating func append(_ version: Version, _ start: Int, _ end: Int) throws(Failure) {
    guard count < entries.count else { throw .tooManyWebhookSignatures }
    entries[count] = Entry(version: version, start: start, end: end)
    count += 1
  }
}
