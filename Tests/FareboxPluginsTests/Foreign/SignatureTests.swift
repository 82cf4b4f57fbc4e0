import FareboxCore
import FareboxPlugins
import Testing

/// The grammar of signatures.
@Suite struct SignatureTests {
  func parse(_ text: String, allowsPointers: Bool = true) throws(Failure) -> Signature {
    try Signature.parse(text, field: "signature", allowsPointers: allowsPointers)
  }

  @Test func `a signature says what a function takes and gives`() throws {
    let signature = try parse("i32(out:u64* dest, bytes:u64 source, i32 level)")
    #expect(signature.result == .i32)
    #expect(signature.parameters.map(\.name) == ["dest", "source", "level"])
    #expect(signature.parameters.map(\.type) == [.outByReference(.u64), .bytes(.u64), .scalar(.i32)])
    #expect(signature.index(of: "source") == 1)
    #expect(signature.index(of: "2") == 2)
    for none in ["3", "-1", "+1", "01", "Source", ""] { #expect(signature.index(of: none) == nil, "\(none)") }
  }

  @Test(arguments: [
    "void()", "double(double, double)", "i8(u8 a, i16 b, u16 c, u32 d, i64 e, u64 f)", "string(string, pointer)",
    "u32(out:u32 _buffer, bytes:u32 i32)", "pointer(out:u32* x)", "i64(out:u64, bytes:u64, bytes:u64)",
    "u64(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, bytes:u64)",
  ])
  func `text and signature say the same`(text: String) throws {
    let signature = try parse(text)
    #expect(signature.description == text)
    #expect(try parse(signature.description) == signature)
  }

  @Test func `spaces are free where words end`() throws {
    let spaced = try parse("  i32( out:u64*dest ,bytes:u64  source,  i32 )  ")
    #expect(spaced.description == "i32(out:u64* dest, bytes:u64 source, i32)")
  }

  @Test(arguments: [
    ("", 1), ("i32", 4), ("int(i32)", 1), ("void(void)", 6), ("I32()", 1), ("i32 ()", 4), ("i32(", 5), ("i32(i32", 8),
    ("i32(i32,)", 9), ("i32(,)", 5), ("i32(i32 a b)", 11), ("i32(i32) x", 10), ("i32(i32))", 9), ("i32(bytes)", 10),
    ("i32(bytes:)", 11), ("i32(bytes:u16)", 11), ("i32(bytes:u64* a)", 14), ("i32(out: u64)", 9),
    ("i32(out:u64 *a)", 13), ("void(out:u64 a)", 6), ("double(i8, out:u32)", 12), ("i32(out:u64, out:u32*)", 14),
    ("i32(i32 1a)", 9), ("i32(i32 a, i32 a)", 16), ("i32(i32\ta)", 8), ("i32(i32 \u{e4})", 9), ("i32(i32 a\0)", 10),
    ("bytes:u64()", 1), ("i32(float)", 5), ("i32(i128)", 5),
  ])
  func `what is not a signature is refused with its column`(text: String, column: Int) throws {
    let failure = try #require(throws: Failure.self) { try parse(text) }
    #expect(failure.status == .invalidArgument)
    #expect(failure.field == "signature")
    #expect(failure.message.hasPrefix("column \(column): "), "\(text): \(failure.message)")
  }

  @Test func `pointers are refused where they are not allowed`() throws {
    for (text, column) in [("pointer()", 1), ("i32(i8, pointer p)", 9)] {
      let failure = try #require(throws: Failure.self) { try parse(text, allowsPointers: false) }
      #expect(failure.message == "column \(column): A pointer is not allowed here.")
    }
    let failure = try #require(throws: Failure.self) { try parse("x()", allowsPointers: false) }
    #expect(!failure.message.contains("pointer"))
  }

  @Test func `lengths have bounds`() throws {
    let many = Array(repeating: "i8", count: Limits.signatureParameters).joined(separator: ",")
    #expect(try parse("i8(\(many))").parameters.count == Limits.signatureParameters)
    let name = String(repeating: "n", count: Limits.parameterName)
    #expect(try parse("i8(i8 \(name))").parameters[0].name == name)
    let wide = String(repeating: " ", count: Limits.signature - 4)
    #expect(try parse("i8()" + wide).parameters.isEmpty)
    for text in ["i8(\(many),i8)", "i8(i8 \(name)n)", "i8() " + wide] {
      let failure = try #require(throws: Failure.self) { try parse(text) }
      #expect(failure.status == .tooLong)
      #expect(failure.field == "signature")
    }
  }
}
