import FareboxCore
import Testing

/// Usage as it is recorded: exact sums, rounded once.
@Suite struct TallyTests {
  private func tally(_ records: String...) throws -> Tally {
    var tally = Tally()
    for record in records { try tally.add(JSON.parse(record)) }
    return tally
  }

  private func usage(_ records: String...) throws -> Usage {
    var tally = Tally()
    for record in records { try tally.add(JSON.parse(record)) }
    return try tally.usage(scale: 9)
  }

  @Test func `counts of a meter add up and null is not given`() throws {
    let sum = try usage(
      #"{"input_tokens": 100, "cache_read_tokens": null}"#, #"{"input_tokens": "20", "output_token": 5}"#)
    #expect(sum[.inputTokens] == 120_000_000)
    #expect(sum[.outputTokens] == 5_000_000)
    #expect(sum[.cacheReadTokens] == 0)
    #expect(try tally(#"{"output_tokens": null}"#, "null").isEmpty)
    #expect(try !tally(#"{"output_tokens": 0}"#).isEmpty)
  }

  @Test func `a number alone counts units and tokens are input tokens`() throws {
    #expect(try usage("1.5", #""2.25""#)[.units] == 3_750_000)
    #expect(try usage(#"{"tokens": 7}"#)[.inputTokens] == 7_000_000)
  }

  @Test func `digits beyond a meter's are rounded once, half to even`() throws {
    #expect(try usage("1.2345678912")[.units] == 1_234_568)
    // Each alone would be nothing.
    #expect(try usage("0.0000004", "0.0000004", "0.0000004")[.units] == 1)
    #expect(try usage("0.0000005")[.units] == 0)
    #expect(try usage("0.0000015")[.units] == 2)
    #expect(try usage(#"{"output_tokens": 2.5}"#)[.outputTokens] == 2_000_000)
    #expect(try usage(#"{"output_tokens": 0.3}"#, #"{"output_tokens": 0.3}"#)[.outputTokens] == 1_000_000)
    #expect(try usage("0.3333333333333333333333333333333333333333333333333333")[.units] == 333_333)
    #expect(try usage("1e-30")[.units] == 0)
    #expect(try usage(#"{"value": "12.3456789014"}"#)[.value] == 12_345_678_901)
  }

  @Test(arguments: [
    (#"{"output_tokens": -1}"#, Status.invalidArgument, "usage.output_tokens"),
    (#"{"output_tokens": "many"}"#, .invalidArgument, "usage.output_tokens"),
    (#"{"output_tokens": true}"#, .invalidArgument, "usage.output_tokens"),
    (#"{"output_tokens": [1]}"#, .invalidArgument, "usage.output_tokens"),
    (#"{"output_tokens": ""}"#, .invalidArgument, "usage.output_tokens"),
    (#"{"words": 1}"#, .unknownField, "usage.words"), ("true", .invalidArgument, "usage"),
    (#"{"units": 1e30}"#, .overflow, "usage.units"), ("9223372036855", .overflow, "usage"),
  ])
  func `what is no usage is refused where it is recorded and changes nothing`(
    _ record: String, _ status: Status, _ field: String
  ) throws {
    var tally = try tally(#"{"input_tokens": 5}"#)
    let failure = #expect(throws: Failure.self) { try tally.add(JSON.parse(record)) }
    #expect(failure?.status == status)
    #expect(failure?.field == field)
    let after = try tally.usage(scale: 9)
    #expect(after[.inputTokens] == 5_000_000)
    #expect(tally.given == MeterSet(.inputTokens))
  }

  @Test func `an object is added whole or not at all`() throws {
    var tally = Tally()
    #expect(throws: Failure.self) { try tally.add(JSON.parse(#"{"input_tokens": 5, "output_tokens": -1}"#)) }
    #expect(tally.isEmpty)
  }

  @Test func `sums that do not fit are refused`() throws {
    var tally = try tally("9000000000000")
    let failure = #expect(throws: Failure.self) { try tally.add(JSON.parse("9000000000000")) }
    #expect(failure?.status == .overflow)
    #expect(try tally.usage(scale: 9)[.units] == 9_000_000_000_000_000_000)
  }
}
