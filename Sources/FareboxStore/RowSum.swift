internal import FareboxCore

/// A sum over a row's table, key and value, so that a page of which the disk has lost or turned a bit is told.
///
/// The journal has hashes of its own. What is projected from it decides balances, and which keys were used, without
/// being compared with the journal each time.
struct RowSum {
  private var state: UInt64

  private init(_ first: UInt64) {
    state = 0x9e37_79b9_7f4a_7c15
    add(first)
  }

  private mutating func add(_ word: UInt64) {
    let product = (state ^ word).multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
    state = product.high ^ product.low ^ word
  }

  private mutating func add(_ bytes: UnsafeRawBufferPointer) {
    add(UInt64(bytes.count))
    var offset = 0
    while offset + 8 <= bytes.count {
      add(unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset += 8
    }
    var last: UInt64 = 0
    while offset < bytes.count {
      last = last << 8 | UInt64(unsafe bytes[offset])
      offset += 1
    }
    add(last)
  }

  private var value: Int64 {
    let mixed = (state ^ state >> 32) &* 0xd6e8_feb8_6659_fd93
    return Int64(bitPattern: mixed ^ mixed >> 29)
  }

  static func of(_ table: ProjectionTable, _ key: RowKey, _ value: UnsafeRawBufferPointer) -> Int64 {
    var sum = RowSum(UInt64(table.rawValue + 1))
    sum.add(UInt64(bitPattern: key.major))
    sum.add(UInt64(bitPattern: key.minor))
    unsafe sum.add(value)
    return sum.value
  }

  static func of(meta name: String, _ value: UnsafeRawBufferPointer) -> Int64 {
    var sum = RowSum(0)
    for byte in name.utf8 { sum.add(UInt64(byte)) }
    unsafe sum.add(value)
    return sum.value
  }
}
