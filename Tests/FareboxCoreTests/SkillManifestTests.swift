import FareboxCore
import Testing

@Suite struct SkillManifestTests {
  private static let text = #"""
    {"id":"research","version":"1.2.0-beta.1","name":"Research","description":"Finds things","category":"search",
     "owner":"user:ana","revenue_share":0.70,"currency":"USD","tools":[
       {"name":"research.search","description":"Searches","category":"web","pricing":{"cost":"0.02"},
        "input_schema":{"type":"object","properties":{"q":{"type":"string"}}}},
       {"name":"research.summarise","pricing":{"cost":"0.001","per":"token","max_cost":"0.10","currency":"EUR"},
        "revenue_share":"80%","enabled":false},
       {"name":"research.deep","price":{"components":[{"meter":"input_tokens","rate":"2.5","per":1000000}]},
        "split":[{"account":"user:ana","share":"1/3"},{"account":"user:bo","share":"1/3"},
                 {"account":"platform","share":"remaining"}]}]}
    """#

  private static func parse(_ text: String) throws(Failure) -> SkillManifest {
    try SkillManifest.parse(JSON.parse(text), asset: { Asset.builtIn($0) })
  }

  @Test func `a manifest says what its author wrote`() throws {
    let manifest = try SkillManifestTests.parse(SkillManifestTests.text)
    #expect(manifest.id == "research")
    #expect(manifest.owner == "user:ana")
    #expect(manifest.tools.map(\.name) == ["research.search", "research.summarise", "research.deep"])
    #expect(manifest.tools.map(\.isEnabled) == [true, false, true])
    #expect(manifest.tools[0].split.shares(of: 10) == [7, 3])
    #expect(manifest.tools[1].split.shares(of: 10) == [8, 2])
    #expect(manifest.tools[1].price.asset.code == "EUR")
    #expect(manifest.tools[2].split.parts.map(\.account) == ["user:ana", "user:bo", "platform"])
    #expect(manifest.tools[0].inputSchema.object?["type"] == "object")
  }

  @Test func `a manifest comes back from its JSON`() throws {
    let manifest = try SkillManifestTests.parse(SkillManifestTests.text)
    #expect(try SkillManifestTests.parse(manifest.json.serialized()) == manifest)
    let plain = try SkillManifestTests.parse(#"{"id":"a","tools":[{"name":"b","price":{"cost":1}}]}"#)
    #expect(try SkillManifestTests.parse(plain.json.serialized()) == plain)
    #expect(plain.tools[0].split == Split(all: "platform"))
  }

  @Test(arguments: [
    (#"{"tools":[]}"#, "MISSING_FIELD", "id"), (#"{"id":"a b"}"#, "INVALID_ARGUMENT", "id"),
    (#"{"id":"a","version":"1.2"}"#, "INVALID_ARGUMENT", "version"),
    (#"{"id":"a","autor":"x"}"#, "UNKNOWN_FIELD", "autor"),
    (#"{"id":"a","currency":"XYZ"}"#, "ASSET_NOT_FOUND", "currency"),
    (#"{"id":"a","revenue_share":"0.7"}"#, "MISSING_FIELD", "owner"),
    (#"{"id":"a","owner":"x","revenue_share":"1.7"}"#, "INVALID_ARGUMENT", "revenue_share"),
    (#"{"id":"a","owner":"x","revenue_share":"0.7","split":[]}"#, "INVALID_ARGUMENT", "split"),
    (#"{"id":"a","owner":"x","revenue_share":true}"#, "INVALID_ARGUMENT", "revenue_share"),
    (#"{"id":"a","owner":""}"#, "INVALID_ARGUMENT", "owner"),
    (#"{"id":"a","split":[{"account":"x","share":"0.5","note":""}]}"#, "UNKNOWN_FIELD", "split[0].note"),
    (#"{"id":"a","tools":{}}"#, "INVALID_ARGUMENT", "tools"),
    (#"{"id":"a","tools":[{"name":"t"}]}"#, "MISSING_FIELD", "tools[0].pricing"),
    (
      #"{"id":"a","tools":[{"name":"t","pricing":{"cost":"1"},"price":{"cost":"1"}}]}"#, "INVALID_ARGUMENT",
      "tools[0].price"
    ),
    (
      #"{"id":"a","tools":[{"name":"t","pricing":{"cost":"1","per":"mile"}}]}"#, "INVALID_ARGUMENT",
      "tools[0].pricing.per"
    ),
    (
      #"{"id":"a","tools":[{"name":"t","price":{"cost":"1"}},{"name":"t","price":{"cost":"1"}}]}"#, "INVALID_ARGUMENT",
      "tools[1].name"
    ),
    (
      #"{"id":"a","tools":[{"name":"t","price":{"cost":"1"},"input_schema":[]}]}"#, "INVALID_ARGUMENT",
      "tools[0].input_schema"
    ),
    (
      #"{"id":"a","tools":[{"name":"t","price":{"cost":"1"},"enabled":"yes"}]}"#, "INVALID_ARGUMENT",
      "tools[0].enabled"
    ),
    (#"{"id":"a","tools":[{"name":"t","price":{"cost":"1"},"revenue_share":"0.5"}]}"#, "MISSING_FIELD", "owner"),
  ])
  func `malformed manifests name the member`(text: String, status: String, field: String) {
    let failed = failure { try SkillManifestTests.parse(text) }
    #expect(failed.status.entry?.name == status, "\(text)")
    #expect(failed.field == field, "\(text)")
  }

  @Test func `names and schemas have limits`() {
    let long = String(repeating: "x", count: Limits.toolName + 1)
    #expect(failure { try SkillManifestTests.parse(#"{"id":"\#(long)"}"#) }.status == .tooLong)
    let schema = String(repeating: "y", count: SkillManifest.longestSchema)
    let text = #"{"id":"a","tools":[{"name":"t","price":{"cost":"1"},"input_schema":{"x":"\#(schema)"}}]}"#
    #expect(failure { try SkillManifestTests.parse(text) }.field == "tools[0].input_schema")
  }

  @Test func `versions are ordered as semantic versions are`() throws {
    let order = [
      "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
      "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "10.0.0",
    ]
    let versions = order.compactMap { SemanticVersion($0) }
    #expect(versions.count == order.count)
    #expect(versions.shuffled().sorted().map(\.text) == order)
    #expect(SemanticVersion("1.0.0+a") == SemanticVersion("1.0.0+b"))
  }

  @Test(arguments: [
    "", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+", "1.2.x",
    "1.2.99999999999",
  ])
  func `what is no semantic version is refused`(text: String) {
    #expect(SemanticVersion(text) == nil)
  }
}
