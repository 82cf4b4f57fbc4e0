import CFareboxPlugin
import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

/// Tables of older and newer plugins, each at the end of a page behind which nothing can be read.
@Suite struct PluginTableTests {
  private let manifest: PluginManifest

  init() throws {
    manifest = try PluginFixtures.shared.verified(PluginFixtures.shared.fixture("truth")).manifest
  }

  /// The table that the plugin of the manifest has.
  private func table(
    _ change: (inout farebox_plugin) -> Void = { (_: inout farebox_plugin) in }
  ) throws -> farebox_plugin {
    let plugin = try PluginFixtures.shared.verified(PluginFixtures.shared.fixture("truth"))
    let library = try SharedObject(image: plugin.image.descriptor)
    typealias Entry = @convention(c) () -> UnsafePointer<farebox_plugin>?
    guard let symbol = unsafe library.symbol("farebox_plugin_entry"),
      let found = unsafe unsafeBitCast(symbol, to: Entry.self)()
    else { throw Failure(.pluginBroken, "The fixture has no table.") }
    var table = unsafe found.pointee
    unsafe change(&table)
    return unsafe table
  }

  /// Reads the first bytes of a table that ends with its page.
  private func read(
    _ table: farebox_plugin, size: Int, readable: Int, host: ABIVersion = .host, manifest: PluginManifest? = nil
  ) throws(Failure) -> Bool {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    guard let memory = unsafe mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) else {
      throw Failure(.noMemory, "There is no page.")
    }
    defer { unsafe munmap(memory, 2 * page) }
    unsafe mprotect(memory + page, page, PROT_NONE)
    let start = unsafe memory + page - readable
    unsafe withUnsafeBytes(of: table) { bytes in
      unsafe start.copyMemory(from: bytes.baseAddress ?? UnsafeRawPointer(start), byteCount: min(bytes.count, readable))
    }
    unsafe start.storeBytes(of: UInt32(size), as: UInt32.self)
    let read = try unsafe PluginTable(UnsafeRawPointer(start), manifest: manifest ?? self.manifest, host: host)
    return unsafe read.functions.health != nil
  }

  private static let whole = unsafe MemoryLayout<farebox_plugin>.size

  @Test func theHostsVersionIsTheHeaders() {
    let header = ABIVersion(major: UInt16(FAREBOX_PLUGIN_ABI_MAJOR), minor: UInt16(FAREBOX_PLUGIN_ABI_MINOR))
    #expect(ABIVersion.host == header)
  }

  @Test func readsNoFurtherThanAnOlderPluginGoes() throws {
    let table = try unsafe table()
    #expect(try unsafe read(table, size: PluginTableTests.whole, readable: PluginTableTests.whole))
    let older = unsafe MemoryLayout<farebox_plugin>.offset(of: \.health) ?? 0
    #expect(try unsafe !read(table, size: older, readable: older))
    for size in [0, 8, 24, 63] {
      #expect(status { try unsafe read(table, size: size, readable: max(size, 8)) } == .pluginBroken)
    }
  }

  @Test func readsNoFurtherThanItselfKnowsOfANewerPlugin() throws {
    let newer = try unsafe table { unsafe $0.abi_minor = 7 }
    #expect(try unsafe read(newer, size: PluginTableTests.whole + 64, readable: PluginTableTests.whole))
    #expect(try unsafe read(newer, size: Int(UInt32.max), readable: PluginTableTests.whole))
  }

  @Test func refusesWhatItCannotCall() throws {
    let other = try unsafe table { unsafe $0.abi_major = 2 }
    do throws(Failure) {
      _ = try unsafe read(other, size: PluginTableTests.whole, readable: 8)
      Issue.record("it was read")
    } catch {
      #expect(error.status == .pluginABI)
      #expect(error.message.contains("2.0") && error.message.contains("1.0"))
    }
    // A host that is older than the manifest asks for, and one that is newer than it allows.
    let needing = try PluginFixtures.shared.fixture("minor-needed")
    let bytes = try #require(PluginFixtures.bytes("\(PluginFixtures.shared.folder)/\(needing.manifest)"))
    let manifest = try PluginManifest.parse(bytes)
    let table = try unsafe table()
    let whole = PluginTableTests.whole
    #expect(
      status { try unsafe read(table, size: whole, readable: whole, manifest: manifest) } == .pluginABI)
    let next = ABIVersion(major: 2, minor: 0)
    #expect(status { try unsafe read(table, size: whole, readable: whole, host: next) } == .pluginABI)
    // The same plugin in a newer host of its major version.
    #expect(try unsafe read(table, size: whole, readable: whole, host: ABIVersion(major: 1, minor: 9)))
  }
}
