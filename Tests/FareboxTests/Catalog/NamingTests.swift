import FareboxCore
import Testing

@testable import Farebox

/// Tools of one name in several skills, in several versions of one, and the names by which each is charged.
@Suite struct NamingTests {
  @Test func `tools of one name live side by side, each at its own price`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"a","version":"1.0.0","owner":"org:a","tools":[{"name":"search","pricing":{"cost":"1"}},{"name":"only","pricing":{"cost":"5"}}]}
      call user:ana search                             -> OK amount=1.00
      reserve_call user:ana search as hold
      skill {"id":"b","version":"2.0.0","owner":"org:b","tools":[{"name":"search","pricing":{"cost":"3"}}]}   -> OK changed=true
      call user:ana a#search                           -> OK amount=1.00
      call user:ana b#search                           -> OK amount=3.00
      call user:ana b@2.0.0#search                     -> OK amount=3.00
      call user:ana only                               -> OK amount=5.00
      call user:ana search                             -> TOOL_AMBIGUOUS field=tool count=2 candidates.0=a#search candidates.1=b#search
      reserve_call user:ana search                     -> TOOL_AMBIGUOUS field=tool
      quote search                                     -> TOOL_AMBIGUOUS field=tool
      quote b#search                                   -> OK total=3.00 tool=search skill=b
      tool.inspect tool=search                         -> TOOL_AMBIGUOUS field=tool
      tool.disable tool=search                         -> TOOL_AMBIGUOUS
      tool.disable tool=search account=user:ana        -> TOOL_AMBIGUOUS
      tool.list after=search                           -> TOOL_AMBIGUOUS
      transfer.list tool=search                        -> TOOL_AMBIGUOUS
      price.set tool=search customer=user:ana price={"cost":"1"}   -> TOOL_AMBIGUOUS
      capture @hold                                    -> OK amount=1.00
      seal
      reopen
      call user:ana search                             -> TOOL_AMBIGUOUS count=2
      call user:ana a#search                           -> OK amount=1.00
      call user:ana b@2.0.0#search                     -> OK amount=3.00
      balance org:b                                    -> OK balance=9.00
      transfer.list tool=b#search                      -> OK transfers.count=3 transfers.0.tool=search transfers.0.skill=b
      transfer.list tool=a@1.0.0#search                -> OK transfers.count=5 transfers.0.skill=a
      """)
  }

  @Test func `each form leads to switches, customers' prices and access of the one tool`() throws {
    let manifests = ["a", "b"].map { id in
      #"skill {"id":"\#(id)","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"2"}}]}"#
    }
    try play(
      inFile: true,
      """
      deposit user:ana 100
      deposit user:bob 100
      \(manifests[0])
      \(manifests[1])
      price.set tool=a#t customer=user:ana price={"cost":"1"}              -> OK tool=t skill=a customer=user:ana
      call user:ana a#t                                                    -> OK amount=1.00
      call user:ana a@1.0.0#t                                              -> OK amount=1.00
      call user:ana b#t                                                    -> OK amount=2.00
      tool.disable tool=b@1.0.0#t                                          -> OK tool=t skill=b enabled=false
      tool.disable tool=a#t account=user:bob                               -> OK enabled=true
      seal
      reopen
      call user:ana b#t                                                    -> TOOL_DISABLED
      call user:ana b@1.0.0#t                                              -> TOOL_DISABLED
      call user:bob a@1.0.0#t                                              -> TOOL_DISABLED
      call user:ana a#t                                                    -> OK amount=1.00
      call user:ana t                                                      -> TOOL_AMBIGUOUS
      tool.enable tool=b#t                                                 -> OK enabled=true
      skill.disable skill=a                                                -> OK
      call user:ana a@1.0.0#t                                              -> TOOL_DISABLED
      call user:bob b#t                                                    -> OK amount=2.00
      """)
  }

  @Test func `a version stays callable at its own price`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","owner":"org:one","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      skill {"id":"s","version":"2.0.0","owner":"org:two","tools":[{"name":"t","pricing":{"cost":"2"}},{"name":"new","pricing":{"cost":"9"}}]}
      call user:ana t                                  -> OK amount=2.00 price_version=2
      call user:ana s#t                                -> OK amount=2.00
      call user:ana s@1.0.0#t                          -> OK amount=1.00 price_version=1
      reserve_call user:ana s@1.0.0#t as hold          -> OK amount=1.00
      quote s@1.0.0#t                                  -> OK total=1.00
      seal
      reopen
      call user:ana s@1.0.0#t                          -> OK amount=1.00
      call user:ana s@2.0.0#t                          -> OK amount=2.00
      call user:ana s@3.0.0#t                          -> TOOL_NOT_FOUND field=tool
      call user:ana s@1.0.0#new                        -> TOOL_NOT_FOUND field=tool
      call user:ana s#none                             -> TOOL_NOT_FOUND field=tool
      call user:ana none#t                             -> TOOL_NOT_FOUND field=tool
      capture @hold                                    -> OK amount=1.00
      balance org:one                                  -> OK balance=3.00
      balance org:two                                  -> OK balance=6.00
      tool.inspect tool=s@1.0.0#t                      -> OK tool=t skill=s full_name=s#t version=1.0.0 pricing.components.0.rate=1 split.0.account=org:one
      tool.inspect tool=t                              -> OK version=2.0.0 versions=["2.0.0","1.0.0"] split.0.account=org:two
      skill.inspect skill=s                            -> OK version=2.0.0 versions=["2.0.0","1.0.0"]
      """)
  }

  @Test func `a known version may be kept as it is`() throws {
    let one = #"{"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1"}}]}"#
    let two = #"{"id":"s","version":"2.0.0","tools":[{"name":"t","pricing":{"cost":"2"}}]}"#
    let other = #"{"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"7"}}]}"#
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill \(one) keep_current=true                   -> OK changed=true version=1.0.0
      skill \(two) keep_current=true                   -> OK changed=true version=2.0.0
      skill \(one) keep_current=true                   -> OK changed=false version=2.0.0
      skill \(two) keep_current=true                   -> OK changed=false version=2.0.0
      call user:ana t                                  -> OK amount=2.00 price_version=2
      skill \(other) keep_current=true                 -> SKILL_EXISTS field=manifest.version
      skill \(other)                                   -> SKILL_EXISTS field=manifest.version
      reopen
      skill \(other)                                   -> SKILL_EXISTS field=manifest.version
      seal
      reopen
      skill \(one) keep_current=true                   -> OK changed=false version=2.0.0
      skill \(other)                                   -> SKILL_EXISTS field=manifest.version
      wait 1s
      skill \(one)                                     -> OK changed=true version=1.0.0
      call user:ana t                                  -> OK amount=1.00
      call user:ana s@2.0.0#t                          -> OK amount=2.00
      skill \(one)                                     -> OK changed=false
      """)
  }

  @Test func `a version that is kept leaves nothing behind`() throws {
    let ledger = try TestLedger()
    func manifest(_ number: Int) -> JSON {
      [
        "id": "s", "version": .string("1.0.\(number)"),
        "tools": [["name": "t", "pricing": ["cost": .string("0.0\(number + 1)")]]],
      ]
    }
    for number in 0..<3 { _ = try ledger.engine.call("skill.register", ["manifest": manifest(number)]) }
    func size() throws -> [Int] {
      try ledger.engine.read { ledger, _ throws(Rejection) in
        return [
          Int(ledger.state.nextRecord), ledger.state.catalog.prices.count, ledger.state.catalog.tools.count,
          ledger.state.catalog.tools[0].periods.count, ledger.state.catalog.identities[0].versions.count,
          ledger.state.catalog.skills["s"]?.order.count ?? 0,
        ]
      }
    }
    let before = try size()
    for number in 0..<300 {
      let answer = try ledger.engine.call(
        "skill.register", ["manifest": manifest(number % 3), "keep_current": true])
      #expect(answer.object?["changed"] == false)
    }
    #expect(try size() == before)
  }

  @Test func `a plain name is of the tool that is for sale`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"a","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      skill {"id":"b","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"2"}}]}
      call user:ana t                                  -> TOOL_AMBIGUOUS
      # A switch does not hand a name over.
      tool.disable tool=a#t
      call user:ana t                                  -> TOOL_AMBIGUOUS
      tool.enable tool=a#t
      skill {"id":"a","version":"2.0.0","tools":[]}
      call user:ana t                                  -> OK amount=2.00
      call user:ana a#t                                -> TOOL_DISABLED
      call user:ana a@1.0.0#t                          -> OK amount=1.00
      seal
      reopen
      call user:ana t                                  -> OK amount=2.00
      skill {"id":"b","version":"2.0.0","tools":[]}
      call user:ana t                                  -> TOOL_AMBIGUOUS candidates.0=a#t candidates.1=b#t
      skill {"id":"a","version":"3.0.0","tools":[{"name":"t","pricing":{"cost":"4"}}]}
      call user:ana t                                  -> OK amount=4.00
      """)
  }

  @Test func `a tool that was dropped does not come back by its switch`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      skill {"id":"s","version":"2.0.0","tools":[]}
      tool.enable tool=t                               -> TOOL_DISABLED field=tool
      tool.enable tool=s#t                             -> TOOL_DISABLED field=tool
      call user:ana t                                  -> TOOL_DISABLED field=tool
      tool.inspect tool=t                              -> OK enabled=false
      call user:ana s@1.0.0#t                          -> OK amount=1.00
      tool.disable tool=t                              -> OK enabled=false
      call user:ana s@1.0.0#t                          -> TOOL_DISABLED
      tool.enable tool=t                               -> TOOL_DISABLED
      seal
      reopen
      call user:ana s@1.0.0#t                          -> TOOL_DISABLED
      tool.enable tool=s@1.0.0#t                       -> OK enabled=true
      call user:ana s@1.0.0#t                          -> OK amount=1.00
      call user:ana t                                  -> TOOL_DISABLED
      skill {"id":"s","version":"3.0.0","tools":[{"name":"t","pricing":{"cost":"3"}}]}
      call user:ana t                                  -> OK amount=3.00
      """)
  }

  @Test func `a repeat is answered however its tool is named by now`() throws {
    try play(
      """
      deposit user:ana 100
      skill {"id":"a","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1"}},{"name":"u","pricing":{"cost":"1"}}]}
      call user:ana t idempotency_key=k                -> OK amount=1.00 replayed=false
      reserve_call user:ana t idempotency_key=h        -> OK amount=1.00
      skill {"id":"b","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"2"}}]}
      call user:ana t idempotency_key=k                -> OK amount=1.00 replayed=true
      reserve_call user:ana t idempotency_key=h        -> OK amount=1.00 replayed=true
      call user:ana a#t idempotency_key=k              -> OK amount=1.00 replayed=true
      call user:ana b#t idempotency_key=k              -> KEY_CONFLICT field=tool
      call user:ana u idempotency_key=k                -> KEY_CONFLICT field=tool
      """)
  }

  @Test func `calls of two tools under one id are two calls, and of two versions of one tool one`() throws {
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:ana", "amount": "100"])
    for (id, version, cost) in [("a", "1.0.0", "1"), ("a", "2.0.0", "2"), ("b", "1.0.0", "4")] as [(JSON, JSON, JSON)] {
      let manifest: JSON = ["id": id, "version": version, "tools": [["name": "t", "pricing": ["cost": cost]]]]
      _ = try ledger.engine.call("skill.register", ["manifest": manifest])
    }
    func begin(_ tool: JSON) throws -> JSONObject {
      let call: JSON = ["payer": "user:ana", "tool": tool, "call": "1", "arguments": ["q": "x"]]
      return try #require(try ledger.engine.call("call.begin", call).object)
    }
    let first = try begin("a@1.0.0#t")
    let other = try begin("b#t")
    let again = try begin("a#t")
    #expect(first["held"] == "1.00" && first["shared"] == false)
    #expect(other["held"] == "4.00" && other["shared"] == false && other["hold"] != first["hold"])
    #expect(again["held"] == "1.00" && again["shared"] == true && again["hold"] == first["hold"])
  }

  @Test func `what a run cost tells tools of one name apart`() throws {
    try play(
      """
      deposit user:ana 100
      skill {"id":"a","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      skill {"id":"b","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"3"}}]}
      call user:ana a#t run=r
      call user:ana b#t run=r
      call user:ana a@1.0.0#t run=r
      run.cost run=r         -> OK assets.0.tools.0.skill=a assets.0.tools.0.amount=2.00 assets.0.tools.1.skill=b assets.0.tools.1.tool=t
      """)
  }

  @Test func `a hold of a tool that was dropped may still grow, until it is switched off`() throws {
    try play(
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      reserve_call user:ana t over_capture=cap as hold
      skill {"id":"s","version":"2.0.0","tools":[]}
      hold.increase hold=@hold amount=1                -> OK
      tool.disable tool=t
      hold.increase hold=@hold amount=1                -> TOOL_DISABLED field=hold
      capture @hold 2                                  -> OK amount=2.00
      """)
  }

  @Test func `a line of a capture costs what the version that it names declares`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"1"}}]}
      skill {"id":"s","version":"2.0.0","tools":[{"name":"t","pricing":{"cost":"2"}}]}
      skill {"id":"b","version":"1.0.0","tools":[{"name":"t","pricing":{"cost":"5"}}]}
      reserve_call user:ana s@1.0.0#t max_cost=20 as hold
      # The plain name is the hold's tool, whatever else has the name.
      capture @hold lines=[{"tool":"t"},{"tool":"s@1.0.0#t"},{"tool":"s@2.0.0#t"},{"tool":"b#t"}] idempotency_key=k   -> OK amount=9.00 tool=t skill=s lines.0.amount=1.00 lines.1.amount=1.00 lines.2.amount=2.00 lines.3.amount=5.00 lines.3.skill=b
      seal
      reopen
      capture @hold lines=[{"tool":"t"},{"tool":"s@1.0.0#t"},{"tool":"s@2.0.0#t"},{"tool":"b#t"}] idempotency_key=k   -> OK amount=9.00 replayed=true lines.3.skill=b
      """)
  }

  @Test func `a rate and a tool may have one name`() throws {
    try play(
      inFile: true,
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"c/m","pricing":{"cost":"1"}}]}
      call user:ana c/m                                -> OK amount=1.00
      card {"name":"c","entries":[{"name":"m","price":{"cost":"7"}},{"name":"n","price":{"cost":"8"}}]}
      call user:ana c/m                                -> TOOL_AMBIGUOUS candidates.0=s#c/m candidates.1=#c/m
      call user:ana s#c/m                              -> OK amount=1.00
      call user:ana #c/m                               -> OK amount=7.00
      call user:ana #c/nope                            -> RATE_CARD_NOT_FOUND field=tool
      call user:ana c/n                                -> OK amount=8.00
      price.set tool=#c/m customer=user:ana price={"cost":"6"}   -> OK tool=c/m skill=null
      seal
      reopen
      call user:ana #c/m                               -> OK amount=6.00
      card {"name":"c#d","entries":[]}                 -> INVALID_ARGUMENT field=name
      card {"name":"c","entries":[{"name":"m#","price":{"cost":"7"}}]}   -> INVALID_ARGUMENT field=entries[0].name
      """)
  }

  @Test func `names of tools are as long as they may be`() throws {
    let id = String(repeating: "i", count: Limits.toolName)
    let tool = String(repeating: "t", count: Limits.toolName)
    let version = "1.0.0-" + String(repeating: "v", count: 58)
    let rate = String(repeating: "r", count: Limits.rateName)
    let pinned = "\(id)@\(version)#\(tool)"
    try play(
      """
      deposit user:ana 100
      skill {"id":"\(id)","version":"\(version)","tools":[{"name":"\(tool)","pricing":{"cost":"1"}}]}
      call user:ana \(pinned)                          -> OK amount=1.00
      tool.disable tool=\(pinned)                      -> OK
      tool.enable tool=\(pinned)                       -> OK
      card {"name":"\(id)","entries":[{"name":"\(rate)","provider":"\(rate)","price":{"cost":"7"}}]}
      call user:ana \(id)/\(rate)/\(rate)              -> OK amount=7.00
      price.set tool=\(id)/\(rate)/\(rate) customer=user:ana price={"cost":"2"}
      call user:ana \(id)/\(rate)/\(rate)              -> OK amount=2.00
      call user:ana \(id)/\(rate)/\(rate)r             -> TOO_LONG field=tool
      """)
  }

  @Test func `pages and lists are bounded, and none of the tools is left out`() throws {
    let ledger = try TestLedger()
    for number in 0..<30 {
      _ = try ledger.engine.call(
        "skill.register",
        [
          "manifest": [
            "id": .string("s\(number % 15)"), "version": .string("1.\(number).0"),
            "tools": [["name": "run", "pricing": ["cost": .string("\(number)")]]],
          ]
        ])
    }
    for number in 0..<40 {
      _ = try ledger.engine.call(
        "skill.register",
        [
          "manifest": [
            "id": "s0", "version": .string("2.\(number).0"),
            "tools": [["name": "run", "pricing": ["cost": .string("\(number)")]]],
          ]
        ])
    }
    var names: [String] = []
    var after: JSON = .null
    repeat {
      var input: JSONObject = ["limit": 4]
      if let text = after.string { input.append("after", .string(text)) }
      let page = try #require(try ledger.engine.call("tool.list", .object(input)).object)
      names += (page["tools"]?.array ?? []).compactMap { $0.object?["full_name"]?.string }
      after = page["next"] ?? .null
    } while !after.isNull
    #expect(names == (0..<15).map { "s\($0)#run" })
    let tool = try ledger.engine.call("tool.inspect", ["tool": "s0#run"])
    #expect(tool.object?["versions"]?.array?.count == Limits.listedVersions)
    #expect(tool.object?["versions"]?.array?.first == "2.39.0")
    do throws(Failure) {
      _ = try ledger.engine.call("price.quote", ["tool": "run"])
      Issue.record("A plain name of fifteen tools is not one of them.")
    } catch {
      #expect(error.status == .toolAmbiguous)
      #expect(error.details.object?["candidates"]?.array?.count == Limits.listedCandidates)
      #expect(error.details.object?["count"] == 15)
      #expect(error.message.contains("s0#run, s1#run") && error.message.contains("and 5 more"))
    }
  }
}
