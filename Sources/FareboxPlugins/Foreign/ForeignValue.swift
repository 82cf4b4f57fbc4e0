package import FareboxCore

/// An argument or result of a C function, laid out as `farebox_value`; which member counts follows from the signature.
@unsafe
package struct ForeignValue {
  /// Of an integer type, a u64 as the same bits; of a pointer its address.
  package var integer: Int64 = 0
  package var number: Double = 0
  /// Of bytes and string; of out the buffer.
  package var bytes: UnsafeMutableRawPointer?
  /// Bytes at `bytes`; of out its capacity, and afterwards what was written.
  package var count: Int = 0

  package init() {}
}

extension Signature.Scalar {
  /// Whether the bits of an integer are a value of the type.
  func holds(_ integer: Int64) -> Bool {
    switch self {
    case .i8: Int8(exactly: integer) != nil
    case .i16: Int16(exactly: integer) != nil
    case .i32: Int32(exactly: integer) != nil
    case .u8: UInt8(exactly: integer) != nil
    case .u16: UInt16(exactly: integer) != nil
    case .u32: UInt32(exactly: integer) != nil
    case .i64, .u64, .pointer, .double, .string: true
    }
  }

  /// The value of an integer type that stands in the low bits of a word.
  func integer(_ word: UInt64) -> Int64 {
    switch self {
    case .i8: Int64(Int8(truncatingIfNeeded: word))
    case .i16: Int64(Int16(truncatingIfNeeded: word))
    case .i32: Int64(Int32(truncatingIfNeeded: word))
    case .u8: Int64(UInt8(truncatingIfNeeded: word))
    case .u16: Int64(UInt16(truncatingIfNeeded: word))
    case .u32: Int64(UInt32(truncatingIfNeeded: word))
    case .i64, .u64, .pointer, .double, .string: Int64(bitPattern: word)
    }
  }
}

extension Signature.Width {
  var largest: Int {
    switch self {
    case .u32: Int(UInt32.max)
    case .u64: Int.max
    }
  }

  var bytes: Int {
    switch self {
    case .u32: 4
    case .u64: 8
    }
  }
}

extension Signature {
  /// Refuses arguments that are not what the parameters say, before a call frame is prepared.
  ///
  /// - Throws: `invalidArgument` or `tooLong` with the field `arguments[INDEX]` and what is wrong there.
  package func check(_ arguments: UnsafeMutableBufferPointer<ForeignValue>) throws(Failure) {
    guard arguments.count == parameters.count else {
      throw Failure(
        .invalidArgument, field: "count",
        "The signature has \(parameters.count) parameters; there are \(arguments.count) arguments.")
    }
    for index in parameters.indices {
      let value = unsafe arguments[index]
      switch parameters[index].type {
      case .scalar(.string): unsafe try Signature.checkString(value, index)
      case .scalar(let scalar):
        guard unsafe scalar.holds(value.integer) else {
          throw Signature.wrong(index, "integer", unsafe "\(value.integer) does not fit into \(scalar.rawValue).")
        }
      case .bytes(let width), .out(let width), .outByReference(let width):
        unsafe try Signature.checkRange(value, width, index)
      }
    }
  }

  private static func checkString(_ value: ForeignValue, _ index: Int) throws(Failure) {
    guard let bytes = unsafe value.bytes else {
      guard unsafe value.count == 0 else { throw wrong(index, "bytes", "A length has no pointer.") }
      return
    }
    guard unsafe value.count >= 0 else { throw wrong(index, "bytes.len", "It is longer than memory.") }
    let text = unsafe UnsafeRawBufferPointer(start: bytes, count: value.count + 1)
    guard unsafe text.firstIndex(of: 0) == value.count else {
      throw wrong(index, "bytes", "A string has its first NUL at its len.")
    }
  }

  private static func checkRange(_ value: ForeignValue, _ width: Width, _ index: Int) throws(Failure) {
    guard unsafe (0...width.largest).contains(value.count) else {
      throw wrong(index, "bytes.len", "The length does not fit into \(width.rawValue).")
    }
    guard unsafe value.bytes != nil || value.count == 0 else {
      throw wrong(index, "bytes", "A length has no pointer.")
    }
  }

  private static func wrong(_ index: Int, _ member: String, _ what: String) -> Failure {
    Failure(.invalidArgument, field: "arguments[\(index)].\(member)", what)
  }
}
