import FareboxCore
import Testing

@testable import FareboxPlugins

/// JSON that becomes arguments of C functions, and results that become JSON.
@Suite struct ForeignArgumentsTests {
  private func function(
    _ signature: String, capacity: ForeignFunction.Capacity? = nil
  ) throws -> ForeignFunction {
    ForeignFunction(
      symbol: "f", signature: try Signature.parse(signature, field: "", allowsPointers: false), success: nil,
      capacity: capacity)
  }

  @Test(arguments: [
    ("i8 x", "127", Int64(127)), ("i8 x", "-128", Int64(-128)), ("u8 x", "255", Int64(255)),
    ("i64 x", "\"-9223372036854775808\"", Int64.min), ("u64 x", "\"18446744073709551615\"", Int64(-1)),
    ("u64 x", "18446744073709551615", Int64(-1)), ("u32 x", "\"7\"", Int64(7)),
  ])
  func takesIntegersOfTheWidth(_ parameter: String, _ text: String, _ value: Int64) throws {
    let arguments = try ForeignArguments(JSON.parse("{\"x\":\(text)}"), of: function("void(\(parameter))"))
    #expect(unsafe arguments.values[0].integer == value)
  }

  @Test(arguments: [
    ("i8 x", #"{"x":128}"#, "x"), ("u8 x", #"{"x":-1}"#, "x"), ("u64 x", #"{"x":-1}"#, "x"),
    ("u64 x", #"{"x":"18446744073709551616"}"#, "x"), ("i32 x", #"{"x":1.5}"#, "x"), ("i32 x", "{}", "x"),
    ("i32 x", #"{"x":1,"y":2}"#, "y"), ("double x", #"{"x":"1"}"#, "x"), ("double x", #"{"x":1e999}"#, "x"),
    ("string x", #"{"x":"a\u0000b"}"#, "x"), ("bytes:u32 x", #"{"x":{"base64":"*"}}"#, "x"),
    ("bytes:u32 x", #"{"x":{"base64":"","more":1}}"#, "x"), ("bytes:u32 x", #"{"x":7}"#, "x"),
  ])
  func refusesWhatDoesNotFit(_ parameter: String, _ input: String, _ field: String) throws {
    let function = try function("void(\(parameter))")
    do throws(Failure) {
      _ = try ForeignArguments(JSON.parse(input), of: function)
      Issue.record("\(input) was taken")
    } catch {
      #expect(error.field == field)
    }
  }

  @Test func givesTheBufferRoomByItsRule() throws {
    let rule = ForeignFunction.Capacity(argument: "source", percent: 101, plus: 64)
    let function = try function("i32(out:u64* dest, bytes:u64 source)", capacity: rule)
    let arguments = try ForeignArguments(["source": .string(String(repeating: "x", count: 1_000))], of: function)
    #expect(unsafe arguments.values[0].count == 1_074)
    let huge = ForeignFunction.Capacity(argument: "source", percent: .max, plus: 0)
    let impossible = try self.function("i32(out:u64* dest, bytes:u64 source)", capacity: huge)
    #expect(throws: Failure.self) { try ForeignArguments(["source": "xx"], of: impossible) }
  }

  @Test(arguments: [
    ("u64()", Int64(-1), "\"18446744073709551615\""), ("i64()", Int64(1 << 53), "9007199254740992"),
    ("i64()", Int64(1 << 53) + 1, "\"9007199254740993\""), ("i64()", Int64.min, "\"-9223372036854775808\""),
  ])
  func writesWideIntegersSoThatEveryReaderKeepsThem(_ signature: String, _ value: Int64, _ text: String) throws {
    let arguments = try ForeignArguments([:], of: function(signature))
    var result = unsafe ForeignValue()
    unsafe result.integer = value
    #expect(try unsafe arguments.output(result).serialized() == "{\"result\":\(text)}")
  }
}
