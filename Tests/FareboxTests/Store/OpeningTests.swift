import FareboxCore
import Glibc
import Testing

@testable import Farebox
@testable import FareboxStore

/// Why a file cannot be opened: each reason says the path, has its status, and is not one to try again.
@Suite struct OpeningTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
  }

  private func expectRefusal(
    _ wanted: Status, at name: String, mustExist: Bool = false, _ words: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var options = EngineOptions()
    options.mustExist = mustExist
    options.busyTimeoutMilliseconds = 50
    let failure = #expect(throws: Failure.self, sourceLocation: sourceLocation) {
      try Engine(url: "sqlite:\(folder.file(name))", options: options)
    }
    #expect(failure?.status == wanted, "\(failure.debugDescription)", sourceLocation: sourceLocation)
    #expect(failure?.message.contains(folder.file(name)) == true, sourceLocation: sourceLocation)
    #expect(wanted.entry?.retryable == false, sourceLocation: sourceLocation)
    if let words {
      #expect(failure?.message.contains(words) == true, "\(failure.debugDescription)", sourceLocation: sourceLocation)
    }
  }

  private func write(_ text: String, to name: String) throws {
    try FileBytes.write(Array(text.utf8), folder.file(name))
  }

  private func makeLedger() throws {
    let engine = try Engine(url: folder.url())
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "7"])
    try engine.close()
  }

  @Test func `what is not there`() throws {
    expectRefusal(.storeNotFound, at: "ledger", mustExist: true)
    expectRefusal(.storeNotFound, at: "no/such/ledger", "There is no folder")
    try write("text", to: "text")
    expectRefusal(.storeNotFound, at: "text/ledger", "a file and not a folder")
  }

  @Test func `what is no ledger`() throws {
    try write(String(repeating: "this is not a ledger ", count: 5_000), to: "long")
    expectRefusal(.storeCorrupt, at: "long")
    try write("x", to: "short")
    expectRefusal(.storeCorrupt, at: "short", mustExist: true)
    expectRefusal(.storeCorrupt, at: "short", "too short")
    #expect(try FileBytes.read(folder.file("short")) == [UInt8(ascii: "x")])
    try write("", to: "empty")
    expectRefusal(.storeNotFound, at: "empty", mustExist: true, "is empty")
    #expect(unsafe mkdir(folder.file("folder"), 0o700) == 0 && mkfifo(folder.file("pipe"), 0o600) == 0)
    expectRefusal(.invalidArgument, at: "folder", "is a folder")
    expectRefusal(.invalidArgument, at: "pipe", mustExist: true, "is a pipe")
    unsafe rmdir(folder.file("folder"))
  }

  /// Also where it says of itself what a ledger would, and its journal stays as it is.
  @Test(arguments: [0, 1, 2, 3, 99]) func `another program's database`(_ version: Int) throws {
    do {
      let database = try Database(path: folder.file(), readOnly: false, mustExist: false)
      try database.execute("CREATE TABLE notes (text); PRAGMA user_version = \(version)")
    }
    let before = try FileBytes.read(folder.file())
    expectRefusal(.storeCorrupt, at: "ledger", "not a ledger")
    expectRefusal(.storeCorrupt, at: "ledger", mustExist: true, "not a ledger")
    #expect(try FileBytes.read(folder.file()) == before)
  }

  @Test func `a file of nothing becomes a ledger unless one must be there`() throws {
    try write("", to: "ledger")
    try makeLedger()
    var options = EngineOptions()
    options.mustExist = true
    try Engine(url: folder.url(), options: options).close()
  }

  /// Mounts a folder over itself that can only be read; nil where the machine does not permit it.
  private func readOnlyMount(_ body: () throws -> Void) throws -> Bool {
    let bind = UInt(MS_BIND)
    let again = UInt(MS_BIND | MS_REMOUNT | MS_RDONLY)
    guard unsafe mount(folder.path, folder.path, nil, bind, nil) == 0 else { return false }
    defer { unsafe umount2(folder.path, Int32(MNT_DETACH)) }
    guard unsafe mount(nil, folder.path, nil, again, nil) == 0 else { return false }
    try body()
    return true
  }

  @Test func `a ledger on a mount that can only be read is read and verified`() throws {
    try makeLedger()
    let before = try FileBytes.read(folder.file())
    var options = EngineOptions()
    options.mustExist = true
    _ = try readOnlyMount {
      expectRefusal(.storeReadOnly, at: "ledger", "existing")
      expectRefusal(.storeReadOnly, at: "new", "can only be read")
      let engine = try Engine(url: folder.url(), options: options)
      let balance = try engine.call("balance.get", ["account": "user:ana"])
      #expect(balance.object?["units"] == 7_000_000_000)
      try engine.expectSound()
      #expect(try engine.call("engine.describe").object?["read_only"] == true)
      #expect(
        status { _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "1"]) } == .storeReadOnly)
      #expect(status { _ = try engine.tick() } == .storeReadOnly)
      let elsewhere = try TemporaryFolder()
      _ = try engine.call("ledger.backup", ["to": .string(elsewhere.url())])
      try engine.close()
      let copied = try TemporaryFolder()
      let helper = try Engine(url: "memory:")
      _ = try helper.call("ledger.copy", ["from": .string(folder.url()), "to": .string(copied.url())])
      #expect(status { _ = try helper.call("ledger.rebuild", ["url": .string(folder.url())]) } == .storeReadOnly)
    }
    #expect(try FileBytes.read(folder.file()) == before)
  }

  /// A hold that is due cannot be expired there; what is read is the ledger as it was.
  @Test func `a hold that is due does not stand in the way of reading`() throws {
    let clock = ManualClock()
    var options = EngineOptions()
    options.clock = { clock.now }
    let engine = try Engine(url: folder.url(), options: options)
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "7"])
    _ = try engine.call("hold.reserve", ["payer": "user:ana", "amount": "2", "expires_in_ms": 1_000])
    try engine.close()
    clock.advance(3_600_000_000)
    options.mustExist = true
    _ = try readOnlyMount {
      let engine = try Engine(url: folder.url(), options: options)
      try engine.expectSound()
      _ = try engine.call("balance.get", ["account": "user:ana"])
      try engine.close()
    }
  }

  /// A killed process has left its log, and there is no index to it.
  @Test func `a log that was not closed is not passed over`() throws {
    try makeLedger()
    try write("what a killed process has left", to: "ledger-wal")
    var options = EngineOptions()
    options.mustExist = true
    _ = try readOnlyMount {
      expectRefusal(.storeReadOnly, at: "ledger", mustExist: true, "-wal")
    }
  }

  /// Mounts a disk of a few pages over the folder.
  @Test func `a disk that is full`() throws {
    guard unsafe mount("tmpfs", folder.path, "tmpfs", 0, "size=16k") == 0 else { return }
    defer { unsafe umount2(folder.path, Int32(MNT_DETACH)) }
    expectRefusal(.storeFull, at: "ledger", "The disk is full")
  }
}
