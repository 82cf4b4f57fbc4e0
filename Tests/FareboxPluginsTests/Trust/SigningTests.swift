import Farebox
import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

@Suite struct SigningTests {
  private static let seed = (0..<32).map { UInt8($0) }

  private static func key(_ seed: [UInt8]) throws -> String {
    let bytes = try Ed25519.publicKey(seed: seed.span)
    return try #require(PublicKey(bytes: bytes.indices.map { bytes[$0] })).base64
  }

  @Test func `a signed manifest is trusted by its key`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let key = try PluginSigning.sign(manifestAt: path, seed: SigningTests.seed)
    #expect(try key.base64 == SigningTests.key(SigningTests.seed))
    let policy = try folder.policy(#""keys": {"author": "\#(key.base64)"}"#, trust: "signed")
    #expect(try Verification.verify(manifestAt: path, under: policy).trust == .signed)
  }

  @Test func `the signature is Ed25519 over a line and the manifest`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let key = try PluginSigning.sign(manifestAt: path, seed: SigningTests.seed)
    let file = try #require(JSON.parse(folder.bytes("echo.farebox.json.sig")).object)
    let signature = try #require(Base64.bytes(file.text("signature")))
    let message = Array("farebox-plugin-manifest-1\n".utf8) + (try folder.bytes("echo.farebox.json"))
    let isValid = Ed25519.verify(signature.span, of: message.span, publicKey: key.bytes.span)
    #expect(isValid)
  }

  @Test func `a signature by another key says nothing`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let key = try PluginSigning.sign(manifestAt: path, seed: SigningTests.seed.reversed())
    let other = try SigningTests.key(SigningTests.seed)
    let signed = try folder.policy(#""keys": {"author": "\#(other)"}"#, trust: "signed")
    let refused = failure { () throws(Failure) in try Verification.verify(manifestAt: path, under: signed) }
    #expect(refused?.field == "trust")
    #expect(refused?.message.contains("a key that the policy does not have") == true)
    #expect(try Verification.verify(manifestAt: path, under: folder.policy()).trust == .unsigned)
    let revoked = try folder.policy(#""revoked": ["\#(key.base64)"]"#)
    #expect(
      failure { () throws(Failure) in try Verification.verify(manifestAt: path, under: revoked) }?.field == "revoked")
  }

  @Test func `a signature that is wrong refuses, and is not as if there were none`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    _ = try PluginSigning.sign(manifestAt: path, seed: SigningTests.seed)
    try folder.write(PluginFolder.manifest(version: "1.0.1"), to: "echo.farebox.json")
    let policy = try folder.policy()
    let changed = failure { () throws(Failure) in try Verification.verify(manifestAt: path, under: policy) }
    #expect(changed?.status == .pluginUntrusted)
    for text in ["", "{}", #"{"key": "AA", "signature": "AA"}"#, String(repeating: " ", count: 5_000)] {
      try folder.write(text, to: "echo.farebox.json.sig")
      let refused = failure { () throws(Failure) in try Verification.verify(manifestAt: path, under: policy) }
      #expect(refused?.status == .pluginUntrusted, "\(text)")
    }
    folder.remove("echo.farebox.json.sig")
    #expect(try Verification.verify(manifestAt: path, under: policy).manifest.version == "1.0.1")
  }

  @Test func `sealing fills in digests and leaves the rest as it was`() throws {
    let folder = try PluginFolder()
    let digest = Digest(of: PluginFolder.good).hex
    let sealed = PluginFolder.manifest()
    let unsealed = sealed.split(separator: #", "sha256": "\#(digest)""#).joined()
    let stale = sealed.split(separator: digest).joined(separator: String(repeating: "0", count: 64))
    for text in [unsealed, stale, sealed] {
      let path = try folder.addPlugin(text)
      let found = try PluginSigning.sealManifest(at: path)
      #expect(String(decoding: try folder.bytes("echo.farebox.json"), as: UTF8.self) == sealed)
      #expect(found == Digest(of: sealed))
    }
  }

  @Test func `what cannot be sealed or signed stays as it was`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    folder.remove("libecho.so")
    _ = try PluginSigning.sealManifest(at: path)
    let digest = Digest(of: PluginFolder.good).hex
    try folder.write(
      PluginFolder.manifest().split(separator: #", "sha256": "\#(digest)""#).joined(), to: "echo.farebox.json")
    #expect(failure { () throws(Failure) in try PluginSigning.sealManifest(at: path) }?.status == .pluginNotFound)
    try folder.write("{", to: "echo.farebox.json")
    #expect(failure { () throws(Failure) in try PluginSigning.sealManifest(at: path) }?.status == .pluginManifest)
    try folder.addPlugin(bytes: Array("other".utf8))
    let refused = failure { () throws(Failure) in try PluginSigning.sign(manifestAt: path, seed: SigningTests.seed) }
    #expect(refused?.status == .pluginUntrusted)
    try folder.addPlugin()
    let short = failure { () throws(Failure) in try PluginSigning.sign(manifestAt: path, seed: [1]) }
    #expect(short?.status == .secretInvalid)
    #expect(!folder.has("echo.farebox.json.sig"))
    let absent = folder.file("x.farebox.json")
    #expect(failure { () throws(Failure) in try PluginSigning.sealManifest(at: absent) }?.status == .pluginNotFound)
  }
}
