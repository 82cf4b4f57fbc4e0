package import Farebox
package import FareboxCore
internal import CWorker
internal import Glibc
internal import Synchronization

/// The plugins of one engine: loads them, lends them to calls, and ends with the engine.
///
/// Everything about money is the engine's; the host knows which code answers to a tool's name. All methods may be called
/// from any thread. One plugin at a time is loaded, replaced or unloaded: whoever comes in the middle gets BUSY, so that
/// code of a plugin that calls back into the engine can never wait for itself.
package final class PluginHost: EngineCompanion {
  /// What is callable now.
  struct Catalog: ~Copyable {
    private(set) var plugins: [String: Plugin] = [:]
    /// Tools by their full names, by those pinned to the version that is active, and by plain names that one plugin has.
    private(set) var tools: [String: (plugin: Plugin, tool: Int)] = [:]

    /// Sets the plugin that answers to an id.
    mutating func set(_ id: String, _ plugin: Plugin?) {
      plugins[id] = plugin
      tools = [:]
      var shared: Set<String> = []
      for plugin in plugins.values {
        for (index, tool) in plugin.tools.enumerated() {
          tools[tool.fullName] = (plugin, index)
          tools[tool.pinnedName] = (plugin, index)
          if tools.updateValue((plugin, index), forKey: tool.declared.name) != nil { shared.insert(tool.declared.name) }
        }
      }
      for name in shared { tools[name] = nil }
    }

    /// Withdraws all plugins and gives them back.
    mutating func removeAll() -> [Plugin] {
      defer {
        plugins = [:]
        tools = [:]
      }
      return Array(plugins.values)
    }
  }

  let catalog = Lock(Catalog())
  /// What discovery and attempts to load have found, by the manifest's path.
  let registry = Lock(Registry())
  let calls = CancelFlags()
  /// Calls that have begun and have not yet settled their money.
  let underWay = Atomic<Int>(0)
  /// Whether somebody is loading, replacing or unloading.
  private let isChanging = Lock(false)
  private let isClosed = Atomic<Bool>(false)

  private init() {}

  /// The host of an engine, made on first use.
  package static func of(_ engine: Engine) throws(Failure) -> PluginHost {
    let host = engine.companion.withLock { companion -> PluginHost? in
      if companion == nil { companion = PluginHost() }
      return companion as? PluginHost
    }
    guard let host else { throw Failure(.internal, "The engine has another companion.") }
    return host
  }

  package func engineWillClose() {
    isClosed.store(true, ordering: .sequentiallyConsistent)
    let deadline = farebox_worker_steady_clock() + PluginHost.drainTime
    let plugins = catalog.withLock { $0.removeAll() }
    // No call can reach an instance after this, so that none escapes being cancelled.
    for plugin in plugins { plugin.supervisor?.turnAway() }
    calls.cancelAll()
    for plugin in plugins { stop(plugin, within: deadline - farebox_worker_steady_clock()) }
    // What they hold is released while the engine still can.
    while underWay.load(ordering: .sequentiallyConsistent) > 0, farebox_worker_steady_clock() < deadline {
      usleep(1_000)
    }
  }

  /// Runs a call, for whose end a close of the engine waits.
  func whileOpen<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    underWay.add(1, ordering: .sequentiallyConsistent)
    defer { underWay.subtract(1, ordering: .sequentiallyConsistent) }
    if isClosed.load(ordering: .sequentiallyConsistent) { throw PluginHost.closed }
    return try body()
  }

  private static let closed = Failure(.closed, "The engine was closed.")

  /// How long calls that are under way may go on when their plugin is to stop, in nanoseconds.
  static let drainTime: Int64 = 10_000_000_000

  /// Runs a change of what is loaded, if nobody else is in the middle of one.
  func change<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    let isMine = isChanging.withLock { isChanging in
      if isChanging { return false }
      isChanging = true
      return true
    }
    guard isMine else { throw Failure(.busy, "Another plugin is being loaded, replaced or unloaded; try again.") }
    defer { isChanging.withLock { $0 = false } }
    if isClosed.load(ordering: .sequentiallyConsistent) { throw PluginHost.closed }
    return try body()
  }

  /// The active plugin of an id, or nil.
  func plugin(_ id: String) -> Plugin? {
    catalog.withLock { $0.plugins[id] }
  }

  /// The plugin that answers to a name of a tool, or nil.
  func tool(_ name: String) -> (plugin: Plugin, tool: Plugin.Tool)? {
    catalog.withLock { catalog in
      catalog.tools[name].map { found in (found.plugin, found.plugin.tools[found.tool]) }
    }
  }

  /// Makes a plugin the one that answers to its tools' names, and gives back the one that did before.
  func publish(_ plugin: Plugin) -> Plugin? {
    catalog.withLock { catalog in
      let before = catalog.plugins[plugin.id]
      catalog.set(plugin.id, plugin)
      return before
    }
  }

  /// Lets nobody find a plugin any more.
  func withdraw(_ plugin: Plugin) {
    catalog.withLock { catalog in
      if catalog.plugins[plugin.id] === plugin { catalog.set(plugin.id, nil) }
    }
  }

  /// Lets calls under way end, and stops a plugin's instances.
  func stop(_ plugin: Plugin, within time: Int64, why: String = "it was unloaded") {
    plugin.become(.draining)
    plugin.supervisor?.drain(until: farebox_worker_steady_clock() + time)
    plugin.become(.stopped, why)
  }
}
