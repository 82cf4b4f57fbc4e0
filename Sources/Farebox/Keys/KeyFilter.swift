/// Says "certainly not here" for most keys that a run does not hold: a Bloom filter of one cache line a key.
///
/// Every key sets eight bits of the 512-bit block that its hash's upper bits name, so a question costs one cache miss.
/// The words lie in memory of their own, because a charge asks the filters of all runs: an array would be retained,
/// checked and released for each of them.
@safe
final class KeyFilter: @unchecked Sendable {
  // Sound because a filter is filled by the one who seals, and only read once it belongs to a run.
  private let memory: UnsafeMutablePointer<UInt64>
  private let blocks: UInt64

  init(keys: Int, bitsPerKey: Int) {
    blocks = UInt64(max(1, (keys * bitsPerKey + 511) / 512))
    unsafe memory = .allocate(capacity: Int(blocks) * KeyProbe.wordsInBlock)
    unsafe memory.initialize(repeating: 0, count: Int(blocks) * KeyProbe.wordsInBlock)
  }

  init(words: ContiguousArray<UInt64>) {
    blocks = UInt64(words.count / KeyProbe.wordsInBlock)
    unsafe memory = .allocate(capacity: max(1, words.count))
    for index in words.indices { unsafe memory[index] = words[index] }
  }

  deinit {
    unsafe memory.deallocate()
  }

  var count: Int { Int(blocks) * KeyProbe.wordsInBlock }
  var bytes: Int { count * 8 }

  /// The words in the order in which they are stored.
  var words: ContiguousArray<UInt64> {
    ContiguousArray((0..<count).map { unsafe memory[$0] })
  }

  func insert(_ high: UInt64) {
    let probe = KeyProbe(high)
    let block = probe.block(of: blocks)
    for word in 0..<KeyProbe.wordsInBlock { unsafe memory[block + word] |= probe.bit(word) }
  }

  func mayContain(_ high: UInt64) -> Bool {
    view.mayContain(KeyProbe(high))
  }

  /// The filter to ask many times; valid as long as the filter lives.
  var view: KeyFilterView {
    unsafe KeyFilterView(memory: UnsafePointer(memory), blocks: blocks)
  }
}

/// The place and the bits of a key, which are the same in every filter but for its size.
struct KeyProbe {
  private let high: UInt64
  private let mixed: UInt64

  static let wordsInBlock = 8

  init(_ high: UInt64) {
    self.high = high
    // Spreads all bits over the lower 48, from which the eight positions are taken.
    var word = high
    word ^= word >> 32
    word = word &* 0xd6e8_feb8_6659_fd93
    word ^= word >> 32
    word = word &* 0xd6e8_feb8_6659_fd93
    mixed = word ^ word >> 32
  }

  /// Blocks follow the order of keys, so a sorted run fills its filter from front to back.
  func block(of blocks: UInt64) -> Int {
    Int(truncatingIfNeeded: high.multipliedFullWidth(by: blocks).high) &* KeyProbe.wordsInBlock
  }

  func bit(_ word: Int) -> UInt64 {
    1 &<< (mixed &>> UInt64(truncatingIfNeeded: word &* 6) & 63)
  }
}

/// A filter as its readers see it: plain data, so that a list of them can be walked without counting references.
@safe
struct KeyFilterView: @unchecked Sendable {
  // Sound while the run that owns the memory is in the same index.
  fileprivate let memory: UnsafePointer<UInt64>
  fileprivate let blocks: UInt64

  func mayContain(_ probe: KeyProbe) -> Bool {
    let block = unsafe memory + probe.block(of: blocks)
    for word in 0..<KeyProbe.wordsInBlock where unsafe block[word] & probe.bit(word) == 0 { return false }
    return true
  }

  func prefetch(_ probe: KeyProbe) {
    unsafe prefetchMemory(memory + probe.block(of: blocks))
  }
}
