internal import CFFI
package import FareboxCore
internal import Glibc

/// A signature prepared for libffi: made once, and used by any number of calls and threads.
@safe
package final class CallFrame: @unchecked Sendable {
  package let signature: Signature
  // Sound because what they point to is written once, in init, and only read afterwards, by libffi too.
  let interface: UnsafeMutablePointer<ffi_cif>
  private let types: UnsafeMutablePointer<UnsafeMutablePointer<ffi_type>?>

  /// - Throws: `unsupported` where libffi does not know the types.
  package init(_ signature: Signature) throws(Failure) {
    self.signature = signature
    var list: [UnsafeMutablePointer<ffi_type>?] = unsafe []
    for parameter in signature.parameters { unsafe list += parameter.type.foreignTypes }
    unsafe types = .allocate(capacity: max(1, list.count))
    unsafe interface = .allocate(capacity: 1)
    for index in unsafe list.indices { unsafe types[index] = unsafe list[index] }
    let result = unsafe signature.result?.foreignType ?? farebox_ffi_void()
    let status = unsafe ffi_prep_cif(interface, FFI_DEFAULT_ABI, UInt32(list.count), result, types)
    guard status == FFI_OK else {
      throw Failure(.unsupported, field: "signature", "libffi cannot prepare calls of this signature.")
    }
  }

  deinit {
    unsafe interface.deallocate()
    unsafe types.deallocate()
  }

  /// Most words that the C parameters of a signature need: two for a range of bytes, and one more for the capacity that
  /// an out parameter points to.
  private static let words = 2 * Limits.signatureParameters + 1

  /// Calls a function with arguments that `Signature.check` has accepted.
  ///
  /// - Parameters:
  ///   - function: of this signature; a false one is undefined behaviour.
  ///   - arguments: one for each parameter; the count of an out buffer becomes what was written, at most its capacity.
  /// - Returns: the result; of `string` its bytes without the NUL, which belong to the function that was called.
  package func invoke(
    _ function: UnsafeRawPointer, _ arguments: UnsafeMutableBufferPointer<ForeignValue>
  ) -> ForeignValue {
    unsafe withUnsafeTemporaryAllocation(of: UInt64.self, capacity: CallFrame.words) { words in
      unsafe withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: CallFrame.words) { places in
        let capacity = unsafe lay(arguments, words, places)
        var word: UInt64 = 0
        unsafe ffi_call(
          interface, unsafeBitCast(function, to: (@convention(c) () -> Void).self), &word, places.baseAddress)
        if let capacity = unsafe capacity { unsafe settle(arguments, capacity, word) }
        return unsafe value(word)
      }
    }
  }

  /// Lays out the C arguments, each at the beginning of a word, which on a little-endian machine is its value at any width.
  ///
  /// - Returns: the word that holds the capacity of the out buffer.
  private func lay(
    _ arguments: UnsafeMutableBufferPointer<ForeignValue>, _ words: UnsafeMutableBufferPointer<UInt64>,
    _ places: UnsafeMutableBufferPointer<UnsafeMutableRawPointer?>
  ) -> UnsafeMutablePointer<UInt64>? {
    var next = 0
    var capacity: UnsafeMutablePointer<UInt64>?
    func add(_ word: UInt64) {
      guard let place = unsafe words.baseAddress?.advanced(by: next) else { return }
      unsafe place.initialize(to: word)
      unsafe places.initializeElement(at: next, to: UnsafeMutableRawPointer(place))
      next += 1
    }
    for index in signature.parameters.indices {
      let value = unsafe arguments[index]
      switch signature.parameters[index].type {
      case .scalar(.double): unsafe add(value.number.bitPattern)
      case .scalar(.string): unsafe add(UInt64(UInt(bitPattern: value.bytes)))
      case .scalar: unsafe add(UInt64(bitPattern: value.integer))
      case .bytes:
        unsafe add(UInt64(UInt(bitPattern: value.bytes)))
        unsafe add(UInt64(value.count))
      case .out:
        unsafe add(UInt64(UInt(bitPattern: value.bytes)))
        unsafe capacity = words.baseAddress?.advanced(by: next)
        unsafe add(UInt64(value.count))
      case .outByReference:
        unsafe add(UInt64(UInt(bitPattern: value.bytes)))
        // The last word is nobody else's: there is at most one out parameter.
        let own = unsafe words.baseAddress?.advanced(by: CallFrame.words - 1)
        unsafe own?.initialize(to: UInt64(value.count))
        unsafe capacity = own
        add(UInt64(UInt(bitPattern: own)))
      }
    }
    return unsafe capacity
  }

  /// Writes into the out buffer's count what the function says it wrote there.
  private func settle(
    _ arguments: UnsafeMutableBufferPointer<ForeignValue>, _ capacity: UnsafeMutablePointer<UInt64>, _ word: UInt64
  ) {
    for index in signature.parameters.indices {
      let largest = unsafe arguments[index].count
      switch signature.parameters[index].type {
      case .scalar, .bytes: continue
      case .out: unsafe arguments[index].count = signature.written(word, atMost: largest)
      case .outByReference(let width):
        unsafe arguments[index].count = width.count(capacity.pointee, atMost: largest)
      }
    }
  }

  private func value(_ word: UInt64) -> ForeignValue {
    var value = unsafe ForeignValue()
    switch signature.result {
    case nil: break
    case .double: unsafe value.number = Double(bitPattern: word)
    case .string:
      unsafe value.bytes = UnsafeMutableRawPointer(bitPattern: UInt(word))
      if let bytes = unsafe value.bytes { unsafe value.count = strlen(bytes.assumingMemoryBound(to: CChar.self)) }
    case .some(let scalar): unsafe value.integer = scalar.integer(word)
    }
    return unsafe value
  }
}

