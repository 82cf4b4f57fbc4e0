/// The recent idempotency keys, in memory: a hash table whose order of slots is almost the order of keys.
///
/// A key's slot is taken from the upper bits of its hash, and the table never wraps round, so that sealing can write
/// the entries sorted after a short insertion sort in place of a full one.
@safe
struct KeyTable: ~Copyable {
  private var slots: UnsafeMutablePointer<KeyEntry>
  private var capacityBits: UInt64
  private(set) var count = 0

  /// Entries that found no slot. Keys are hashed under a secret, so only a ledger file that somebody has crafted can
  /// crowd so many into one place; it must cost time, and not the memory after the table.
  private var spilled: [KeyEntry] = []

  /// Slots after the last, for entries that are pushed beyond it; the very last one stays free and ends each search.
  private static let overflow = 4_096
  private static let smallestBits: UInt64 = 10

  init() {
    capacityBits = KeyTable.smallestBits
    unsafe slots = KeyTable.allocate(KeyTable.slotCount(KeyTable.smallestBits))
  }

  deinit {
    unsafe slots.deallocate()
  }

  /// Bytes that the table takes.
  var bytes: Int { KeyTable.slotCount(capacityBits) * KeyEntry.size }

  /// The record of a key, or nil.
  func find(_ hash: KeyHash) -> UInt64? {
    var slot = Int(hash.high >> (64 - capacityBits))
    while true {
      let entry = unsafe slots[slot]
      if entry.low == 0 { break }
      if entry.matches(hash) { return entry.record }
      slot += 1
    }
    return spilled.isEmpty ? nil : spilled.first { $0.matches(hash) }?.record
  }

  /// Adds a key that is not in the table.
  mutating func insert(_ hash: KeyHash, record: UInt64) {
    // Half full at the most: displacements stay short.
    if count * 2 >= 1 << capacityBits { grow() }
    place(KeyEntry(hash, record: record))
    count += 1
  }

  /// Tells the processor that a key's slot is wanted soon.
  func prefetch(_ hash: KeyHash) {
    unsafe prefetchMemory(slots + Int(hash.high >> (64 - capacityBits)))
  }

  /// Takes out all entries, sorted.
  mutating func drainSorted() -> ContiguousArray<KeyEntry> {
    var sorted = ContiguousArray<KeyEntry>()
    sorted.reserveCapacity(count)
    for slot in 0..<KeyTable.slotCount(capacityBits) {
      let entry = unsafe slots[slot]
      if entry.low != 0 { sorted.append(entry) }
    }
    sorted.append(contentsOf: spilled)
    for index in sorted.indices.dropFirst() {
      let entry = sorted[index]
      var target = index
      while target > 0, sorted[target - 1].high > entry.high {
        sorted[target] = sorted[target - 1]
        target -= 1
      }
      sorted[target] = entry
    }
    removeAll()
    return sorted
  }

  /// Forgets everything; the memory is kept, because the next keys will need it again.
  mutating func removeAll() {
    unsafe slots.update(repeating: KeyEntry(high: 0, low: 0), count: KeyTable.slotCount(capacityBits))
    spilled.removeAll()
    count = 0
  }

  private mutating func place(_ entry: KeyEntry) {
    var slot = Int(entry.high >> (64 - capacityBits))
    while unsafe slots[slot].low != 0 { slot += 1 }
    if slot == KeyTable.slotCount(capacityBits) - 1 {
      spilled.append(entry)
    } else {
      unsafe slots[slot] = entry
    }
  }

  private mutating func grow() {
    let old = unsafe slots
    let oldCount = KeyTable.slotCount(capacityBits)
    capacityBits += 1
    unsafe slots = KeyTable.allocate(KeyTable.slotCount(capacityBits))
    let waiting = spilled
    spilled.removeAll()
    for slot in 0..<oldCount where unsafe old[slot].low != 0 {
      place(unsafe old[slot])
    }
    for entry in waiting { place(entry) }
    unsafe old.deallocate()
  }

  private static func slotCount(_ bits: UInt64) -> Int { (1 << Int(bits)) + overflow }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<KeyEntry> {
    let memory = UnsafeMutablePointer<KeyEntry>.allocate(capacity: count)
    unsafe memory.initialize(repeating: KeyEntry(high: 0, low: 0), count: count)
    return unsafe memory
  }
}
