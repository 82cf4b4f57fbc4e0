internal import FareboxCore

/// An idempotency key and its record in 16 bytes: 88 bits of the key's hash and 40 of the record's number.
///
/// Two keys that share 88 bits of a keyed hash are told apart by the key's own bytes, which stand in the record. A
/// ledger ends at 2^40 records, a thousand times a thousand million.
struct KeyEntry {
  let high: UInt64
  /// 24 bits of the hash above 40 bits of record number.
  let low: UInt64

  static let recordBits: UInt64 = 40
  static let recordMask: UInt64 = (1 << recordBits) - 1
  static let size = 16

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  init(_ hash: KeyHash, record: UInt64) {
    high = hash.high
    low = hash.low & ~KeyEntry.recordMask | record & KeyEntry.recordMask
  }

  var record: UInt64 { low & KeyEntry.recordMask }

  func matches(_ hash: KeyHash) -> Bool {
    high == hash.high && (low ^ hash.low) & ~KeyEntry.recordMask == 0
  }
}

/// The keyed 128-bit hash of an idempotency key; never all zero.
struct KeyHash: Equatable {
  let high: UInt64
  let low: UInt64

  static let none = KeyHash(high: 0, low: 0)

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Hashes a key under the ledger's secret, so that nobody can choose keys that crowd one place.
  ///
  /// Of a key that is too long, which is refused later, not a byte is read: its length may be a lie.
  init(_ key: BorrowedText, _ secret: SipHashKey) {
    let count = key.count > Limits.key ? 0 : key.count
    let hash = unsafe sipHash128(UnsafeRawBufferPointer(rebasing: key.bytes.prefix(count)), key: secret)
    high = hash.high
    // A zero pair marks a record without a key.
    low = hash.low | 1 << 63
  }

  var isNone: Bool { high == 0 && low == 0 }
}
