import Farebox
import FareboxCore
import Testing

@testable import Farebox

/// What belongs to a run and to a call, and what a run cost.
@Suite struct RunTests {
  private static let history = """
    deposit user:ana 100
    deposit user:bob 100
    deposit user:ana 100 asset=EUR
    skill {"id":"s","tools":[{"name":"t","pricing":{"cost":"0.5","per":"unit"}}]}
    reserve_call user:ana t usage={"units":8} run=r1 call=a as first
    charge user:ana 2 run=r1 call=b as charge
    charge user:ana 9 run=r2
    charge user:ana 9
    wait 1s
    capture @first usage={"units":3} final=false as part
    capture @first 0.25 as rest
    reserve user:ana 3 run=r1 call=c as second
    extend @second 60000
    release @second
    reserve user:ana 4 run=r1 over_capture=overflow as third
    capture @third 5.5 as more
    reserve user:ana 1 run=r1 call=d expires_in_ms=10 as fourth
    reserve user:ana 6 run=r2 call=a as other
    capture @other 6
    wait 1s
    reserve user:ana 7 run=r1 as open
    capture @open 2 final=false as some
    charge user:ana 11 asset=EUR run=r1
    charge user:bob 30 run=r1
    refund @charge 0.5
    refund @part
    refund @some 1
    """

