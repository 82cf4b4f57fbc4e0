import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

/// What the kernel lets a plugin do that was granted something, and does not let one that was not.
@Suite struct SandboxTests {
  /// A worker with the hostile plugin, granted what its manifest never asked for.
  private func worker(_ grants: PluginPermissions) throws -> WorkerProcess {
    let plugin = try PluginFixtures.shared.verified(PluginFixtures.shared.fixture("hostile"))
    let worker = try WorkerProcess(
      manifest: plugin.manifest, image: plugin.image.descriptor, grants: grants, worker: PluginFixtures.worker,
      logs: { _, _ in })
    try worker.initialise(config: "{}")
    try worker.activate()
    return worker
  }

  private func errno(
    _ grants: PluginPermissions, _ tool: String, _ input: JSON, _ member: String = "errno"
  ) throws -> JSON? {
    try worker(grants).call(makeCall(tool, input))[member]
  }

  @Test func saysWhatTheKernelGives() throws {
    let report = try worker(.none).sandbox
    #expect(report.seccomp && report.privileges && report.limits && report.hidden)
    #expect(report.landlock >= 1)
    #expect(report.missing == nil)
  }

  @Test func opensTheNetworkOnRequest() throws {
    let denied = JSON.int(Int64(EPERM))
    #expect(try errno(.none, "hostile.sockets", [:], "inet") == denied)
    let network = PluginPermissions(network: true)
    #expect(try errno(network, "hostile.sockets", [:], "inet") == .int(0))
    // Nothing that is not the Internet.
    #expect(try errno(network, "hostile.sockets", [:], "packet") == denied)
    #expect(try errno(network, "hostile.connect", ["port": 1]) == .int(Int64(ECONNREFUSED)))
  }

  @Test func opensFoldersOnRequest() throws {
    let denied = JSON.int(Int64(EACCES))
    #expect(try errno(.none, "hostile.read_file", ["path": "/etc/passwd"]) == denied)
    #expect(try errno(PluginPermissions(read: ["/etc"]), "hostile.read_file", ["path": "/etc/passwd"]) == .int(0))
    #expect(try errno(PluginPermissions(read: ["/etc"]), "hostile.write_file", ["path": "/etc/farebox"]) == denied)

    let folder = "\(PluginFixtures.shared.folder)/written"
    unsafe mkdir(folder, 0o700)
    let path = JSON.string("\(folder)/file")
    #expect(try errno(PluginPermissions(read: [folder]), "hostile.write_file", ["path": path]) == denied)
    #expect(try errno(PluginPermissions(write: [folder]), "hostile.write_file", ["path": path]) == .int(0))
    #expect(try errno(PluginPermissions(write: [folder]), "hostile.read_file", ["path": path]) == .int(0))
  }

  @Test func startsProcessesOnRequest() throws {
    #expect(try errno(.none, "hostile.fork", [:]) == .int(Int64(EPERM)))
    #expect(try errno(PluginPermissions(subprocess: true), "hostile.fork", [:]) == .int(0))
  }

  @Test func showsOnlyGrantedVariables() throws {
    unsafe setenv("FAREBOX_TEST_GRANTED", "1", 1)
    unsafe setenv("FAREBOX_TEST_SECRET", "hunter2", 1)
    let grants = PluginPermissions(environment: ["FAREBOX_TEST_GRANTED"])
    let said = String(decoding: try worker(grants).call(makeCall("hostile.environment")).output, as: UTF8.self)
    #expect(said.contains("FAREBOX_TEST_GRANTED"))
    #expect(!said.contains("FAREBOX_TEST_SECRET") && !said.contains("PATH") && !said.contains("SWIFT_BACKTRACE"))
  }
}
