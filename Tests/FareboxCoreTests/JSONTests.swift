import FareboxCore
import FareboxReference
import Testing

@Suite struct JSONTests {
  @Test func `numbers keep the text they were written with`() throws {
    let json = try JSON.parse(#"[0.70, 1e-06, -0, 12345678901234567890123, 1.5E+3]"#)
    #expect(json.serialized() == "[0.70,1e-06,-0,12345678901234567890123,1.5E+3]")
  }

  @Test(arguments: [
    (#""\u00e9""#, "é"), (#""\ud83d\ude00""#, "😀"), (#""\b\f\n\r\t\/\\\"""#, "\u{8}\u{C}\n\r\t/\\\""),
    (#""\u0000x""#, "\0x"), (#""日本""#, "日本"), (#""""#, ""),
  ])
  func `strings are decoded`(text: String, expected: String) throws {
    #expect(try JSON.parse(text) == .string(expected))
  }

  @Test(arguments: [
    ("", 1, 1), ("  ", 1, 3), ("nul", 1, 1), ("True", 1, 1), ("01", 1, 1), ("-", 1, 2), ("+1", 1, 1), (".5", 1, 1),
    ("1.", 1, 3), ("1e", 1, 3), ("1e+", 1, 4), ("1 2", 1, 3), ("[1,]", 1, 4), ("[1 2]", 1, 4), ("[", 1, 2),
    ("{", 1, 2), ("{\"a\"}", 1, 5), ("{\"a\":}", 1, 6), ("{\"a\":1,}", 1, 8), ("{a:1}", 1, 2), ("{'a':1}", 1, 2),
    ("\"a", 1, 3), ("\"a\nb\"", 1, 3), ("\"\\x\"", 1, 3), ("\"\\u12g4\"", 1, 6), ("\"\\ud800\"", 1, 4),
    ("\"\\ud800\\u0041\"", 1, 4), ("\"\\udc00\"", 1, 4), ("\"é\" x", 1, 5), ("[1,\n 2,\n  x]", 3, 3),
    ("{\"a\":1,\n\"a\":2}", 2, 1), ("NaN", 1, 1), ("Infinity", 1, 1), ("/* */1", 1, 1), ("\u{FEFF}1", 1, 1),
  ])
  func `what is not JSON is refused with its place`(text: String, line: Int, column: Int) {
    #expect(throws: Failure.self) { try JSON.parse(text) }
    do {
      _ = try JSON.parse(text)
    } catch {
      #expect(error.status == .invalidJSON)
      #expect(error.message.hasPrefix("line \(line) column \(column):"), "\(text): \(error.message)")
    }
  }

  @Test(
    arguments: [
      [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE2, 0x82, 0x22],
      [0x22, 0x5C, 0x6E, 0xFF, 0x22],
    ] as [[UInt8]])
  func `bytes that are not UTF-8 are refused`(bytes: [UInt8]) {
    #expect(failure { try JSON.parse(bytes) }.status == .invalidUTF8)
  }

  @Test func `nesting has a limit and no recursion beyond it`() throws {
    let deepest = String(repeating: "[", count: Limits.jsonDepth) + String(repeating: "]", count: Limits.jsonDepth)
    _ = try JSON.parse(deepest)
    #expect(failure { try JSON.parse("[" + deepest + "]") }.status == .tooLong)
    #expect(failure { try JSON.parse(String(repeating: "{\"a\":", count: 100_000)) }.status == .tooLong)
  }

  @Test func `output is deterministic and escapes what must be`() throws {
    let json: JSON = ["b": [1, true, nil, "q\"\\\u{1}\n"], "a": .object([:]), "é": .array([])]
    #expect(json.serialized() == #"{"b":[1,true,null,"q\"\\\u0001\n"],"a":{},"é":[]}"#)
    #expect(json.canonical() == #"{"a":{},"b":[1,true,null,"q\"\\\u0001\n"],"é":[]}"#)
    #expect(try JSON.parse(json.serialized()) == json)
  }

  @Test(
    arguments: [
      ("12", 12), ("\"12\"", 12), ("-9223372036854775808", Int64.min), ("0", 0), ("-0", 0), ("12.0", nil), ("1e3", nil),
      ("\"+1\"", nil), ("\"007\"", nil), ("9223372036854775808", nil), ("\"\"", nil), ("\"-\"", nil), ("true", nil),
    ] as [(String, Int64?)])
  func `integers are read from numbers and strings`(text: String, expected: Int64?) throws {
    #expect(try JSON.parse(text).int64 == expected)
  }

  @Test func `large objects keep order, find every key and refuse a repeated one`() throws {
    let keys = (0..<10_000).map { "key\($0)" }
    let text = "{" + keys.map { "\"\($0)\":\"\($0)\"" }.joined(separator: ",") + "}"
    let object = try #require(JSON.parse(text).object)
    #expect(object.keys == keys)
    #expect(keys.allSatisfy { object[$0]?.string == $0 })
    #expect(object["key"] == nil)
    #expect(failure { try JSON.parse(text.dropLast() + ",\"key5000\":1}") }.status == .invalidJSON)
  }

  @Test func `objects are changed in place and compared without order`() {
    var object: JSONObject = ["a": 1, "b": 2]
    object.append("a", 3)
    object["c"] = 4
    object["b"] = nil
    #expect(object.keys == ["a", "c"])
    #expect(object == ["c": 4, "a": 3])
    #expect(object != ["c": 4, "a": 1])
  }

  @Test func `random documents come back from their text`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let json = JSONTests.random(&generator, depth: 0)
      #expect(try JSON.parse(json.serialized()) == json, "seed \(seed)")
      #expect(try JSON.parse(json.canonical()) == json, "seed \(seed)")
    }
  }

  @Test func `random bytes never stop the reader`() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let alphabet = Array("{}[]\",:\\u0123456789eE+-.truefalsn \n\u{E9}".utf8) + [0xFF, 0x00]
    for _ in 0..<5_000 {
      let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
      }
      if let json = try? JSON.parse(bytes) {
        #expect((try? JSON.parse(json.serialized())) == json, "seed \(seed)")
      }
    }
  }

  private static func random(_ generator: inout SeededGenerator, depth: Int) -> JSON {
    switch Int.random(in: 0...(depth < 4 ? 6 : 4), using: &generator) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &generator))
    case 2: return .int(generator.magnitude(below: 64))
    case 3: return .number("-1.50e\(Int.random(in: -99...99, using: &generator))")
    case 4:
      let scalars = (0..<Int.random(in: 0...8, using: &generator)).compactMap { _ in
        Unicode.Scalar(UInt32.random(in: 0...0x10FFFF, using: &generator))
      }
      return .string(String(String.UnicodeScalarView(scalars)))
    case 5:
      return .array((0..<Int.random(in: 0...5, using: &generator)).map { _ in random(&generator, depth: depth + 1) })
    default:
      var object = JSONObject()
      for index in 0..<Int.random(in: 0...40, using: &generator) {
        object.append("k\(index)", random(&generator, depth: depth + 2))
      }
      return .object(object)
    }
  }
}