  @Test(arguments: [false, true]) func `a listing by run and call has all that became of its holds`(
    _ isSealed: Bool
  ) throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play(RunTests.history)
    if isSealed {
      try ledger.engine.sealNow()
      try ledger.reopen()
    }
    func kinds(_ input: JSONObject) throws -> [String] {
      let rows = try ledger.engine.call("transfer.list", .object(input)).object?["transfers"]?.array ?? []
      for row in rows {
        for field in ["run", "call"] {
          if let asked = input[field]?.string { #expect(row.object?[field]?.string ?? "" == asked) }
        }
      }
      return rows.compactMap { $0.object?["kind"]?.string }.reversed()
    }
    #expect(try kinds(["run": "r1", "call": "a"]) == ["reserve", "capture", "capture", "refund"])
    #expect(try kinds(["run": "r2", "call": "a"]) == ["reserve", "capture"])
    #expect(try kinds(["call": "a"]) == ["reserve", "capture", "capture", "reserve", "capture", "refund"])
    #expect(try kinds(["run": "r1", "call": "b"]) == ["charge", "refund"])
    #expect(try kinds(["run": "r1", "call": "c"]) == ["reserve", "extend", "release"])
    #expect(try kinds(["run": "r1", "call": "d"]) == ["reserve", "expire"])
    #expect(try kinds(["run": "r1", "account": "user:bob"]) == ["charge"])
    #expect(
      try kinds(["run": "r1", "account": "user:ana", "kind": "capture"])
        == ["capture", "capture", "capture", "capture"])
    #expect(try kinds(["run": "r3"]) == [])
    #expect(try kinds(["run": "r1", "call": "z"]) == [])
    #expect(try kinds(["run": "", "kind": "charge"]) == ["charge"])
    try script.play(
      """
      entry @rest -> OK kind=capture run=r1 call=a
      entry @more -> OK kind=capture run=r1 call=absent
      """)
  }

  @Test(arguments: [false, true]) func `the cost of a run is its charges and captures less its refunds`(
    _ isSealed: Bool
  ) throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    let start = ledger.clock.now
    try script.play(RunTests.history)
    if isSealed {
      try ledger.engine.sealNow()
      try ledger.reopen()
    }
    // 2 charged; 1.5 + 0.25 + 5.5 + 2 captured; 0.5 + 1.5 + 1 refunded; 5 left on the open hold.
    try script.play(
      """
      run.cost run=r1 payer=user:ana -> OK run=r1 assets.count=2 assets.0.asset=USD assets.0.spent=8.25 assets.0.charged=2.00 assets.0.captured=9.25 assets.0.refunded=3.00 assets.0.held=5.00 assets.0.count=5 assets.0.tools.count=2 assets.0.tools.0.tool=null assets.0.tools.0.amount=8.00 assets.0.tools.0.count=3 assets.0.tools.1.tool=t assets.0.tools.1.skill=s assets.0.tools.1.amount=0.25 assets.0.tools.1.count=2 assets.1.asset=EUR assets.1.spent=11.00 assets.1.count=1
      run.cost run=r1 -> OK assets.0.spent=38.25 assets.0.count=6
      run.cost run=r1 payer=user:bob -> OK assets.count=1 assets.0.spent=30.00
      run.cost run=r1 asset=EUR -> OK assets.count=1 assets.0.spent=11.00
      run.cost run=r1 call=a -> OK assets.0.spent=0.25 assets.0.held=0.00
      run.cost run=nothing -> OK assets.count=0 first=null last=null
      run.cost run=r1 asset=JPY -> ASSET_NOT_FOUND field=asset
      run.cost run=r1 payer=user:eve -> ACCOUNT_NOT_FOUND field=payer
      """)
    #expect(status { _ = try ledger.engine.call("run.cost", ["run": ""]) } == .missingField)
    let whole = try ledger.engine.call("run.cost", ["run": "r1"])
    #expect(whole.object?["first"] == .int(start) && whole.object?["last"] == .int(ledger.clock.now))
    // Of what is before it nothing is read, nor what it had held.
    let late = try ledger.engine.call(
      "run.cost", ["run": "r1", "payer": "user:ana", "asset": "USD", "from": .int(start + 2_000_000)])
    let sum = late.object?["assets"]?.array?.first?.object
    #expect(sum?["captured"] == "2.00" && sum?["charged"] == "0.00" && sum?["held"] == "5.00")
    #expect(late.object?["first"] == .int(start + 2_000_000))
  }

  @Test func `a long history is added up over several turns`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play("deposit user:ana 1000")
    let charges: [JSON] = (0..<20_000).map { number in
      ["payer": "user:ana", "amount": "0.001", "run": .string(number % 3 == 0 ? "r" : "s")]
    }
    _ = try ledger.engine.call("charge.create_many", ["charges": .array(charges)])
    try script.play(
      """
      run.cost run=r payer=user:ana -> OK assets.0.spent=6.667 assets.0.count=6667
      run.cost run=s                -> OK assets.0.spent=13.333 assets.0.count=13333
      """)
  }

  @Test func `every row of a busy ledger is found by the run and call that it tells`() throws {
    let ledger = try TestLedger(inFile: true)
    let busy = try BusyLedger(ledger.engine, ledger.clock, seed: 7)
    try busy.work(300, sealEvery: 40)
    try expectRuns(of: ledger.engine)
  }

  @Test(arguments: Corpus.names) func `a ledger that was written without tags is listed by run as well`(
    _ name: String
  ) throws {
    let folder = try TemporaryFolder()
    for suffix in ["", "-wal"] where FileBytes.exists("\(Corpus.folder)/\(name).db\(suffix)") {
      try FileBytes.write(FileBytes.read("\(Corpus.folder)/\(name).db\(suffix)"), folder.file() + suffix)
    }
    let engine = try Engine(url: folder.url(), options: EngineOptions())
    try expectRuns(of: engine)
    try engine.close()
  }

  /// Compares listings and costs of each run with what the rows of the whole journal say.
  private func expectRuns(of engine: Engine) throws {
    func all(_ input: JSONObject) throws -> [JSONObject] {
      var rows: [JSONObject] = []
      var before: JSON = .null
      repeat {
        var page = input
        page.append("limit", 91)
        page.append("before", before)
        let answer = try engine.call("transfer.list", .object(page))
        rows += (answer.object?["transfers"]?.array ?? []).compactMap(\.object)
        before = answer.object?["next"] ?? .null
      } while !before.isNull
      return rows
    }
    let rows = try all([:])
    var runs: [Int64: String] = [:]
    for row in rows.reversed() {
      let id = try #require(row["id"]?.int64)
      let reference = row["reference"]?.int64 ?? 0
      let follows = ["capture", "release", "expire", "extend", "increase", "refund"].contains(row["kind"]?.string)
      runs[id] = follows ? runs[reference] : row["run"]?.string
      #expect(row["run"]?.string == runs[id], "\(row)")
    }
    for run in Set(runs.values) {
      let expected = rows.filter { $0["id"]?.int64.flatMap { runs[$0] } == run }
      #expect(try all(["run": .string(run)]) == expected)
      var spent: [String: Int64] = [:]
      for row in expected {
        let sign: Int64 =
          switch row["kind"]?.string {
          case "charge", "capture": 1
          case "refund": -1
          default: 0
          }
        let asset = row["asset"]?.string ?? ""
        let units = try Amount.parse(row["amount"]?.string ?? "", scale: 9, field: "amount")
        spent[asset, default: 0] += sign * units
      }
      let sums = try engine.call("run.cost", ["run": .string(run)]).object?["assets"]?.array ?? []
      for sum in sums.compactMap(\.object) {
        let found = try Amount.parse(sum["spent"]?.string ?? "", scale: 9, field: "spent")
        #expect(found == spent[sum["asset"]?.string ?? ""])
      }
      #expect(sums.count == spent.count)
    }
  }

  // MARK: Long ids

  @Test func `an id of any length is charged once, listed and capped as one`() throws {
    let ledger = try TestLedger(inFile: true)
    var script = Script(ledger)
    try script.play("deposit user:ana 100")
    _ = try script.answer("limits user:ana per_run=10")
    for length in [255, 256, 700, 65_536] {
      let run = String(repeating: "r", count: length)
      let call = "call_" + String(repeating: "é", count: (length - 5) / 2)
      let request: JSON = [
        "payer": "user:ana", "amount": "6", "run": .string(run), "call": .string(call),
        "idempotency_key": .string("k\(length)"),
      ]
      let hold = try ledger.engine.call("hold.reserve", request)
      #expect(try ledger.engine.call("hold.reserve", request).object?["id"] == hold.object?["id"])
      let id = try #require(hold.object?["hold"])
      _ = try ledger.engine.call("hold.capture", ["hold": id, "amount": "5"])
      var other = try #require(request.object)
      other.append("idempotency_key", .null)
      #expect(status { _ = try ledger.engine.call("charge.create", .object(other)) } == .overRunCap, "\(length)")
      other.append("run", .string(run.dropLast() + "s"))
      other.append("idempotency_key", .string("k\(length)"))
      #expect(status { _ = try ledger.engine.call("hold.reserve", .object(other)) } == .keyConflict, "\(length)")
      let kept = length > 255 ? Identifier.folded(run) : run
      #expect(kept.utf8.count == (length > 255 ? 71 : 255))
      for name in [run, kept] {
        let rows = try ledger.engine.call("transfer.list", ["run": .string(name), "call": .string(call)])
        #expect(rows.object?["transfers"]?.array?.count == 2, "\(length)")
        #expect(rows.object?["transfers"]?.array?.first?.object?["run"] == .string(kept))
        let cost = try ledger.engine.call("run.cost", ["run": .string(name)])
        #expect(
          cost.object?["assets"]?.array?.first?.object?["spent"] == "5.00" && cost.object?["run"] == .string(kept))
      }
    }
    // Computed by another program.
    let digest = "sha256:02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe"
    #expect(Identifier.folded(String(repeating: "a", count: 256)) == digest)
    try ledger.engine.expectSound()
  }

  @Test func `an id that is too long, or no text, is refused by name`() throws {
    let ledger = try TestLedger()
    var script = Script(ledger)
    try script.play("deposit user:ana 100")
    for field in ["run", "call"] {
      let long: JSON = .string(String(repeating: "x", count: 65_537))
      let nul: JSON = .string(String(repeating: "x", count: 300) + "\u{0}")
      for (value, expected) in [(long, Status.tooLong), (nul, .invalidUTF8)] {
        for operation in ["charge.create", "hold.reserve"] {
          let refused = failure {
            _ = try ledger.engine.call(operation, ["payer": "user:ana", "amount": "1", field: value])
          }
          #expect(refused?.status == expected && refused?.field == field)
        }
        let refused = failure { _ = try ledger.engine.call("transfer.list", [field: value]) }
        #expect(refused?.status == expected && refused?.field == field)
      }
    }
  }

  private func failure(_ body: () throws -> Void) -> Failure? {
    do {
      try body()
      return nil
    } catch {
      return error as? Failure
    }
  }
}
