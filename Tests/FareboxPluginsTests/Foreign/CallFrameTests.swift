import FareboxCore
import FareboxPlugins
import Testing

/// Calls by signature.
@Suite struct CallFrameTests {
  func call(
    _ signature: String, _ function: UnsafeRawPointer, _ arguments: inout [ForeignValue]
  ) throws(Failure) -> ForeignValue {
    let frame = try CallFrame(Signature.parse(signature, field: "signature", allowsPointers: true))
    let outcome = unsafe arguments.withUnsafeMutableBufferPointer { buffer -> Result<ForeignValue, Failure> in
      do throws(Failure) {
        try unsafe frame.signature.check(buffer)
        return unsafe .success(frame.invoke(function, buffer))
      } catch {
        return unsafe .failure(error)
      }
    }
    return unsafe try outcome.get()
  }

  func call(
    _ signature: String, _ function: UnsafeRawPointer, _ arguments: ForeignValue...
  ) throws(Failure) -> ForeignValue {
    var list = unsafe arguments
    return unsafe try call(signature, function, &list)
  }

  func integer(_ value: Int64) -> ForeignValue {
    var result = unsafe ForeignValue()
    unsafe result.integer = value
    return unsafe result
  }

  func number(_ value: Double) -> ForeignValue {
    var result = unsafe ForeignValue()
    unsafe result.number = value
    return unsafe result
  }

  func range(_ bytes: UnsafeMutableRawPointer?, _ count: Int) -> ForeignValue {
    var result = unsafe ForeignValue()
    unsafe result.bytes = bytes
    unsafe result.count = count
    return unsafe result
  }

