internal import CWorker
package import FareboxCore

/// What keeps a worker in its place, as far as the kernel has it.
package struct SandboxReport: Sendable, Equatable {
  /// Whether memory, descriptors, dumps and bytes of files are limited.
  package var limits = false
  /// Whether capabilities are given up and none can come back.
  package var privileges = false
  /// Whether other processes of the user are kept from looking in.
  package var hidden = false
  /// The version of landlock in force, 0 for none.
  package var landlock = 0
  package var seccomp = false

  /// As JSON, with which a worker says hello.
  package var json: JSON {
    [
      "limits": .bool(limits), "privileges": .bool(privileges), "hidden": .bool(hidden),
      "landlock": .int(Int64(landlock)), "seccomp": .bool(seccomp),
    ]
  }

  init() {}

  /// Reads what a worker says; nil where it is not this.
  init?(_ json: JSON) {
    guard let object = json.object, object.count == 5, let limits = object["limits"]?.bool,
      let privileges = object["privileges"]?.bool, let hidden = object["hidden"]?.bool,
      let landlock = object["landlock"]?.int64, let seccomp = object["seccomp"]?.bool
    else { return nil }
    self.limits = limits
    self.privileges = privileges
    self.hidden = hidden
    self.landlock = Int(clamping: landlock)
    self.seccomp = seccomp
  }

  /// What must be in force for a policy to mean anything, and is not; nil where all of it is.
  var missing: String? {
    if !seccomp { return "seccomp, which keeps it from the network and from starting programs" }
    if landlock < 1 { return "landlock, which keeps it from files" }
    if !privileges { return "no_new_privs and empty capabilities, without which nothing else holds" }
    if !limits { return "resource limits" }
    return nil
  }
}

/// Puts the process that calls it into its place, for good.
enum Sandbox {
  /// Bytes that the worker's own code may need, besides what it was granted and a call's input and output.
  private static let ownMemory: Int64 = 64 << 20

  /// Applies what a plugin was granted; the process must have one thread.
  static func apply(_ grants: PluginPermissions) -> SandboxReport {
    var report = SandboxReport()
    let buffers = 2 * (grants.outputBytes + Int64(Limits.jsonBytes))
    let memory = UInt64(clamping: grants.memoryBytes + ownMemory + buffers)
    report.limits =
      farebox_limit_resources(memory, UInt32(clamping: grants.descriptors), grants.write.isEmpty ? 0 : 1) == 0
    report.privileges = farebox_drop_privileges() == 0
    report.hidden = farebox_forbid_looking_in() == 0
    report.landlock = restrictFiles(grants)
    guard report.privileges else { return report }
    report.seccomp =
      farebox_forbid_calls(grants.network ? 1 : 0, grants.subprocess ? 1 : 0, report.landlock >= 6 ? 1 : 0) == 0
    return report
  }

  /// What every plugin may read: what libraries consist of, and what the C library looks at.
  private static let systemFiles = [
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
    "/dev/zero", "/dev/random", "/dev/urandom",
  ]
  /// What finding and trusting a server takes.
  private static let networkFiles = [
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    "/etc/protocols", "/etc/ssl", "/etc/pki", "/usr/share/ca-certificates",
  ]
  /// What programs are in.
  private static let programFiles = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin"]

  /// Puts landlock in force and gives its version, or 0.
  private static func restrictFiles(_ grants: PluginPermissions) -> Int {
    let version = farebox_landlock_version()
    guard version > 0 else { return 0 }
    var rules = farebox_landlock_rules()
    let list = unsafe farebox_landlock_begin(version, grants.network ? 1 : 0, &rules)
    guard list >= 0 else { return 0 }
    let read = UInt64(FAREBOX_LANDLOCK_READ_FILE | FAREBOX_LANDLOCK_READ_FOLDER)
    let execute = UInt64(FAREBOX_LANDLOCK_EXECUTE)
    let null = read | UInt64(FAREBOX_LANDLOCK_WRITE_FILE)
    let run = grants.subprocess ? read | execute : read
    // Making and removing files and folders, but no devices and sockets.
    let write =
      read | null | rules.files
      & UInt64(FAREBOX_LANDLOCK_CHANGES | FAREBOX_LANDLOCK_REFER | FAREBOX_LANDLOCK_TRUNCATE)
    var allowed = systemFiles.map { ($0, run) }
    allowed.append(("/dev/null", null))
    if grants.network { allowed += networkFiles.map { ($0, read) } }
    if grants.subprocess { allowed += programFiles.map { ($0, run) } }
    allowed += grants.read.map { ($0, run) }
    allowed += grants.write.map { ($0, write) }
    var isComplete = true
    for (path, rights) in allowed {
      if unsafe farebox_landlock_allow(list, &rules, path, rights) != 0 { isComplete = false }
    }
    return farebox_landlock_finish(list) == 0 && isComplete ? Int(version) : 0
  }
}
