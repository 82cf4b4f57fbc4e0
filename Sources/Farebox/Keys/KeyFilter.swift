/// Says "certainly not here" for most keys that a run does not hold: a Bloom filter of one cache line a key.
///
/// Every key sets eight bits of the 512-bit block that its hash's upper bits name, so a question costs one cache miss.
struct KeyFilter {
  private(set) var words: ContiguousArray<UInt64>
  private let blocks: UInt64

  private static let wordsInBlock = 8

  init(keys: Int, bitsPerKey: Int) {
    let wanted = max(1, (keys * bitsPerKey + 511) / 512)
    blocks = UInt64(wanted)
    words = ContiguousArray(repeating: 0, count: wanted * KeyFilter.wordsInBlock)
  }

  init(words: ContiguousArray<UInt64>) {
    self.words = words
    blocks = UInt64(words.count / KeyFilter.wordsInBlock)
  }

  var bytes: Int { words.count * 8 }

  mutating func insert(_ high: UInt64) {
    let block = start(of: high)
    let mixed = KeyFilter.mix(high)
    for word in 0..<KeyFilter.wordsInBlock {
      words[block + word] |= 1 << (mixed >> UInt64(word * 6) & 63)
    }
  }

  func mayContain(_ high: UInt64) -> Bool {
    let block = start(of: high)
    let mixed = KeyFilter.mix(high)
    for word in 0..<KeyFilter.wordsInBlock {
      if words[block + word] >> (mixed >> UInt64(word * 6) & 63) & 1 == 0 { return false }
    }
    return true
  }

  func prefetch(_ high: UInt64) {
    unsafe words.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { unsafe prefetchMemory(base + start(of: high)) }
    }
  }

  /// Blocks follow the order of keys, so a sorted run fills its filter from front to back.
  private func start(of high: UInt64) -> Int {
    Int(high.multipliedFullWidth(by: blocks).high) * KeyFilter.wordsInBlock
  }

  /// Spreads all bits over the lower 48, from which the eight positions are taken.
  private static func mix(_ high: UInt64) -> UInt64 {
    var word = high
    word ^= word >> 32
    word = word &* 0xd6e8_feb8_6659_fd93
    word ^= word >> 32
    word = word &* 0xd6e8_feb8_6659_fd93
    return word ^ word >> 32
  }
}
