import Farebox
import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

@Suite struct LockFileTests {
  private func verify(_ folder: PluginFolder, _ more: String = "") throws(Failure) -> VerifiedPlugin {
    let policy: PluginPolicy
    do {
      policy = try folder.policy(#""lock": "\#(folder.file("farebox.lock"))""# + more)
    } catch {
      throw Failure(.internal, "\(error)")
    }
    return try Verification.verify(manifestAt: folder.file("echo.farebox.json"), under: policy)
  }

  @Test func `a plugin is added when it is first seen`() throws {
    let folder = try PluginFolder()
    try folder.addPlugin()
    #expect(try verify(folder).isNewInLock)
    let before = try folder.bytes("farebox.lock")
    #expect(try !verify(folder).isNewInLock)
    #expect(try folder.bytes("farebox.lock") == before)
    let plugins = try JSON.parse(before).object?["plugins"]?.array
    #expect(plugins?.count == 1)
    let first = plugins?[0].object
    #expect(first?["id"] == .string(PluginFolder.id))
    #expect(
      first?["files"]?.object?[PluginFile.Platform.current.rawValue]?.string
        == Digest(of: PluginFolder.good).hex)
    #expect(first?["first_seen"]?.int64 ?? 0 > 1_700_000_000_000_000)
    #expect(!folder.has("farebox.lock.new"))
  }

  @Test func `the same version must stay the same`() throws {
    let folder = try PluginFolder()
    try folder.addPlugin()
    _ = try verify(folder)
    let other = Array("other".utf8)
    try folder.addPlugin(PluginFolder.manifest(digest: Digest(of: other)), bytes: other)
    let refused = failure { () throws(Failure) in try verify(folder) }
    #expect(refused?.status == .pluginUntrusted)
    #expect(refused?.field == "lock")
    try folder.addPlugin(PluginFolder.manifest(version: "1.0.1", digest: Digest(of: other)), bytes: other)
    #expect(try verify(folder).isNewInLock)
    try folder.addPlugin()
    #expect(try !verify(folder).isNewInLock)
  }

  @Test func `a locked policy adds nothing`() throws {
    let folder = try PluginFolder()
    try folder.addPlugin()
    let refused = failure { () throws(Failure) in try verify(folder, #", "locked": true"#) }
    #expect(refused?.field == "lock")
    #expect(!folder.has("farebox.lock"))
    _ = try verify(folder)
    #expect(try !verify(folder, #", "locked": true"#).isNewInLock)
  }

  @Test func `a refused plugin is not added`() throws {
    let folder = try PluginFolder()
    try folder.addPlugin(bytes: Array("other".utf8))
    #expect(failure { () throws(Failure) in try verify(folder) }?.field == "files[0].sha256")
    #expect(!folder.has("farebox.lock"))
  }

  @Test func `a lock file that others can write, or that is none, is not believed`() throws {
    let folder = try PluginFolder()
    try folder.addPlugin()
    _ = try verify(folder)
    folder.setMode("farebox.lock", 0o664)
    #expect(failure { () throws(Failure) in try verify(folder) }?.status == .pluginUntrusted)
    folder.setMode("farebox.lock", 0o644)
    for text in ["", "{}", #"{"lock": 1, "plugins": [{"id": "a.b"}]}"#, #"{"lock": 2, "plugins": []}"#] {
      try folder.write(text, to: "farebox.lock")
      #expect(failure { () throws(Failure) in try verify(folder) }?.field == "lock", "\(text)")
      #expect(String(decoding: try folder.bytes("farebox.lock"), as: UTF8.self) == text)
    }
    folder.remove("farebox.lock")
    folder.makeLink("farebox.lock", to: "elsewhere")
    #expect(failure { () throws(Failure) in try verify(folder) }?.status == .pluginUntrusted)
  }

  @Test func `many that add at once lose nothing`() async throws {
    let folder = try PluginFolder()
    let path = folder.file("farebox.lock")
    let digest = Digest(of: PluginFolder.good)
    let added = await withTaskGroup(of: Int.self) { group in
      for worker in 0..<8 {
        group.addTask {
          var added = 0
          for number in 0..<10 {
            // Half of them are the same for all.
            let id = number % 2 == 0 ? "org.shared.n\(number)" : "org.own.n\(number)w\(worker)"
            let entry = LockFile.Entry(
              id: id, version: "1.0.0", manifest: digest, files: [.current: digest], firstSeen: 1)
            if (try? LockFile.admit(entry, at: path, isLocked: false)) == true { added += 1 }
          }
          return added
        }
      }
      return await group.reduce(0, +)
    }
    #expect(added == 45)
    #expect(try JSON.parse(folder.bytes("farebox.lock")).object?["plugins"]?.array?.count == 45)
  }

  @Test func `another platform is added to what is known`() throws {
    let folder = try PluginFolder()
    let path = folder.file("farebox.lock")
    let digest = Digest(of: PluginFolder.good)
    func entry(_ platform: PluginFile.Platform, _ file: Digest) -> LockFile.Entry {
      LockFile.Entry(id: "a.b", version: "1.0.0", manifest: digest, files: [platform: file], firstSeen: 1)
    }
    #expect(try LockFile.admit(entry(.linuxX86, digest), at: path, isLocked: false))
    #expect(try LockFile.admit(entry(.linuxARM, .zero), at: path, isLocked: false))
    #expect(try !LockFile.admit(entry(.linuxARM, .zero), at: path, isLocked: true))
    let refused = failure { () throws(Failure) in
      try LockFile.admit(entry(.linuxX86, .zero), at: path, isLocked: false)
    }
    #expect(refused?.status == .pluginUntrusted)
  }
}
