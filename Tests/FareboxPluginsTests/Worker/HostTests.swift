import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

/// What workers leave behind in the process that starts them, and what they do when it does unusual things. Each runs in
/// a process of its own, because others must not start processes or open descriptors meanwhile.
@Suite struct HostTests {
  /// The processes use what this one has built.
  init() {
    _ = PluginFixtures.shared
  }

  private static func descriptors() -> Int {
    (0..<1_024).count { fcntl(Int32($0), F_GETFD) >= 0 }
  }

  @Test func leavesNoDescriptorAndNoZombieAfterAThousandCrashes() async {
    await #expect(processExitsWith: .success) {
      try crash(2)
      let before = HostTests.descriptors()
      try crash(1_000)
      #expect(HostTests.descriptors() == before)
      // No child is left, dead or alive.
      #expect(waitpid(-1, nil, WNOHANG) == -1 && errno == ECHILD)
    }
  }

  @Test func copesWithAHostThatIgnoresItsChildren() async {
    await #expect(processExitsWith: .success) {
      signal(SIGCHLD, SIG_IGN)
      for _ in 0..<3 {
        let worker = try makeWorker("hostile")
        _ = try worker.call(makeCall("hostile.bytes_any"))
        #expect(status { try worker.call(makeCall("hostile.segfault")) } == .pluginCrashed)
        #expect(!worker.isAlive)
        let other = try makeWorker("hostile")
        #expect(status { try other.call(makeCall("hostile.loop", milliseconds: 100)) } == .pluginDeadline)
        let graceful = try makeWorker("good-1.0.0")
        graceful.deactivate()
        graceful.shutdown()
        #expect(!graceful.isAlive)
      }
    }
  }

  @Test func copesWithAHostThatReapsEverything() async {
    await #expect(processExitsWith: .success) {
      let worker = try makeWorker("hostile")
      let reaper = Beside {
        while waitpid(-1, nil, 0) >= 0 || errno == EINTR {}
      }
      #expect(status { try worker.call(makeCall("hostile.abort")) } == .pluginCrashed)
      reaper.join()
      #expect(!worker.isAlive)
    }
  }

  @Test func leavesTheParentsWorkersAlone() async {
    await #expect(processExitsWith: .success) {
      let worker = try makeWorker("good-1.0.0")
      let child = forkedChild {
        guard status({ try worker.call(makeCall("good.echo")) }) == .forked, !worker.isAlive else { return 1 }
        worker.terminate()
        worker.shutdown()
        // One of its own.
        guard let own = try? makeWorker("good-1.0.0") else { return 2 }
        return status { try own.call(makeCall("good.echo")) } == .ok ? 0 : 3
      }
      var ending: Int32 = -1
      #expect(unsafe waitpid(child, &ending, 0) == child && ending == 0)
      #expect(try worker.call(makeCall("good.add", ["a": 2, "b": 40]))["sum"] == .int(42))
    }
  }

  @Test func aWorkerDiesWithItsHost() async throws {
    let path = "\(PluginFixtures.shared.folder)/orphan"
    unsafe setenv("FAREBOX_TEST_ORPHAN", path, 1)
    await #expect(processExitsWith: .signal(SIGKILL)) {
      let worker = try makeWorker("hostile")
      let process = worker.child.processID
      // A child that goes on must not keep the worker alive.
      _ = forkedChild {
        sleep(3)
        return 0
      }
      _ = Beside {
        usleep(100_000)
        let file = unsafe getenv("FAREBOX_TEST_ORPHAN").flatMap { unsafe fopen($0, "w") }
        if let file = unsafe file {
          _ = unsafe fputs(String(process), file)
          unsafe fclose(file)
        }
        kill(getpid(), SIGKILL)
      }
      _ = try worker.call(makeCall("hostile.ignore_signals", milliseconds: 60_000))
    }
    let text = String(decoding: try #require(PluginFixtures.bytes(path)), as: UTF8.self)
    let process = try #require(Int32(text))
    var runs = true
    for _ in 0..<500 where runs {
      runs = isRunning(process)
      if runs { usleep(10_000) }
    }
    #expect(!runs)
  }
}

/// Starts so many workers and has each crash.
private func crash(_ count: Int) throws {
  for _ in 0..<count {
    let worker = try makeWorker("hostile")
    #expect(status { try worker.call(makeCall("hostile.exit_now", ["code": 0])) } == .pluginCrashed)
  }
}

/// Forks and exits with what the body gives.
private func forkedChild(_ body: () -> Int32) -> pid_t {
  typealias Fork = @convention(c) () -> pid_t
  // Swift does not offer it by name.
  guard let symbol = unsafe dlsym(nil, "fork") else { return -1 }
  let process = unsafe unsafeBitCast(symbol, to: Fork.self)()
  if process == 0 { _exit(body()) }
  return process
}

/// Whether a process runs, and is not only waiting to be reaped.
private func isRunning(_ process: pid_t) -> Bool {
  guard let bytes = PluginFixtures.bytes("/proc/\(process)/stat") else { return false }
  let fields = String(decoding: bytes, as: UTF8.self).split(separator: ")").last?.split(separator: " ")
  return fields?.first.map { $0 != "Z" && $0 != "X" } ?? false
}
