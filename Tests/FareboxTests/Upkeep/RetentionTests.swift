import Farebox
import FareboxCore
import FareboxStore
import Testing

@testable import Farebox

/// The rule of `docs/operating.md`: a key is kept for good, at 16 bytes in the store.
@Suite struct RetentionTests {
  @Test func `a key is known after decades, seals, merges, a copy and a rebuild`() throws {
    let (home, folder, clock) = (try TestHome(inFile: true), try TemporaryFolder(), ManualClock())
    var options = EngineOptions()
    options.durability = .normal
    options.clock = { clock.now }
    let engine = try Engine(url: home.url, options: options)
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "1000"])
    let inputs: [JSON] = (0..<90).map { number in
      ["payer": "user:ana", "amount": "1", "idempotency_key": .string("key-\(number)")]
    }
    var ids: [JSON?] = []
    for input in inputs {
      ids.append(try engine.call("charge.create", input).object?["id"])
      clock.advance(200 * 86_400_000_000)
      try engine.sealNow()
    }
    func expectKnown(_ engine: Engine) throws {
      for (index, input) in inputs.enumerated() {
        let again = try engine.call("charge.create", input).object
        #expect(again?["replayed"] == true && again?["id"] == ids[index], "key-\(index)")
        let other: JSON = ["payer": "user:ana", "amount": "2", "idempotency_key": .string("key-\(index)")]
        #expect(status { _ = try engine.call("charge.create", other) } == .keyConflict, "key-\(index)")
      }
    }
    try expectKnown(engine)
    _ = try engine.call("ledger.backup", ["to": .string(folder.url("copy"))])
    _ = try engine.call("ledger.rebuild", ["url": .string(home.url)])
    try engine.close()
    for url in [home.url, folder.url("copy")] {
      let opened = try Engine(url: url, options: options)
      try expectKnown(opened)
      try opened.close()
    }
    // What a key costs in the store besides its record.
    let store = try home.openStore()
    let pages = try Projections.rows(of: store).filter { $0.key.hasPrefix("key_pages") }
    #expect(pages.reduce(0) { $0 + $1.value.count } == inputs.count * KeyEntry.size)
    #expect(KeyEntry.size == 16)
    store.close()
  }
}