  @Test func `integers pass at the limits of their widths and not beyond`() throws {
    let i8: @convention(c) (Int8) -> Int8 = { $0 }
    let i16: @convention(c) (Int16) -> Int16 = { $0 }
    let i32: @convention(c) (Int32) -> Int32 = { $0 }
    let i64: @convention(c) (Int64) -> Int64 = { $0 }
    let u8: @convention(c) (UInt8) -> UInt8 = { $0 }
    let u16: @convention(c) (UInt16) -> UInt16 = { $0 }
    let u32: @convention(c) (UInt32) -> UInt32 = { $0 }
    let u64: @convention(c) (UInt64) -> UInt64 = { $0 }
    let cases: [(String, UnsafeRawPointer, low: Int64, high: Int64)] = unsafe [
      ("i8", unsafeBitCast(i8, to: UnsafeRawPointer.self), -128, 127),
      ("i16", unsafeBitCast(i16, to: UnsafeRawPointer.self), -32_768, 32_767),
      ("i32", unsafeBitCast(i32, to: UnsafeRawPointer.self), -2_147_483_648, 2_147_483_647),
      ("i64", unsafeBitCast(i64, to: UnsafeRawPointer.self), .min, .max),
      ("u8", unsafeBitCast(u8, to: UnsafeRawPointer.self), 0, 255),
      ("u16", unsafeBitCast(u16, to: UnsafeRawPointer.self), 0, 65_535),
      ("u32", unsafeBitCast(u32, to: UnsafeRawPointer.self), 0, 4_294_967_295),
      ("u64", unsafeBitCast(u64, to: UnsafeRawPointer.self), .min, .max),
    ]
    for unsafe(type, function, low, high) in unsafe cases {
      for value in [low, -1, 0, 1, high] where value >= low {
        #expect(try unsafe call("\(type)(\(type))", function, integer(value)).integer == value, "\(type) \(value)")
      }
      for (value, overflow) in [low.subtractingReportingOverflow(1), high.addingReportingOverflow(1)] where !overflow {
        let failure = try #require(throws: Failure.self) {
          _ = unsafe try call("\(type)(\(type))", function, integer(value))
        }
        #expect(failure.status == .invalidArgument)
        #expect(failure.field == "arguments[0].integer")
      }
    }
  }

  @Test func `doubles and pointers pass as they are`() throws {
    let double: @convention(c) (Double) -> Double = { $0 }
    let function = unsafe unsafeBitCast(double, to: UnsafeRawPointer.self)
    for value in [0.1, -0.0, .infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude] {
      #expect(try unsafe call("double(double)", function, number(value)).number.bitPattern == value.bitPattern)
    }
    #expect(try unsafe call("double(double)", function, number(.nan)).number.isNaN)
    let pointer: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { unsafe $0 }
    let address = unsafe unsafeBitCast(pointer, to: UnsafeRawPointer.self)
    for value in [0, 1, -1] as [Int64] {
      #expect(try unsafe call("pointer(pointer)", address, integer(value)).integer == value)
    }
  }

  @Test func `sixteen parameters of all kinds arrive in their places`() throws {
    typealias Mixed =
      @convention(c) (
        Int8, Double, UInt8, Double, Int16, Double, UInt16, Double, Int32, Double, UInt32, Double, Int64, Double,
        UInt64,
        Double
      ) -> Double
    let mixed: Mixed = { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p in
      let integers = [Double(a), Double(c), Double(e), Double(g), Double(i), Double(k), Double(m), Double(o)]
      let doubles = [b, d, f, h, j, l, n, p]
      return zip(1..., integers).reduce(0) { $0 + Double($1.0) * $1.1 }
        + zip(1..., doubles).reduce(0) { $0 + 1_000 * Double($1.0) * $1.1 }
    }
    let names = ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"]
    var arguments: [ForeignValue] = unsafe []
    var expected = 0.0
    for (index, sign) in [-1, 1, -1, 1, -1, 1, -1, 1].enumerated() {
      let value = Int64((index + 3) * sign)
      unsafe arguments += [integer(value), number(Double(index) + 0.5)]
      expected += Double(index + 1) * Double(value) + 1_000 * Double(index + 1) * (Double(index) + 0.5)
    }
    let signature = "double(\(names.map { "\($0), double" }.joined(separator: ", ")))"
    let result = unsafe try call(signature, unsafeBitCast(mixed, to: UnsafeRawPointer.self), &arguments)
    #expect(unsafe result.number == expected)
  }

  @Test func `sixteen ranges of bytes are thirty-two parameters of C`() throws {
    // Only the first and the last are looked at: a function of thirty-two parameters is long enough as it is.
    let text = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 1)
    defer { unsafe text.deallocate() }
    typealias R = UnsafeRawPointer
    typealias Wide =
      @convention(c) (
        R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?,
        UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64, R?, UInt64
      ) -> UInt64
    let wide: Wide = { a, b, _, c, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, y, z in
      unsafe b + 100 * c + 10_000 * z + (y == a.map { unsafe $0 + 15 } ? 1_000_000 : 0)
    }
    var arguments = unsafe (0..<16).map { unsafe range(text + $0, 16 - $0) }
    let signature = "u64(\(Array(repeating: "bytes:u64", count: 16).joined(separator: ",")))"
    let result = unsafe try call(signature, unsafeBitCast(wide, to: UnsafeRawPointer.self), &arguments)
    #expect(unsafe result.integer == 16 + 100 * 15 + 10_000 * 1 + 1_000_000)
  }

  @Test func `strings go and come`() throws {
    let skip: @convention(c) (UnsafePointer<CChar>?, Int32) -> UnsafePointer<CChar>? = { text, count in
      unsafe text.map { unsafe $0 + Int(count) }
    }
    let function = unsafe unsafeBitCast(skip, to: UnsafeRawPointer.self)
    let word = Array("h\u{e9}llo".utf8CString)
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: word.count, alignment: 1)
    defer { unsafe bytes.deallocate() }
    for (index, byte) in word.enumerated() { unsafe bytes.storeBytes(of: byte, toByteOffset: index, as: CChar.self) }
    let result = unsafe try call("string(string, i32)", function, range(bytes, word.count - 1), integer(3))
    #expect(unsafe result.bytes == bytes + 3)
    #expect(unsafe result.count == 3)
    #expect(try unsafe call("string(string, i32)", function, range(nil, 0), integer(3)).bytes == nil)
    for (count, field) in [(2, "arguments[0].bytes"), (-1, "arguments[0].bytes.len")] {
      let failure = try #require(throws: Failure.self) {
        _ = unsafe try call("string(string, i32)", function, range(bytes, count), integer(0))
      }
      #expect(failure.field == field)
    }
    // A NUL in the middle would cut it.
    unsafe bytes.storeBytes(of: 0, toByteOffset: 1, as: CChar.self)
    let failure = try #require(throws: Failure.self) {
      _ = unsafe try call("string(string, i32)", function, range(bytes, word.count - 1), integer(0))
    }
    #expect(failure.field == "arguments[0].bytes")
  }

  @Test func `out buffers say what was written, and never more than there is`() throws {
    let returns: @convention(c) (UnsafeMutableRawPointer?, UInt32, Int32) -> Int32 = { bytes, capacity, count in
      if capacity > 0 { unsafe bytes?.storeBytes(of: 7, as: UInt8.self) }
      return count
    }
    let stores: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt32>?, Int64) -> Int32 = {
      bytes, count, value in
      let capacity = unsafe count?.pointee ?? 0
      unsafe count?.pointee = UInt32(truncatingIfNeeded: value)
      return Int32(capacity)
    }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
    defer { unsafe buffer.deallocate() }
    for (said, written) in [(0, 0), (5, 5), (8, 8), (9, 8), (-1, 0)] as [(Int64, Int)] {
      var arguments = unsafe [range(buffer, 8), integer(said)]
      let result = unsafe try call(
        "i32(out:u32, i32)", unsafeBitCast(returns, to: UnsafeRawPointer.self), &arguments)
      #expect(unsafe result.integer == said)
      #expect(unsafe arguments[0].count == written)
      #expect(unsafe arguments[0].bytes == buffer)
      #expect(unsafe buffer.load(as: UInt8.self) == 7)

      unsafe arguments = [range(buffer, 8), integer(said)]
      let stored = unsafe try call(
        "i32(out:u32*, i64)", unsafeBitCast(stores, to: UnsafeRawPointer.self), &arguments)
      #expect(unsafe stored.integer == 8)
      #expect(unsafe arguments[0].count == (said == -1 ? 8 : written))
    }
  }

  @Test func `lengths and counts that cannot be are refused before anything is called`() throws {
    let never: @convention(c) () -> Void = { Issue.record("A refused call has reached the function.") }
    let function = unsafe unsafeBitCast(never, to: UnsafeRawPointer.self)
    let byte = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)
    defer { unsafe byte.deallocate() }
    let cases: [(String, ForeignValue, String)] = unsafe [
      ("void(bytes:u32)", range(byte, 1 << 32), "arguments[0].bytes.len"),
      ("void(bytes:u64)", range(byte, -1), "arguments[0].bytes.len"),
      ("void(bytes:u64)", range(nil, 1), "arguments[0].bytes"),
      ("void(out:u32*)", range(byte, 1 << 32), "arguments[0].bytes.len"),
      ("i32(out:u64)", range(nil, 1), "arguments[0].bytes"),
      ("void(string)", range(nil, 1), "arguments[0].bytes"),
    ]
    for unsafe(signature, argument, field) in unsafe cases {
      let failure = try #require(throws: Failure.self) { _ = unsafe try call(signature, function, argument) }
      #expect(failure.status == .invalidArgument)
      #expect(failure.field == field, "\(signature)")
    }
    for count in [0, 2] {
      var arguments = unsafe Array(repeating: integer(0), count: count)
      let failure = try #require(throws: Failure.self) { _ = unsafe try call("void(i8)", function, &arguments) }
      #expect(failure.field == "count")
    }
  }

  @Test func `frames are kept by the text of their signatures`() throws {
    func frame(_ text: String) throws -> CallFrame {
      try lending(text) { texts in try CallFrames.frame(of: texts[0], field: "signature") }
    }
    let first = try frame("void(i32 first)")
    #expect(try frame("void(i32 first)") === first)
    for index in 0..<Limits.callFrames + 50 {
      #expect(try frame("void(i32 p\(index))").signature.parameters[0].name == "p\(index)")
    }
    #expect(try frame("void(i32 first)") === first)
    let failure = try #require(throws: Failure.self) { try frame("void(") }
    #expect(failure.field == "signature")
  }
}
