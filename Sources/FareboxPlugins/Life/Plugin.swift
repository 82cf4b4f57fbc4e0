internal import Farebox
internal import FareboxCore
internal import Synchronization

/// One version of a plugin in one engine, from the moment that it was found to be in order.
final class Plugin: Sendable {
  let manifest: PluginManifest
  /// SHA-256 of the manifest, and of the file that was loaded; of a built-in plugin only the manifest's.
  let manifestDigest: Digest
  let fileDigest: Digest?
  let trust: TrustLevel
  let grants: PluginPermissions
  let runsInProcess: Bool
  /// Where its manifest is, or empty for one that is built in.
  let path: String
  let log: PluginLog
  let metrics = PluginMetrics()
  /// Its tools, in the order of the manifest, ready for calls.
  let tools: [Tool]
  /// What receipts and records say of where a call ran.
  let attribution: String
  /// What was verified; nil for a built-in plugin.
  let verified: VerifiedPlugin?
  /// The generation of the policy that allows it.
  let policyGeneration: Atomic<Int>
  private let standing: Lock<Standing>
  private let running = Lock<Supervisor?>(nil)

  /// A tool of the plugin; a class, because a call must not copy all that its manifest says of it.
  final class Tool: Sendable {
    let declared: PluginTool
    let measure: UsageMeasure
    /// Whether the host counts all that the price charges for before the call.
    let isCounted: Bool
    /// Of the asset in whose atomic units a `value` is counted.
    let scale: UInt8
    /// `skill#tool`.
    let fullName: String
    /// `skill@version#tool`: what a call is charged as, so that it costs what this version declares.
    let pinnedName: String
    let pinned: OwnedText

    init(_ declared: PluginTool, of manifest: PluginManifest, price: Price?) {
      self.declared = declared
      fullName = ToolName(skill: manifest.id, tool: declared.name).text
      let pinnedName = ToolName(skill: manifest.id, version: manifest.version, tool: declared.name).text
      self.pinnedName = pinnedName
      pinned = pinnedName.withBorrowedText { OwnedText($0) }
      measure = UsageMeasure(declared)
      let counted = measure.metersBefore
      let priced = (price?.components ?? []).reduce(into: MeterSet()) { $0.formUnion($1.meters) }
      isCounted = price != nil && priced.isSubset(of: counted)
      scale = price?.asset.scale ?? 0
    }
  }

  private struct Standing {
    var state: PluginState
    var reason = ""
    var configuration: JSON = .object(JSONObject())
    /// What the kernel gave of the sandbox, as the worker reports it.
    var sandbox: JSON = .null
  }

  init(
    manifest: PluginManifest, manifestDigest: Digest, fileDigest: Digest?, trust: TrustLevel, grants: PluginPermissions,
    runsInProcess: Bool, path: String, log: PluginLog, verified: VerifiedPlugin? = nil, policyGeneration: Int = 0
  ) {
    self.verified = verified
    self.policyGeneration = Atomic(policyGeneration)
    self.manifest = manifest
    self.manifestDigest = manifestDigest
    self.fileDigest = fileDigest
    self.trust = trust
    self.grants = grants
    self.runsInProcess = runsInProcess
    self.path = path
    self.log = log
    // It was read once before, when the manifest was.
    let skill = try? SkillManifest.parse(manifest.skill, asset: { Asset.builtIn($0) })
    tools = manifest.tools.map { tool in
      Tool(tool, of: manifest, price: skill?.tools.first { $0.name == tool.name }?.price)
    }
    var attribution: JSONObject = [
      "plugin": .string(manifest.id), "version": .string(manifest.version),
    ]
    if let fileDigest { attribution.append("sha256", .string(fileDigest.hex)) }
    self.attribution = JSON.object(attribution).serialized()
    standing = Lock(Standing(state: .verified))
  }

  var id: String { manifest.id }
  var version: String { manifest.version }

  /// The supervisor of its instances, once it was started.
  var supervisor: Supervisor? {
    get { running.withLock { $0 } }
    set { running.withLock { $0 = newValue } }
  }

  var state: PluginState { standing.withLock { $0.state } }
  /// Why it is not active.
  var reason: String { standing.withLock { $0.reason } }

  var configuration: JSON {
    get { standing.withLock { $0.configuration } }
    set { standing.withLock { $0.configuration = newValue } }
  }

  var sandbox: JSON {
    get { standing.withLock { $0.sandbox } }
    set { standing.withLock { $0.sandbox = newValue } }
  }

  /// Goes to the next state, if that may follow.
  @discardableResult
  func become(_ next: PluginState, _ reason: String = "") -> Bool {
    standing.withLock { standing in
      guard standing.state.mayBecome(next) else { return false }
      standing.state = next
      standing.reason = reason
      return true
    }
  }

  /// Refuses what cannot be called now.
  func checkActive() throws(Failure) -> Supervisor {
    guard state == .active, let supervisor else { throw inactive }
    return supervisor
  }

  private var inactive: Failure {
    let why = reason.isEmpty ? "it is \(state.rawValue)" : "it is \(state.rawValue): \(reason)"
    return Failure(
      .pluginInactive, field: "tool", "Plugin '\(id)' is not active; \(why).",
      details: ["plugin": .string(id), "state": .string(state.rawValue), "reason": .string(reason)])
  }
}
