internal import Farebox
internal import FareboxCore

extension Verification {
  /// How much is known of a manifest's origin.
  ///
  /// A signature that does not verify refuses the plugin: it is never taken for one that is unsigned. One by a key that
  /// the policy does not have says nothing.
  static func trust(
    in manifest: [UInt8], _ digest: Digest, _ folder: borrowing TrustedFolder, _ name: String, _ policy: PluginPolicy
  ) throws(Failure) -> (trust: TrustLevel, signer: PublicKey?) {
    var signer: PublicKey?
    var trust = policy.pins.contains(digest) ? TrustLevel.pinned : .unsigned
    var reason = "its manifest has no signature beside it"
    let path = "\(folder.path)/\(name)\(ManifestSignature.suffix)"
    if let file = try folder.open(name + ManifestSignature.suffix) {
      guard let bytes = try file.bytes(limit: ManifestSignature.longest, path: path) else {
        throw Failure(.pluginUntrusted, "'\(path)' is longer than \(ManifestSignature.longest) bytes")
      }
      let signature = try ManifestSignature.parse(bytes, path: path)
      guard !policy.revoked.contains(.key(signature.key)) else {
        throw Failure(.pluginUntrusted, field: "revoked", "the policy revokes the key that signed the manifest")
      }
      guard signature.isValid(for: manifest) else {
        throw Failure(.pluginUntrusted, "the signature '\(path)' is not of this manifest: one of them was changed")
      }
      if policy.keys.values.contains(signature.key) {
        trust = .signed
        signer = signature.key
      } else {
        reason = "its manifest is signed by a key that the policy does not have"
      }
    }
    guard trust >= policy.trust else {
      throw Failure(
        .pluginUntrusted, field: "trust",
        "the policy loads what is \(policy.trust.rawValue), and the plugin is \(trust.rawValue): \(reason)",
        details: ["trust": .string(trust.rawValue), "manifest_sha256": .string(digest.hex)])
    }
    return (trust, signer)
  }

  /// The sealed bytes of the shared object for this platform, which are those that the manifest names.
  static func image(
    of manifest: PluginManifest, in folder: borrowing TrustedFolder, _ policy: PluginPolicy
  ) throws(Failure) -> SealedImage {
    guard let index = manifest.files.firstIndex(where: { $0.platform == .current }) else {
      let others = manifest.files.map(\.platform.rawValue).joined(separator: ", ")
      throw Failure(
        .pluginABI, field: "files",
        "the plugin has files for \(others), and this host is \(PluginFile.Platform.current.rawValue)")
    }
    let file = manifest.files[index]
    let image = try seal(file, in: folder, policy)
    if let digest = file.digest, digest != image.digest {
      throw Failure(
        .pluginUntrusted, field: "files[\(index)].sha256",
        "'\(image.path)' is not the file that the manifest describes",
        details: ["expected": .string(digest.hex), "found": .string(image.digest.hex)])
    }
    guard !policy.revoked.contains(.digest(image.digest)) else {
      throw Failure(.pluginUntrusted, field: "revoked", "the policy revokes the file '\(image.path)'")
    }
    return image
  }

  private static func seal(
    _ file: PluginFile, in folder: borrowing TrustedFolder, _ policy: PluginPolicy
  ) throws(Failure) -> SealedImage {
    switch file.source {
    case .path(let relative):
      let path = "\(folder.path)/\(relative)"
      guard let opened = try folder.open(relative) else {
        throw Failure(.pluginNotFound, "'\(path)', which the manifest names, is not there")
      }
      return try SealedImage(copying: opened, path: path)
    case .system(let name):
      guard policy.systemLibraries else {
        throw Failure(
          .pluginPolicy, field: "system_libraries", "the policy does not allow libraries of the system, such as \(name)"
        )
      }
      return try SystemLibrary.image(name)
    }
  }
}