extension Signature {
  /// How much of an out buffer was written, according to the function's result; one below zero is nothing.
  func written(_ word: UInt64, atMost capacity: Int) -> Int {
    guard let result else { return 0 }
    let integer = result.integer(word)
    // Only a u64 beyond Int64.max has the sign bit and means it.
    if integer < 0 { return result == .u64 ? capacity : 0 }
    return min(Int(integer), capacity)
  }
}

extension Signature.Width {
  /// The number in a word that a function was given to write it, in as many of its bytes as the width has.
  func count(_ word: UInt64, atMost capacity: Int) -> Int {
    let number = self == .u32 ? UInt64(UInt32(truncatingIfNeeded: word)) : word
    return Int(min(number, UInt64(capacity)))
  }
}

extension Signature.ParameterType {
  /// The types of its C parameters.
  fileprivate var foreignTypes: [UnsafeMutablePointer<ffi_type>?] {
    switch self {
    case .scalar(let scalar): unsafe [scalar.foreignType]
    case .bytes(let width), .out(let width): unsafe [farebox_ffi_pointer(), width.foreignType]
    case .outByReference: unsafe [farebox_ffi_pointer(), farebox_ffi_pointer()]
    }
  }
}

extension Signature.Width {
  fileprivate var foreignType: UnsafeMutablePointer<ffi_type>? {
    switch self {
    case .u32: unsafe farebox_ffi_uint32()
    case .u64: unsafe farebox_ffi_uint64()
    }
  }
}

extension Signature.Scalar {
  fileprivate var foreignType: UnsafeMutablePointer<ffi_type>? {
    switch self {
    case .i8: unsafe farebox_ffi_sint8()
    case .i16: unsafe farebox_ffi_sint16()
    case .i32: unsafe farebox_ffi_sint32()
    case .i64: unsafe farebox_ffi_sint64()
    case .u8: unsafe farebox_ffi_uint8()
    case .u16: unsafe farebox_ffi_uint16()
    case .u32: unsafe farebox_ffi_uint32()
    case .u64: unsafe farebox_ffi_uint64()
    case .double: unsafe farebox_ffi_double()
    case .string, .pointer: unsafe farebox_ffi_pointer()
    }
  }
}
