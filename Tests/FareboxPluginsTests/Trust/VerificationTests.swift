import Farebox
import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

@Suite struct VerificationTests {
  private func refusal(
    _ path: String, _ policy: PluginPolicy, host: ABIVersion = .host
  ) -> Failure? {
    failure { () throws(Failure) in try Verification.verify(manifestAt: path, under: policy, host: host) }
  }

  @Test func `a plugin that is what its manifest says is verified`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let plugin = try Verification.verify(manifestAt: path, under: folder.policy())
    #expect(plugin.manifest.id == PluginFolder.id)
    #expect(plugin.manifestDigest == Digest(of: PluginFolder.manifest()))
    #expect(plugin.trust == .unsigned)
    #expect(!plugin.runsInProcess && !plugin.isNewInLock)
    #expect(plugin.image.path == folder.file("libecho.so"))
    #expect(try PluginFolder.bytes(of: plugin.image.descriptor) == PluginFolder.good)
  }

  @Test func `only what lies below an allowed directory is looked at`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let elsewhere = try PluginPolicy.parse(Array(#"{"directories": ["/opt"], "trust": "unsigned"}"#.utf8))
    #expect(refusal(path, elsewhere)?.field == "directories")
    let beside = try PluginPolicy.parse(
      Array(#"{"directories": ["\#(folder.path.dropLast())"], "trust": "unsigned"}"#.utf8))
    #expect(refusal(path, beside)?.status == .pluginPolicy)
    for bad in ["", "echo.farebox.json", "\(folder.path)/../x.farebox.json", "\(folder.path)//echo.farebox.json"] {
      #expect(refusal(bad, try folder.policy())?.status == .invalidArgument, "\(bad)")
    }
    #expect(refusal(folder.file("libecho.so"), try folder.policy())?.status == .invalidArgument)
    #expect(refusal(folder.file(".farebox.json"), try folder.policy())?.status == .invalidArgument)
    #expect(refusal(folder.file("other.farebox.json"), try folder.policy())?.status == .pluginNotFound)
    #expect(refusal(folder.file("no/echo.farebox.json"), try folder.policy())?.status == .pluginNotFound)
  }

  @Test func `a plugin may lie in a folder of its own`() throws {
    let folder = try PluginFolder()
    folder.makeFolder("echo")
    folder.makeFolder("echo/lib")
    try folder.write(PluginFolder.good, to: "echo/lib/libecho.so")
    try folder.write(PluginFolder.manifest(path: "lib/libecho.so"), to: "echo/echo.farebox.json")
    let path = folder.file("echo/echo.farebox.json")
    #expect(refusal(path, try folder.policy()) == nil)
    folder.setMode("echo/lib", 0o777)
    #expect(refusal(path, try folder.policy())?.status == .pluginUntrusted)
    folder.setMode("echo/lib", 0o755)
    folder.setMode("echo", 0o1777)
    #expect(refusal(path, try folder.policy())?.status == .pluginUntrusted)
  }

  @Test(
    arguments: [
      ("", 0o775), ("", 0o757), ("", 0o1777), ("libecho.so", 0o664), ("libecho.so", 0o646),
      ("echo.farebox.json", 0o666),
    ] as [(String, mode_t)])
  func `what others can write is not believed`(name: String, mode: mode_t) throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    folder.setMode(name, mode)
    let refused = refusal(path, try folder.policy())
    #expect(refused?.status == .pluginUntrusted)
    #expect(refused?.message.contains("is writable by") == true)
  }

  @Test(.enabled(if: geteuid() == 0), arguments: ["", "libecho.so", "echo.farebox.json"])
  func `what belongs to another user is not believed`(name: String) throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    folder.setOwner(name, 12_345)
    let refused = refusal(path, try folder.policy())
    #expect(refused?.status == .pluginUntrusted)
    #expect(refused?.message.contains("12345") == true)
  }

  @Test func `links are not followed`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    try folder.write(PluginFolder.good, to: "real.so")
    folder.remove("libecho.so")
    folder.makeLink("libecho.so", to: "real.so")
    #expect(refusal(path, try folder.policy())?.status == .pluginUntrusted)
    folder.makeLink("again", to: ".")
    #expect(refusal(folder.file("again/echo.farebox.json"), try folder.policy())?.status == .pluginUntrusted)
    folder.makeLink("other.farebox.json", to: "echo.farebox.json")
    #expect(refusal(folder.file("other.farebox.json"), try folder.policy())?.status == .pluginUntrusted)
  }

  @Test(.timeLimit(.minutes(1))) func `what is no regular file is refused and not waited for`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    folder.remove("libecho.so")
    folder.makePipe("libecho.so")
    #expect(refusal(path, try folder.policy())?.status == .pluginUntrusted)
    folder.remove("libecho.so")
    folder.makeFolder("libecho.so")
    #expect(refusal(path, try folder.policy())?.status == .pluginUntrusted)
    folder.remove("libecho.so")
    #expect(refusal(path, try folder.policy())?.status == .pluginNotFound)
  }

  @Test func `a file that the manifest does not describe is refused`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin(bytes: Array("what somebody else built".utf8))
    let refused = refusal(path, try folder.policy())
    #expect(refused?.status == .pluginUntrusted)
    #expect(refused?.field == "files[0].sha256")
  }

  @Test func `a manifest that is wrong says where`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin("{\n  \"manifest\": 2\n}")
    let refused = refusal(path, try folder.policy())
    #expect(refused?.status == .pluginManifest)
    #expect(refused?.field == "manifest")
    #expect(refused?.message.hasPrefix("line 2 column 3: ") == true)
  }

  @Test func `trust is at least what the policy asks for`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let digest = Digest(of: PluginFolder.manifest())
    let pin = #""pins": ["\#(digest.hex)"]"#
    #expect(refusal(path, try folder.policy(trust: "signed"))?.field == "trust")
    #expect(refusal(path, try folder.policy(trust: "pinned"))?.field == "trust")
    #expect(refusal(path, try folder.policy(pin, trust: "signed"))?.field == "trust")
    #expect(try Verification.verify(manifestAt: path, under: folder.policy(pin, trust: "pinned")).trust == .pinned)
  }

  @Test func `only what is trusted and listed runs in the process`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let digest = Digest(of: PluginFolder.manifest())
    let listed = #""in_process": ["\#(PluginFolder.id)"]"#
    let pin = #""pins": ["\#(digest.hex)"]"#
    #expect(try !Verification.verify(manifestAt: path, under: folder.policy(listed)).runsInProcess)
    #expect(try !Verification.verify(manifestAt: path, under: folder.policy(pin)).runsInProcess)
    #expect(try Verification.verify(manifestAt: path, under: folder.policy("\(listed), \(pin)")).runsInProcess)
  }

  @Test func `what is revoked is refused whatever its trust`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let manifest = Digest(of: PluginFolder.manifest()).hex
    let file = Digest(of: PluginFolder.good).hex
    for entry in [PluginFolder.id, "\(PluginFolder.id)@1.0.0", manifest, file] {
      let refused = refusal(path, try folder.policy(#""revoked": ["\#(entry)"], "pins": ["\#(manifest)"]"#))
      #expect(refused?.status == .pluginUntrusted, "\(entry)")
      #expect(refused?.field == "revoked", "\(entry)")
    }
    #expect(refusal(path, try folder.policy(#""revoked": ["\#(PluginFolder.id)@1.0.1", "org.example"]"#)) == nil)
  }

  @Test func `another ABI names both sides`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin(PluginFolder.manifest(abi: "1.4"))
    let refused = refusal(path, try folder.policy(), host: ABIVersion(major: 1, minor: 3))
    #expect(refused?.status == .pluginABI)
    #expect(refused?.message.contains("1.4") == true && refused?.message.contains("1.3") == true)
    #expect(refusal(path, try folder.policy(), host: ABIVersion(major: 1, minor: 4)) == nil)
    #expect(refusal(path, try folder.policy(), host: ABIVersion(major: 2, minor: 0))?.status == .pluginABI)
  }

  @Test func `a plugin without a file for this platform is refused`() throws {
    let folder = try PluginFolder()
    let others = PluginFile.Platform.allCases.filter { $0 != .current }
    let manifest = PluginFolder.manifest().split(separator: PluginFile.Platform.current.rawValue)
    let path = try folder.addPlugin(manifest.joined(separator: others[0].rawValue))
    let refused = refusal(path, try folder.policy())
    #expect(refused?.status == .pluginABI)
    #expect(refused?.field == "files")
  }

  @Test func `permissions are what both sides allow`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin(
      PluginFolder.manifest(permissions: #"{"network": true, "memory_bytes": 1073741824}"#))
    #expect(refusal(path, try folder.policy())?.field == "permissions.network")
    let plugin = try Verification.verify(
      manifestAt: path, under: folder.policy(#""permissions": {"network": true, "memory_bytes": 33554432}"#))
    #expect(plugin.grants.network)
    #expect(plugin.grants.memoryBytes == 33_554_432)
  }

  private static let system = """
    {"manifest": 1, "id": "net.zlib", "version": "1.0.0", "license": "Zlib", "contact": "a", "kind": "foreign",
     "files": [{"platform": "\(PluginFile.Platform.current.rawValue)", "system": "libz.so.1"}],
     "tools": [{"name": "crc", "pricing": {"cost": "0.01"}, "symbol": "crc32",
                "signature": "u64(u64 crc, bytes:u32 data)"}]}
    """

  @Test func `a library of the system is sealed and can be loaded`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin(VerificationTests.system)
    #expect(refusal(path, try folder.policy())?.field == "system_libraries")
    let plugin = try Verification.verify(manifestAt: path, under: folder.policy(#""system_libraries": true"#))
    let bytes = try PluginFolder.bytes(of: plugin.image.descriptor)
    #expect(Digest(of: bytes) == plugin.image.digest)
    #expect(try checksum(plugin.image) == 0xCBF4_3926)
  }

  @Test func `a library of the system that is not there or not its own is refused`() throws {
    let folder = try PluginFolder()
    let absent = VerificationTests.system.split(separator: "libz").joined(separator: "libnothing")
    let path = try folder.addPlugin(absent)
    #expect(refusal(path, try folder.policy(#""system_libraries": true"#))?.status == .pluginNotFound)
    let hash = String(repeating: "00", count: 32)
    let other = VerificationTests.system.split(separator: #""}],"#).joined(separator: #"", "sha256": "\#(hash)"}],"#)
    try folder.write(other, to: "echo.farebox.json")
    #expect(refusal(path, try folder.policy(#""system_libraries": true"#))?.field == "files[0].sha256")
  }

  /// crc32 of "123456789" by the library that an image holds.
  private func checksum(_ image: SealedImage) throws -> UInt {
    guard let library = unsafe dlopen("/proc/self/fd/\(image.descriptor)", RTLD_NOW | RTLD_LOCAL) else {
      throw Failure(.pluginBroken, "it cannot be loaded")
    }
    defer { unsafe dlclose(library) }
    guard let symbol = unsafe dlsym(library, "crc32") else { throw Failure(.pluginBroken, "it has no crc32") }
    typealias Function = @convention(c) (UInt, UnsafePointer<UInt8>?, UInt32) -> UInt
    let function = unsafe unsafeBitCast(symbol, to: Function.self)
    return unsafe Array("123456789".utf8).withUnsafeBufferPointer { unsafe function(0, $0.baseAddress, 9) }
  }

  /// A plugin whose file is a real library.
  private func library(_ folder: PluginFolder) throws -> (path: String, bytes: [UInt8]) {
    let system = try folder.addPlugin(VerificationTests.system)
    let found = try Verification.verify(manifestAt: system, under: folder.policy(#""system_libraries": true"#))
    let bytes = try PluginFolder.bytes(of: found.image.descriptor)
    let manifest = PluginFolder.manifest(digest: found.image.digest)
    return (try folder.addPlugin(manifest, bytes: bytes), bytes)
  }

  @Test(arguments: ["rename", "truncate", "write", "unlink"])
  func `what is loaded is what was verified, whatever becomes of the file`(swap: String) throws {
    let folder = try PluginFolder()
    let (path, bytes) = try library(folder)
    let plugin = try Verification.verify(manifestAt: path, under: folder.policy())
    switch swap {
    case "rename":
      try folder.write("evil", to: "evil.so")
      folder.rename("evil.so", to: "libecho.so")
    case "truncate": close(folder.open("libecho.so", O_WRONLY | O_TRUNC))
    case "write":
      let descriptor = folder.open("libecho.so", O_WRONLY)
      let zeros = [UInt8](repeating: 0, count: bytes.count)
      unsafe zeros.withUnsafeBytes { _ = unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      close(descriptor)
    default: folder.remove("libecho.so")
    }
    #expect(try PluginFolder.bytes(of: plugin.image.descriptor) == bytes)
    #expect(try checksum(plugin.image) == 0xCBF4_3926)
    #expect(refusal(path, try folder.policy()) != nil)
  }

  @Test func `nothing can change a sealed image`() throws {
    let folder = try PluginFolder()
    let path = try folder.addPlugin()
    let image = try Verification.verify(manifestAt: path, under: folder.policy()).image
    let written = unsafe Glibc.write(image.descriptor, "x", 1)
    #expect(written == -1)
    #expect(errno == EPERM)
    #expect(ftruncate(image.descriptor, 0) == -1)
    #expect(ftruncate(image.descriptor, 1 << 20) == -1)
    let mapped = unsafe mmap(nil, 4_096, PROT_READ | PROT_WRITE, MAP_SHARED, image.descriptor, 0)
    let address = UInt(bitPattern: mapped)
    #expect(address == UInt.max)
    let again = unsafe open("/proc/self/fd/\(image.descriptor)", O_RDWR)
    let writtenAgain = unsafe Glibc.write(again, "x", 1)
    #expect(writtenAgain == -1)
    close(again)
    #expect(try PluginFolder.bytes(of: image.descriptor) == PluginFolder.good)
  }

  @Test func `a file that changes while it is verified is refused or is what was verified`() async throws {
    let folder = try PluginFolder()
    let good = [UInt8](repeating: 1, count: 600_000)
    let bad = [UInt8](repeating: 2, count: 600_000)
    let path = try folder.addPlugin(PluginFolder.manifest(digest: Digest(of: good)), bytes: good)
    let policy = try folder.policy()
    let files = (folder.file("libecho.so"), folder.file("spare.so"))
    let swapper = Task.detached {
      var verified = 0
      while !Task.isCancelled {
        for bytes in [bad, good] {
          // In place, and by a new file in its place.
          for target in [files.0, files.1] {
            let descriptor = unsafe open(target, O_WRONLY | O_CREAT, 0o644)
            unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            close(descriptor)
          }
          unsafe rename(files.1, files.0)
          verified += 1
        }
      }
      return verified
    }
    var refused = 0
    // The swapper may be scheduled late.
    for _ in 0..<20_000 where refused < 50 {
      do {
        let plugin = try Verification.verify(manifestAt: path, under: policy)
        #expect(try PluginFolder.bytes(of: plugin.image.descriptor) == good)
      } catch let error as Failure {
        #expect(error.status == .pluginUntrusted)
        refused += 1
      }
    }
    swapper.cancel()
    #expect(await swapper.value > 0)
    #expect(refused == 50)
  }
}
