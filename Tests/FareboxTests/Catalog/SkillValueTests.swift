import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// Values that skills keep in the ledger.
@Suite struct SkillValueTests {
  @Test func `values survive seals and reopening, and the last change wins`() throws {
    let ledger = try TestLedger(inFile: true)
    try ledger.engine.setSkillValues("s", [("a", [1, 2]), ("b", [3])])
    try ledger.engine.sealNow()
    try ledger.engine.setSkillValues("s", [("b", nil), ("c", [0, 255])])
    try ledger.engine.setSkillValues("t", [("a", [9])])
    for round in 0..<3 {
      #expect(try ledger.engine.skillValue("s", "a") == [1, 2], "round \(round)")
      #expect(try ledger.engine.skillValue("s", "b") == nil)
      #expect(try ledger.engine.skillValue("s", "c") == [0, 255])
      #expect(try ledger.engine.skillValue("t", "a") == [9])
      #expect(try ledger.engine.skillValue("t", "b") == nil)
      if round == 1 { try ledger.engine.sealNow() }
      try ledger.reopen()
    }
    try ledger.engine.expectSound()
  }

  @Test func `values changed at random are those of a dictionary`() throws {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let ledger = try TestLedger(inFile: true)
    var expected: [String: [UInt8]] = [:]
    for step in 0..<200 {
      let key = "k\(Int.random(in: 0..<12, using: &generator))"
      let value: [UInt8]? =
        Bool.random(using: &generator) ? [UInt8.random(in: 0...255, using: &generator)] : nil
      try ledger.engine.setSkillValues("s", [(key, value)])
      expected[key] = value
      if step % 37 == 0 { try ledger.engine.sealNow() }
      if step % 53 == 0 { try ledger.reopen() }
    }
    for index in 0..<12 {
      #expect(try ledger.engine.skillValue("s", "k\(index)") == expected["k\(index)"], "seed \(seed)")
    }
    try ledger.engine.expectSound()
  }

  @Test func `what passes a limit changes nothing`() throws {
    let ledger = try TestLedger()
    try ledger.engine.setSkillValues("s", [("a", [1])])
    let long = [UInt8](repeating: 0, count: Limits.skillValue + 1)
    #expect(status { try ledger.engine.setSkillValues("s", [("a", [2]), ("b", long)]) } == .tooLong)
    #expect(status { try ledger.engine.setSkillValues("s", [("a", [2]), ("", [1])]) } == .tooLong)
    let many = (0..<Limits.skillValueKeys).map { (key: "k\($0)", value: [UInt8]?.some([1])) }
    #expect(status { try ledger.engine.setSkillValues("s", many) } == .tooLong)
    #expect(try ledger.engine.skillValue("s", "a") == [1])
    #expect(try ledger.engine.skillValue("s", "k0") == nil)
    try ledger.engine.setSkillValues("t", many)
  }

  @Test func `another engine on the ledger sees them`() throws {
    let ledger = try TestLedger(inFile: true)
    let other = try ledger.another()
    defer { try? other.close() }
    try ledger.engine.setSkillValues("s", [("a", [1])])
    #expect(try other.skillValue("s", "a") == [1])
  }

  @Test func `an event that another module raises is listed`() throws {
    let ledger = try TestLedger()
    try ledger.engine.raiseEvent("plugin.loaded", ["plugin": "org.example.echo"])
    let events = try ledger.engine.call("event.list").object?["events"]?.array ?? []
    #expect(events.first?.object?["type"] == "plugin.loaded")
    #expect(events.first?.object?["plugin"] == "org.example.echo")
  }
}
