internal import FareboxCore

/// The parameters of a statement in PostgreSQL's binary form.
struct PostgreSQLParameters {
  private(set) var bytes = ContiguousArray<UInt8>()
  /// Where each parameter begins and ends.
  private(set) var places: ContiguousArray<Range<Int>> = []

  mutating func append(_ value: Int64) {
    let start = bytes.count
    add(value)
    places.append(start..<bytes.count)
  }

  mutating func append(_ text: String) {
    let start = bytes.count
    bytes.append(contentsOf: text.utf8)
    places.append(start..<bytes.count)
  }

  mutating func append(_ value: [UInt8]) {
    let start = bytes.count
    bytes.append(contentsOf: value)
    places.append(start..<bytes.count)
  }

  @unsafe
  mutating func append(_ value: UnsafeRawBufferPointer) {
    let start = bytes.count
    unsafe bytes.append(contentsOf: value)
    places.append(start..<bytes.count)
  }

  mutating func append(array values: some Collection<Int64>) {
    let start = bytes.count
    addArrayHead(.int8, values.count)
    for value in values {
      add(Int32(8))
      add(value)
    }
    places.append(start..<bytes.count)
  }

  /// An array of byte strings that stand one after the other in a buffer.
  mutating func append(array buffer: ContiguousArray<UInt8>, ends: ContiguousArray<Int>) {
    let start = bytes.count
    addArrayHead(.bytea, ends.count)
    var from = 0
    for end in ends {
      add(Int32(truncatingIfNeeded: end - from))
      bytes.append(contentsOf: buffer[from..<end])
      from = end
    }
    places.append(start..<bytes.count)
  }

  /// One dimension, no nulls, counted from one.
  private mutating func addArrayHead(_ type: PostgreSQLType, _ count: Int) {
    for word in [1, 0, Int32(bitPattern: type.rawValue), Int32(truncatingIfNeeded: count), 1] { add(word) }
  }

  private mutating func add<Value: FixedWidthInteger>(_ value: Value) {
    unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
  }
}

/// Object ids of PostgreSQL's own types, which never change.
enum PostgreSQLType: UInt32 {
  case bytea = 17
  case int8 = 20
  case text = 25
  case byteaArray = 1001
  case int8Array = 1016
}
