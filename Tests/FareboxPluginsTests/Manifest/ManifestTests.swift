import FareboxCore
import Testing

@testable import FareboxPlugins

@Suite struct ManifestTests {
  @Test func `the vectors are read or refused with field and line`() throws {
    let cases = try Vectors.cases("plugin_manifests.json")
    #expect(cases.count > 100)
    for vector in cases {
      let name = try vector.text("name")
      let text = try vector.text("manifest")
      let found = failure { () throws(Failure) in try PluginManifest.parse(Array(text.utf8)) }
      guard let line = vector["line"]?.int64 else {
        #expect(found == nil, "\(name): \(String(describing: found))")
        continue
      }
      let refused = try #require(found, "\(name) was read")
      #expect(refused.status == .pluginManifest, "\(name)")
      #expect(try refused.field == vector.text("field"), "\(name): \(refused)")
      #expect(refused.message.hasPrefix("line \(line) column "), "\(name): \(refused)")
    }
  }

  private static func vector(_ name: String) throws -> PluginManifest {
    let found = try #require(Vectors.cases("plugin_manifests.json").first { $0["name"]?.string == name })
    return try PluginManifest.parse(Array(found.text("manifest").utf8))
  }

  @Test func `a native manifest says what its author wrote`() throws {
    let manifest = try ManifestTests.vector("native")
    #expect(manifest.id == "org.example.echo")
    #expect(manifest.kind == .native)
    #expect(manifest.abi?.description == "1.0 to 1.3")
    #expect(manifest.file(for: .linuxARM)?.source == .path("arm/libecho.so"))
    #expect(manifest.permissions.read == ["/usr/share/dict"])
    #expect(manifest.permissions.deadlineMilliseconds == 5_000)
    #expect(manifest.permissions.outputBytes == 1 << 20)
    #expect(manifest.requires.map(\.id) == ["org.example.base"])
    let say = try #require(manifest.tool("echo.say"))
    #expect(say.output == .text)
    #expect(say.deadlineMilliseconds == 2_000)
    #expect(
      say.usage == [
        UsageRule(meter: .units, source: .bytes("text")), UsageRule(meter: .outputTokens, source: .value("times")),
      ])
    #expect(manifest.tool("echo.cou") == nil)
  }

  @Test func `a foreign manifest says how its functions are called`() throws {
    let manifest = try ManifestTests.vector("foreign")
    #expect(manifest.files.map(\.source) == [.system("libz.so.1")])
    let compress = try #require(manifest.tool("zlib.compress")?.foreign)
    #expect(compress.symbol == "compress2")
    #expect(compress.signature.description == "i32(out:u64* dest, bytes:u64 source, i32 level)")
    #expect(compress.success == .equal(0))
    #expect(compress.capacity == ForeignFunction.Capacity(argument: "source", percent: 101, plus: 64))
  }

  @Test func `the skill of a manifest can be registered`() throws {
    let skill = try SkillManifest.parse(ManifestTests.vector("native").skill, asset: { Asset.builtIn($0) })
    #expect(skill.id == "org.example.echo")
    #expect(skill.tools.map(\.name) == ["echo.say", "echo.count"])
    #expect(skill.tools[0].split.shares(of: 10) == [7, 3])
    #expect(skill.tools[1].split.shares(of: 10) == [5, 5])
    #expect(skill.tools.map(\.isEnabled) == [true, false])
  }

  @Test func `a configuration is checked, and its secrets are not told`() throws {
    let manifest = try ManifestTests.vector("native")
    try manifest.checkConfig(["token": "hunter2"])
    #expect(failure { () throws(Failure) in try manifest.checkConfig([:]) }?.field == "token")
    let refused = failure { () throws(Failure) in try manifest.checkConfig(["token": "hunter2", "tokne": "hunter3"]) }
    #expect(refused?.field == "tokne")
    #expect(refused?.message.contains("hunter") == false)
    #expect(manifest.configSchema?.hidingSecrets(in: ["token": "hunter2"]) == ["token": "***"])
    let plain = try ManifestTests.vector("no config")
    try plain.checkConfig([:])
    #expect(failure { () throws(Failure) in try plain.checkConfig(["a": 1]) }?.status == .invalidArgument)
  }

  @Test func `a manifest has a limit`() {
    let text = "{\"a\": \"" + String(repeating: "x", count: PluginManifest.longest) + "\"}"
    let refused = failure { () throws(Failure) in try PluginManifest.parse(Array(text.utf8)) }
    #expect(refused?.status == .pluginManifest)
    #expect(refused?.message.hasPrefix("line 1 column 1: ") == true)
  }

  @Test func `bytes that are no text are refused`() {
    #expect(
      failure { () throws(Failure) in try PluginManifest.parse([0x7B, 0x22, 0xFF, 0x22]) }?.status == .pluginManifest)
    let deep = Array(repeating: UInt8(ascii: "["), count: 10_000)
    #expect(failure { () throws(Failure) in try PluginManifest.parse(deep) }?.status == .pluginManifest)
  }

  @Test func `the host's ABI is that of the header`() throws {
    let header = String(decoding: try Vectors.bytes("Include/farebox_plugin.h"), as: UTF8.self)
    #expect(header.contains("#define FAREBOX_PLUGIN_ABI_MAJOR \(ABIVersion.host.major)\n"))
    #expect(header.contains("#define FAREBOX_PLUGIN_ABI_MINOR \(ABIVersion.host.minor)\n"))
  }

  @Test(arguments: [
    ("1.0", nil, "1.0", true), ("1.0", nil, "1.7", true), ("1.2", nil, "1.1", false), ("1.0", nil, "2.0", false),
    ("1.0", "1.3", "1.3", true), ("1.0", "1.3", "1.4", false), ("2.0", nil, "1.9", false),
  ])
  func `a range of versions contains`(minimum: String, maximum: String?, host: String, contains: Bool) throws {
    let range = ABIRange(
      minimum: try #require(ABIVersion(minimum)), maximum: maximum.flatMap { ABIVersion($0) })
    #expect(range.contains(try #require(ABIVersion(host))) == contains)
  }
}
