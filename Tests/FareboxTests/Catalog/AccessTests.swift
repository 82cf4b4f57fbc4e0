import FareboxCore
import Testing

@testable import Farebox

/// Skills and tools that single accounts may use, or may not.
@Suite struct AccessTests {
  @Test func `what was said of the nearest account decides, and survives`() throws {
    try play(
      inFile: true,
      """
      open org:acme
      open org:acme/dept:research
      open org:acme/dept:sales
      deposit org:acme 100
      deposit user:ana 100
      skill {"id":"s","tools":[{"name":"a","pricing":{"cost":"1"}},{"name":"b","pricing":{"cost":"2"}}]}
      skill.disable skill=s account=org:acme                       -> OK enabled=true
      skill.enable skill=s account=org:acme/dept:research          -> OK
      tool.disable tool=b account=org:acme/dept:research           -> OK enabled=true
      call org:acme a                                              -> TOOL_DISABLED field=tool
      call org:acme/dept:sales a                                   -> TOOL_DISABLED
      call org:acme/dept:research a                                -> OK amount=1.00
      call org:acme/dept:research b                                -> TOOL_DISABLED
      reserve_call org:acme/dept:research b                        -> TOOL_DISABLED
      call user:ana b                                              -> OK amount=2.00
      seal
      reopen
      call org:acme/dept:sales a                                   -> TOOL_DISABLED
      call org:acme/dept:research a                                -> OK
      call org:acme/dept:research b                                -> TOOL_DISABLED
      tool.enable tool=b account=org:acme/dept:research            -> OK
      call org:acme/dept:research b                                -> OK
      skill.disable skill=s                                        -> OK enabled=false
      call org:acme/dept:research b                                -> TOOL_DISABLED
      skill.disable skill=s account=user:nobody                    -> ACCOUNT_NOT_FOUND field=account
      tool.disable tool=none account=user:ana                      -> TOOL_NOT_FOUND
      """)
  }

  @Test func `a new version of a skill keeps who may use it`() throws {
    try play(
      """
      deposit user:ana 100
      skill {"id":"s","version":"1.0.0","tools":[{"name":"a","pricing":{"cost":"1"}}]}
      skill.disable skill=s account=user:ana
      skill {"id":"s","version":"1.1.0","tools":[{"name":"a","pricing":{"cost":"1"}},{"name":"new","pricing":{"cost":"2"}}]}
      call user:ana a                                              -> TOOL_DISABLED
      call user:ana new                                            -> TOOL_DISABLED
      """)
  }

  @Test func `inspecting says of whom something was said`() throws {
    let ledger = try TestLedger()
    _ = try ledger.engine.call("account.open", ["account": "user:ana"])
    _ = try ledger.engine.call(
      "skill.register", ["manifest": ["id": "s", "tools": [["name": "a", "pricing": ["cost": "1"]]]]])
    _ = try ledger.engine.call("tool.disable", ["tool": "a", "account": "user:ana"])
    _ = try ledger.engine.call("skill.enable", ["skill": "s", "account": "user:ana"])
    let tool = try ledger.engine.call("tool.inspect", ["tool": "a"])
    #expect(tool.object?["access"] == [["account": "user:ana", "enabled": false]])
    let skill = try ledger.engine.call("skill.inspect", ["skill": "s"])
    #expect(skill.object?["access"] == [["account": "user:ana", "enabled": true]])
  }
}
