/// Names and the small integers that stand for them, found by their bytes without making a `String`.
///
/// Indices are given out from 0 in the order of arrival and never change, so records carry them in place of names.
struct NameTable: ~Copyable {
  /// UTF-8 of all names, one after the other.
  private var bytes = ContiguousArray<UInt8>()
  /// Where each name begins; one more entry than names.
  private var starts: ContiguousArray<UInt32> = [0]
  /// Open addressing: the upper half is the upper half of the hash, the lower half is index + 1; 0 is free.
  private var slots = ContiguousArray<UInt64>(repeating: 0, count: 64)
  /// Random for each process, so that nobody can choose names that collide.
  private let seed = UInt64.random(in: 1 ... .max)

  /// Bytes that no name has more of.
  private static let longest = 1_024

  var count: Int { starts.count - 1 }

  /// The index of a name, or nil.
  func find(_ name: BorrowedText) -> UInt32? {
    let hash = hash(name)
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while true {
      let entry = slots[slot]
      if entry == 0 { return nil }
      if entry >> 32 == hash >> 32 {
        let index = UInt32(truncatingIfNeeded: entry) - 1
        if equals(index, name) { return index }
      }
      slot = (slot + 1) & mask
    }
  }

  func find(_ name: String) -> UInt32? {
    name.withBorrowedText { find($0) }
  }

  /// Adds a name that is not in the table yet.
  mutating func add(_ name: BorrowedText) -> UInt32 {
    let index = UInt32(count)
    unsafe bytes.append(contentsOf: name.bytes)
    starts.append(UInt32(bytes.count))
    if count * 4 > slots.count * 3 { grow() }
    place(index, hash(name))
    return index
  }

  mutating func add(_ name: String) -> UInt32 {
    name.withBorrowedText { add($0) }
  }

  /// The name of an index that this table gave out.
  subscript(_ index: UInt32) -> String {
    let range = Int(starts[Int(index)])..<Int(starts[Int(index) + 1])
    return String(decoding: bytes[range], as: UTF8.self)
  }

  private mutating func place(_ index: UInt32, _ hash: UInt64) {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] != 0 { slot = (slot + 1) & mask }
    slots[slot] = (hash & 0xffff_ffff_0000_0000) | UInt64(index + 1)
  }

  private mutating func grow() {
    slots = ContiguousArray(repeating: 0, count: slots.count * 2)
    // The name just added is placed by the caller.
    for index in 0..<UInt32(count - 1) {
      let range = Int(starts[Int(index)])..<Int(starts[Int(index) + 1])
      let found = unsafe bytes.withUnsafeBufferPointer { buffer in
        let slice = unsafe UnsafeBufferPointer(rebasing: buffer[range])
        return self.hash(unsafe BorrowedText(slice.baseAddress, count: slice.count))
      }
      place(index, found)
    }
  }

  private func equals(_ index: UInt32, _ name: BorrowedText) -> Bool {
    let start = Int(starts[Int(index)])
    guard Int(starts[Int(index) + 1]) - start == name.count else { return false }
    return unsafe bytes.withUnsafeBytes { stored in
      let other = unsafe name.bytes
      var offset = 0
      while offset + 8 <= name.count {
        let left = unsafe stored.loadUnaligned(fromByteOffset: start + offset, as: UInt64.self)
        let right = unsafe other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        if left != right { return false }
        offset += 8
      }
      while offset < name.count {
        if unsafe stored[start + offset] != other[offset] { return false }
        offset += 1
      }
      return true
    }
  }

  /// Tells the processor that a name is about to be looked up.
  func prefetch(_ name: BorrowedText) {
    let slot = Int(truncatingIfNeeded: hash(name)) & (slots.count - 1)
    unsafe slots.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { unsafe prefetchMemory(base + slot) }
    }
  }

  /// A multiply-and-fold hash of eight bytes at a time.
  private func hash(_ name: BorrowedText) -> UInt64 {
    // Longer than any name; what it is not found by must not be read, because its length may be a lie.
    if name.count > NameTable.longest { return seed }
    let bytes = unsafe name.bytes
    var hash = seed ^ UInt64(truncatingIfNeeded: name.count)
    var offset = 0
    while offset + 8 <= name.count {
      let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      hash = fold(hash ^ word)
      offset += 8
    }
    let rest = unsafe tail(bytes, from: offset)
    return fold(hash ^ rest)
  }

  /// The last bytes as one word; a word that overlaps the one before is cheaper than a loop over bytes.
  private func tail(_ bytes: UnsafeRawBufferPointer, from offset: Int) -> UInt64 {
    let left = bytes.count - offset
    if left == 0 { return 0 }
    if bytes.count >= 8 { return unsafe bytes.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self) }
    var word: UInt64 = 0
    for index in offset..<bytes.count { word = word << 8 | UInt64(unsafe bytes[index]) }
    return word
  }

  private func fold(_ word: UInt64) -> UInt64 {
    let product = word.multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15 ^ seed | 1)
    return product.high ^ product.low
  }
}
