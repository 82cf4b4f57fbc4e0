import Farebox
import FareboxCore
import Testing

@testable import FareboxPlugins

@Suite struct PolicyTests {
  private static let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
  private static let digest = String(repeating: "0f", count: 32)
  private static let full = """
    {"directories": ["/opt/plugins", "/srv/a"], "trust": "pinned", "keys": {"ours": "\(key)"}, "pins": ["\(digest)"],
     "revoked": ["org.bad", "org.bad@1.0.0", "\(digest)", "\(key)"], "in_process": ["org.example.echo"],
     "system_libraries": true, "permissions": {"network": true, "read": ["/data"], "environment": ["LANG"],
     "memory_bytes": 1073741824}, "lock": "/opt/farebox.lock", "locked": true, "cache": "/opt/cache.json",
     "worker": "/opt/farebox-worker", "processes": 4}
    """

  private static func parse(_ text: String) throws(Failure) -> PluginPolicy {
    try PluginPolicy.parse(Array(text.utf8))
  }

  @Test func `a policy says what its operator wrote`() throws {
    let policy = try PolicyTests.parse(PolicyTests.full)
    #expect(policy.directories == ["/opt/plugins", "/srv/a"])
    #expect(policy.trust == .pinned)
    #expect(policy.keys["ours"]?.base64 == PolicyTests.key)
    #expect(policy.pins.map(\.hex) == [PolicyTests.digest])
    #expect(policy.revoked.count == 4)
    #expect(policy.revoked.contains(.version(id: "org.bad", version: "1.0.0")))
    #expect(policy.inProcess == ["org.example.echo"])
    #expect(policy.systemLibraries && policy.isLocked)
    #expect(policy.permissions.network && policy.permissions.store && !policy.permissions.subprocess)
    #expect(policy.permissions.memoryBytes == 1 << 30)
    #expect(policy.permissions.outputBytes == 1 << 20)
    #expect(policy.processes == 4)
  }

