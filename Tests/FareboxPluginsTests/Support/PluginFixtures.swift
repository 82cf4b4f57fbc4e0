import FareboxCore
import Glibc
import Synchronization

@testable import FareboxPlugins

/// The plugins of Tests/Plugins, built once for all tests of this process, and the table of what a host must answer.
struct PluginFixtures {
  struct Tool: Sendable {
    let name: String
    let input: [UInt8]
    /// Names of statuses, any of which is right.
    let expect: [String]
    /// Members that the output must have, where it says.
    let output: JSON?
    /// Members of the output that must not be 0.
    let denied: [String]
  }

  struct Fixture: Sendable, CustomStringConvertible {
    let name: String
    let manifest: String
    let tools: [Tool]
    /// The right statuses by step: `load`, `health`, `configure`, `unload`.
    let expect: [String: [String]]

    var description: String { name }
  }

  static let shared = PluginFixtures()

  let folder: String
  let all: [Fixture]

  private init() {
    let root = PluginFixtures.root
    folder = "\(root)/.build/plugin-fixtures-\(getpid())"
    guard PluginFixtures.run(["python3", "\(root)/Tests/Plugins/build", folder]) == 0,
      let bytes = PluginFixtures.bytes("\(folder)/fixtures.json"), let list = try? JSON.parse(bytes).array
    else {
      all = []
      return
    }
    let folder = folder
    all = list.compactMap { PluginFixtures.fixture($0, folder) }
    atexit { _ = PluginFixtures.run(["rm", "-rf", PluginFixtures.shared.folder]) }
  }

  /// The folder of the package.
  static let root = #filePath.split(separator: "/").dropLast(4).reduce("") { "\($0)/\($1)" }

  /// The worker that was built with the tests, beside their bundle.
  static let worker: String = {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
    let folder = bundle.map { $0.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } }
    return "\(folder ?? "\(root)/.build/debug")/farebox-worker"
  }()

  func fixture(_ name: String) throws -> Fixture {
    guard let found = all.first(where: { $0.name == name }) else {
      throw Failure(.internal, "There is no fixture '\(name)': Tests/Plugins/build failed, or has none of this name.")
    }
    return found
  }

  /// The plugin of a fixture, verified under the default policy but for trust and what `permissions` adds.
  func verified(_ fixture: Fixture, permissions: JSON = [:]) throws -> VerifiedPlugin {
    let policy: JSON = [
      "directories": [.string(folder)], "trust": "unsigned", "permissions": permissions, "system_libraries": true,
    ]
    return try Verification.verify(
      manifestAt: "\(folder)/\(fixture.manifest)", under: PluginPolicy.parse(Array(policy.serialized().utf8)))
  }

  private static func fixture(_ json: JSON, _ folder: String) -> Fixture? {
    guard let object = json.object, let name = object["name"]?.string, let manifest = object["manifest"]?.string else {
      return nil
    }
    let tools = (object["tools"]?.array ?? []).compactMap { tool -> Tool? in
      guard let tool = tool.object, let name = tool["name"]?.string, let input = tool["input"] else { return nil }
      return Tool(
        name: name, input: Array(input.serialized().utf8), expect: texts(tool["expect"]), output: tool["output"],
        denied: texts(tool["denied"]))
    }
    let expect = (object["expect"]?.object?.members ?? []).map { ($0.key, texts($0.value)) }
    return Fixture(
      name: name, manifest: manifest, tools: tools,
      expect: Dictionary(expect, uniquingKeysWith: { first, _ in first }))
  }

  private static func texts(_ json: JSON?) -> [String] {
    (json?.array ?? []).compactMap(\.string)
  }

  static func bytes(_ path: String) -> [UInt8]? {
    guard let file = unsafe fopen(path, "r") else { return nil }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&buffer, 1, buffer.count, file)
      guard count > 0 else { return bytes }
      bytes += buffer[0..<count]
    }
  }

  /// Runs a program and gives its exit status.
  @discardableResult
  static func run(_ arguments: [String]) -> Int32 {
    var process: pid_t = 0
    let texts = unsafe arguments.map { unsafe strdup($0) } + [nil]
    defer { for unsafe text in unsafe texts { unsafe free(text) } }
    guard unsafe posix_spawnp(&process, arguments[0], nil, nil, texts, environ) == 0 else { return -1 }
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0 { guard errno == EINTR else { return -1 } }
    return status
  }
}

/// Collects a plugin's log.
final class LogCollector: Sendable {
  private let collected = Mutex<[(level: PluginLogLevel, message: String)]>([])

  var lines: [(level: PluginLogLevel, message: String)] { collected.withLock { $0 } }

  var sink: PluginLogs {
    { level, message in self.collected.withLock { $0.append((level, message)) } }
  }
}
