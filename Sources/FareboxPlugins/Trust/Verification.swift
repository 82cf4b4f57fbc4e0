package import Farebox
package import FareboxCore

/// A plugin that may be loaded: exactly these bytes, with exactly these permissions.
package struct VerifiedPlugin: Sendable {
  package let manifest: PluginManifest
  package let manifestDigest: Digest
  package let manifestPath: String
  /// The shared object for this platform.
  package let image: SealedImage
  package let trust: TrustLevel
  /// Whose signature the manifest has, if it is one of the policy's keys.
  package let signer: PublicKey?
  package let grants: PluginPermissions
  /// Whether it runs in this process, and not in a worker.
  package let runsInProcess: Bool
  /// Whether the lock file did not know it before.
  package let isNewInLock: Bool
}

/// Whether a plugin may be loaded, decided from its files and the policy without running anything.
package enum Verification {
  /// Verifies a plugin by the path of its manifest.
  ///
  /// In this order: the place, owners and modes; the manifest; revocation; the signature and the trust; the version of the
  /// ABI; the permissions; the shared object's bytes; the lock file. What is refused leaves no trace.
  /// - Throws: `invalidArgument` for a path that is not absolute or not that of a manifest, `pluginNotFound`,
  ///   `pluginManifest`, `pluginUntrusted`, `pluginPolicy`, `pluginABI`, or `pluginUnavailable` where the machine cannot
  ///   do it now.
  package static func verify(
    manifestAt path: String, under policy: PluginPolicy, host: ABIVersion = .host
  ) throws(Failure) -> VerifiedPlugin {
    let directory = try directory(of: path, policy)
    let (parent, name) = FilePath.split(path)
    let folder = try TrustedFolder(parent, below: directory)
    let bytes = try read(name, in: folder, limit: PluginManifest.longest)
    let manifest = try PluginManifest.parse(bytes)
    let digest = SHA256Hasher.hash(bytes.span)
    try checkRevoked(manifest, digest, policy)
    let (trust, signer) = try trust(in: bytes, digest, folder, name, policy)
    try checkABI(manifest, host)
    let grants = try manifest.permissions.granted(by: policy.permissions)
    let image = try image(of: manifest, in: folder, policy)
    let isNew = try admit(manifest, digest, image, policy)
    return VerifiedPlugin(
      manifest: manifest, manifestDigest: digest, manifestPath: path, image: image, trust: trust, signer: signer,
      grants: grants,
      runsInProcess: manifest.kind == .native && trust >= .pinned && policy.inProcess.contains(manifest.id),
      isNewInLock: isNew)
  }

  /// The directory of the policy that a manifest lies below.
  private static func directory(of path: String, _ policy: PluginPolicy) throws(Failure) -> String {
    guard FilePath.isAbsolute(path) else {
      throw Failure(.invalidArgument, field: "path", "must be an absolute path without . and ..")
    }
    let name = FilePath.split(path).name
    guard name.hasSuffix(PluginManifest.suffix), name.utf8.count > PluginManifest.suffix.utf8.count else {
      throw Failure(.invalidArgument, field: "path", "must end in NAME\(PluginManifest.suffix)")
    }
    guard let directory = policy.directories.first(where: { FilePath.relative(path, to: $0) != nil }) else {
      throw Failure(.pluginPolicy, field: "directories", "'\(path)' is not below a directory that the policy allows")
    }
    return directory
  }

  private static func read(
    _ name: String, in folder: borrowing TrustedFolder, limit: Int
  ) throws(Failure) -> [UInt8] {
    let path = "\(folder.path)/\(name)"
    guard let file = try folder.open(name) else { throw Failure(.pluginNotFound, "'\(path)' is not there") }
    guard let bytes = try file.bytes(limit: limit, path: path) else {
      throw Failure(.pluginManifest, "line 1 column 1: is longer than \(limit) bytes")
    }
    return bytes
  }

  private static func checkRevoked(
    _ manifest: PluginManifest, _ digest: Digest, _ policy: PluginPolicy
  ) throws(Failure) {
    let names: [(PluginPolicy.Revocation, String)] = [
      (.plugin(manifest.id), "the plugin \(manifest.id)"),
      (.version(id: manifest.id, version: manifest.version), "\(manifest.id) \(manifest.version)"),
      (.digest(digest), "this manifest"),
    ]
    for (entry, name) in names where policy.revoked.contains(entry) {
      throw Failure(.pluginUntrusted, field: "revoked", "the policy revokes \(name)")
    }
  }

  private static func checkABI(_ manifest: PluginManifest, _ host: ABIVersion) throws(Failure) {
    guard let range = manifest.abi, !range.contains(host) else { return }
    throw Failure(
      .pluginABI, field: "abi",
      "the plugin needs a host of ABI \(range), and this one is of \(host)",
      details: [
        "host": .string(host.description), "minimum": .string(range.minimum.description),
        "maximum": range.maximum.map { .string($0.description) } ?? .null,
      ])
  }

  private static func admit(
    _ manifest: PluginManifest, _ digest: Digest, _ image: SealedImage, _ policy: PluginPolicy
  ) throws(Failure) -> Bool {
    guard let lock = policy.lock else { return false }
    var files = [PluginFile.Platform.current: image.digest]
    for file in manifest.files where file.platform != .current { files[file.platform] = file.digest }
    let entry = LockFile.Entry(
      id: manifest.id, version: manifest.version, manifest: digest, files: files)
    return try LockFile.admit(entry, at: lock, isLocked: policy.isLocked)
  }
}
