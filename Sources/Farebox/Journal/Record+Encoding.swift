internal import FareboxCore

/// How a record stands in a segment, little-endian and without padding:
///
///      0  kind (1)            24  tool (4)
///      1  flags (1)           28  beneficiary (4)
///      2  asset (2)           32  price (4)
///      4  account (4)         36  which words follow (1), bytes of fields (3)
///      8  time (8)            40  words (8 each), then the fields
///     16  amount (8)
///
/// The lower half of the word `detail` is the detail, its upper half the origin. A word is left out where it is zero, `available` where it equals the balance; what a plain charge writes is then 48
/// bytes and its key. The journal's bytes are hashed, written twice and read again, so they are what a batch costs most.
extension Record {
  static let headSize = 40

  private struct Words: OptionSet {
    let rawValue: UInt8
    static let detail = Words(rawValue: 1)
    static let reference = Words(rawValue: 2)
    static let extra = Words(rawValue: 4)
    static let remaining = Words(rawValue: 8)
    static let balance = Words(rawValue: 16)
    static let available = Words(rawValue: 32)
    static let known = Words(rawValue: 63)
  }

  /// Appends the record and its fields.
  func encode(fields: borrowing ContiguousArray<UInt8>, to bytes: inout ContiguousArray<UInt8>) {
    var words: Words = []
    if detail | origin != 0 { words.insert(.detail) }
    if reference != 0 { words.insert(.reference) }
    if extra != 0 { words.insert(.extra) }
    if remaining != 0 { words.insert(.remaining) }
    if balance != 0 { words.insert(.balance) }
    if available != balance { words.insert(.available) }
    unsafe withUnsafeTemporaryAllocation(byteCount: Record.headSize + 48, alignment: 8) { head in
      unsafe head.storeBytes(of: kind, toByteOffset: 0, as: UInt8.self)
      unsafe head.storeBytes(of: flags, toByteOffset: 1, as: UInt8.self)
      unsafe head.storeBytes(of: asset, toByteOffset: 2, as: UInt16.self)
      unsafe head.storeBytes(of: account, toByteOffset: 4, as: UInt32.self)
      unsafe head.storeBytes(of: time, toByteOffset: 8, as: Int64.self)
      unsafe head.storeBytes(of: amount, toByteOffset: 16, as: Int64.self)
      unsafe head.storeBytes(of: tool, toByteOffset: 24, as: UInt32.self)
      unsafe head.storeBytes(of: beneficiary, toByteOffset: 28, as: UInt32.self)
      unsafe head.storeBytes(of: price, toByteOffset: 32, as: UInt32.self)
      // Limits keep the fields of a record far below 16 MiB.
      let tail = UInt32(truncatingIfNeeded: fields.count) << 8 | UInt32(words.rawValue)
      unsafe head.storeBytes(of: tail, toByteOffset: 36, as: UInt32.self)
      var end = Record.headSize
      func add(_ word: Words, _ value: UInt64) {
        if !words.contains(word) { return }
        unsafe head.storeBytes(of: value, toByteOffset: end, as: UInt64.self)
        end += 8
      }
      add(.detail, UInt64(detail) | UInt64(origin) << 32)
      add(.reference, reference)
      add(.extra, UInt64(bitPattern: extra))
      add(.remaining, UInt64(bitPattern: remaining))
      add(.balance, UInt64(bitPattern: balance))
      add(.available, UInt64(bitPattern: available))
      unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: head[0..<end]))
    }
    unsafe fields.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  /// The bytes that a record takes, or nil where there is no whole record at an offset.
  @unsafe
  static func size(in bytes: UnsafeRawBufferPointer, at offset: Int) -> Int? {
    guard bytes.count - offset >= headSize else { return nil }
    let tail = unsafe bytes.loadUnaligned(fromByteOffset: offset + 36, as: UInt32.self)
    let size = headSize + Int(tail & 0xff).nonzeroBitCount * 8 + Int(tail >> 8)
    return offset + size <= bytes.count ? size : nil
  }

  /// Reads a record back, with its fields.
  ///
  /// - Throws: `storeCorrupt` where there is no record that this version could have written.
  @unsafe
  static func decode(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(Failure) -> (record: Record, heap: Heap) {
    guard let size = unsafe size(in: bytes, at: offset),
      let kind = RecordKind(rawValue: unsafe bytes[offset])
    else { throw Segment.corrupt("A record is cut off or of an unknown kind.") }
    func load<Value: BitwiseCopyable>(_ place: Int, _ type: Value.Type) -> Value {
      unsafe bytes.loadUnaligned(fromByteOffset: offset + place, as: type)
    }
    var record = Record(kind, time: load(8, Int64.self))
    record.flags = load(1, UInt8.self)
    record.asset = load(2, UInt16.self)
    record.account = load(4, UInt32.self)
    record.amount = load(16, Int64.self)
    record.tool = load(24, UInt32.self)
    record.beneficiary = load(28, UInt32.self)
    record.price = load(32, UInt32.self)
    let words = Words(rawValue: load(36, UInt8.self))
    guard words.isSubset(of: .known) else { throw Segment.corrupt("A record has a word of an unknown kind.") }
    var next = headSize
    func word(_ word: Words) -> UInt64 {
      if !words.contains(word) { return 0 }
      next += 8
      return load(next - 8, UInt64.self)
    }
    let detail = word(.detail)
    record.detail = UInt32(truncatingIfNeeded: detail)
    record.origin = UInt32(truncatingIfNeeded: detail >> 32)
    record.reference = word(.reference)
    record.extra = Int64(bitPattern: word(.extra))
    record.remaining = Int64(bitPattern: word(.remaining))
    record.balance = Int64(bitPattern: word(.balance))
    record.available = words.contains(.available) ? Int64(bitPattern: word(.available)) : record.balance
    let fields = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset + next..<offset + size])
    return (record, unsafe Heap(fields))
  }
}
