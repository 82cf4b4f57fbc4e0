import Testing

@testable import FareboxCore

/// Usage that a host has counted, as a tally.
@Suite struct TallyUsageTests {
  @Test(arguments: [UInt8(0), 2, 6, 7, 9, 18])
  func `a tally of counts gives the counts again`(_ scale: UInt8) throws {
    let usage = try Usage(units: 7, unitsMicro: 5, inputTokens: 812, value: 123_456_789)
    let all: MeterSet = [MeterSet(.units), MeterSet(.inputTokens), MeterSet(.value), MeterSet(.images)]
    let tally = try Tally(usage, of: all, scale: scale)
    #expect(tally.given == all)
    let again = try tally.usage(scale: scale)
    for meter in Meter.allCases { #expect(again[meter] == usage[meter], "\(meter.name)") }
  }

  @Test func `what was not counted is not given`() throws {
    let tally = try Tally(Usage(units: 7, images: 3), of: MeterSet(.images))
    #expect(tally.given == MeterSet(.images) && tally.micro[Int(Meter.units.rawValue)] == 0)
    #expect(try Tally(.oneRequest, of: []).isEmpty)
  }

  @Test func `a value that does not fit is refused`() throws {
    let usage = try Usage(value: .max)
    #expect(throws: Failure.self) { try Tally(usage, of: MeterSet(.value), scale: 0) }
    let tally = try Tally(usage, of: MeterSet(.value), scale: 9)
    #expect(try tally.usage(scale: 9)[.value] == .max)
  }
}