  @Test func `what a policy does not say is the safe choice`() throws {
    let policy = try PolicyTests.parse(#"{"directories": []}"#)
    #expect(policy.trust == .signed)
    #expect(policy.permissions == .policyDefault)
    #expect(policy.inProcess.isEmpty && !policy.systemLibraries && policy.lock == nil && policy.processes == 1)
  }

  @Test(arguments: [
    ("[]", "INVALID_ARGUMENT", ""), ("{}", "MISSING_FIELD", "directories"), ("{", "INVALID_JSON", ""),
    (#"{"directories": ["opt"]}"#, "INVALID_ARGUMENT", "directories[0]"),
    (#"{"directories": ["/a/../b"]}"#, "INVALID_ARGUMENT", "directories[0]"),
    (#"{"directories": ["/a/"]}"#, "INVALID_ARGUMENT", "directories[0]"),
    (#"{"directories": [""]}"#, "INVALID_ARGUMENT", "directories[0]"),
    (#"{"directories": ["/a", "/a"]}"#, "INVALID_ARGUMENT", "directories[1]"),
    (#"{"directories": [], "trust": "built-in"}"#, "INVALID_ARGUMENT", "trust"),
    (#"{"directories": [], "trust": null}"#, "INVALID_ARGUMENT", "trust"),
    (#"{"directories": [], "keys": {"a": "AAEC"}}"#, "INVALID_ARGUMENT", "keys.a"),
    (#"{"directories": [], "pins": ["00"]}"#, "INVALID_ARGUMENT", "pins[0]"),
    (#"{"directories": [], "revoked": ["org.example@1"]}"#, "INVALID_ARGUMENT", "revoked[0]"),
    (#"{"directories": [], "in_process": ["Echo"]}"#, "INVALID_ARGUMENT", "in_process[0]"),
    (#"{"directories": [], "permissions": {"networks": true}}"#, "UNKNOWN_FIELD", "permissions.networks"),
    (#"{"directories": [], "processes": 0}"#, "INVALID_ARGUMENT", "processes"),
    (#"{"directories": [], "processes": 17}"#, "INVALID_ARGUMENT", "processes"),
    (#"{"directories": [], "lock": "farebox.lock"}"#, "INVALID_ARGUMENT", "lock"),
    (#"{"directories": [], "locked": true}"#, "MISSING_FIELD", "lock"),
    (#"{"directories": [], "directory": "/a"}"#, "UNKNOWN_FIELD", "directory"),
  ])
  func `malformed policies name the member`(text: String, status: String, field: String) {
    let refused = failure { () throws(Failure) in try PolicyTests.parse(text) }
    #expect(refused?.status.entry?.name == status, "\(text)")
    #expect(refused?.field == field, "\(text)")
  }

  /// A change to the full policy, and the member by which it allows more; nil is a change that allows less.
  private static let changes: [(String, String, String?)] = [
    ("", "", nil), (#", "/srv/a""#, "", nil), (#""/srv/a""#, #""/srv/a/b""#, nil),
    (#""/srv/a""#, #""/srv/ab""#, "directories[1]"), (#""/srv/a""#, #""/srv""#, "directories[1]"),
    ("pinned", "signed", nil), ("pinned", "unsigned", "trust"),
    (#"{"ours": "\#(key)"}"#, "{}", nil), (#""ours""#, #""theirs""#, "keys.theirs"),
    (#""ours": "AAEC"#, #""ours": "BAEC"#, "keys.ours"),
    (#""pins": ["\#(digest)"]"#, #""pins": []"#, nil), (#""pins": ["0f"#, #""pins": ["1f"#, "pins"),
    (#""org.bad", "#, "", "revoked"), (#""org.bad", "#, #""org.bad", "org.worse", "#, nil),
    (#"["org.example.echo"]"#, "[]", nil), ("org.example.echo", "org.example.other", "in_process"),
    (#""system_libraries": true"#, #""system_libraries": false"#, nil),
    (#""network": true"#, #""network": false"#, nil),
    (#""network": true"#, #""subprocess": true"#, "permissions.subprocess"),
    (#""read": ["/data"]"#, #""read": ["/data/x", "/data/y"]"#, nil),
    (#""read": ["/data"]"#, #""read": ["/"]"#, "permissions.read[0]"),
    (#""read": ["/data"]"#, #""write": ["/data"]"#, "permissions.write[0]"),
    (#"["LANG"]"#, #"["LANG", "HOME"]"#, "permissions.environment[1]"),
    (#""network": true"#, #""store": false"#, nil), ("1073741824", "536870912", nil),
    ("1073741824", "2147483648", "permissions.memory_bytes"),
    (#""network": true"#, #""deadline_ms": 10001"#, "permissions.deadline_ms"),
    (#""network": true"#, #""descriptors": 65"#, "permissions.descriptors"),
    (#""network": true"#, #""output_bytes": 1048577"#, "permissions.output_bytes"),
    ("/opt/farebox.lock", "/opt/other.lock", "lock"), (#""locked": true"#, #""locked": false"#, "locked"),
    (#""cache": "/opt/cache.json","#, "", "cache"), ("/opt/farebox-worker", "/tmp/farebox-worker", "worker"),
    (#""processes": 4"#, #""processes": 3"#, nil), (#""processes": 4"#, #""processes": 5"#, "processes"),
  ]

  @Test func `a policy only tightens`() throws {
    let policy = try PolicyTests.parse(PolicyTests.full)
    for (old, new, member) in PolicyTests.changes {
      #expect(old.isEmpty || PolicyTests.full.contains(old), "\(old)")
      let next = try PolicyTests.parse(old.isEmpty ? PolicyTests.full : replaced(PolicyTests.full, old, new))
      let refused = failure { () throws(Failure) in try policy.tightened(to: next) }
      #expect(refused?.field == member, "\(old) to \(new)")
      if member != nil { #expect(refused?.status == .pluginPolicy) }
    }
  }

  @Test func `paths that were not set may be set once`() throws {
    let open = try PolicyTests.parse(#"{"directories": ["/a"]}"#)
    let next = try PolicyTests.parse(
      #"{"directories": ["/a"], "lock": "/l", "locked": true, "cache": "/c", "worker": "/w"}"#)
    #expect(try open.tightened(to: next) == next)
    #expect(failure { () throws(Failure) in try next.tightened(to: open) }?.field == "lock")
  }

  private func replaced(_ text: String, _ old: String, _ new: String) -> String {
    guard let found = text.firstRange(of: old) else { return text }
    return text[..<found.lowerBound] + new + text[found.upperBound...]
  }

  @Test(arguments: [
    (#"{"network": true}"#, "permissions.network"), (#"{"subprocess": true}"#, "permissions.subprocess"),
    (#"{"read": ["/data/x", "/etc"]}"#, "permissions.read[1]"), (#"{"write": ["/data"]}"#, "permissions.write[0]"),
    (#"{"environment": ["HOME"]}"#, "permissions.environment[0]"),
  ])
  func `what a policy does not grant is refused by name`(asked: String, field: String) throws {
    var policy = PluginPermissions.policyDefault
    policy.read = ["/data"]
    let permissions = try PluginPermissions.parse(JSON.parse(asked), path: "permissions", defaults: .none)
    let refused = failure { () throws(Failure) in try permissions.granted(by: policy) }
    #expect(refused?.status == .pluginPolicy)
    #expect(refused?.field == field)
  }

  @Test func `numbers are bounded and not refused`() throws {
    let asked = try PluginPermissions.parse(
      ["memory_bytes": 1_073_741_824, "deadline_ms": 500, "store": true], path: "", defaults: .none)
    let grants = try asked.granted(by: .policyDefault)
    #expect(grants.memoryBytes == 256 << 20)
    #expect(grants.deadlineMilliseconds == 500)
    #expect(grants.store)
  }
}
