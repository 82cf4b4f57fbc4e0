internal import CWorker
package import Farebox
package import FareboxCore

/// What authors do before they hand a plugin out: fill in the digests of its files, and sign its manifest.
package enum PluginSigning {
  /// Writes the SHA-256 of each file that is there into the manifest, and leaves everything else as its author wrote it.
  ///
  /// A file that is not there keeps the digest that the manifest has, so that each platform can be filled in where it is
  /// built. Libraries of the system are left alone.
  /// - Returns: the digest of the manifest, which is what a policy pins.
  /// - Throws: `pluginNotFound` for the manifest, or a file that has no digest; `pluginManifest` where the result would not
  ///   be a manifest, which then stays as it was; `pluginUnavailable`.
  package static func sealManifest(at path: String) throws(Failure) -> Digest {
    let (parent, name) = PlainFile.split(path)
    let folder = try PlainFile.folder(parent)
    var bytes = try PlainFile.manifest(name, in: folder, path)
    let before = bytes
    for edit in try edits(bytes, folder).sorted(by: { $0.place.lowerBound > $1.place.lowerBound }) {
      bytes.replaceSubrange(edit.place, with: edit.text.utf8)
    }
    _ = try PluginManifest.parse(bytes)
    if bytes != before { try NewFile.write(bytes, to: name, in: folder, path: path) }
    return SHA256Hasher.hash(bytes.span)
  }

  /// Signs a manifest with the 32-byte seed of an Ed25519 key, into the file beside it with `.sig` at the end of its name.
  ///
  /// - Returns: the public key, which is what a policy lists.
  /// - Throws: `pluginNotFound`, `pluginManifest`, `pluginUntrusted` where a file is there and is not what the manifest
  ///   says, `secretInvalid` for a seed of another size, `pluginUnavailable`.
  package static func sign(manifestAt path: String, seed: [UInt8]) throws(Failure) -> PublicKey {
    let (parent, name) = PlainFile.split(path)
    let folder = try PlainFile.folder(parent)
    let bytes = try PlainFile.manifest(name, in: folder, path)
    for (index, file) in try PluginManifest.parse(bytes).files.enumerated() {
      guard case .path(let relative) = file.source else { continue }
      if let found = try digest(relative, in: folder), found != file.digest {
        throw Failure(
          .pluginUntrusted, field: "files[\(index)].sha256", "'\(relative)' is not the file that the manifest describes"
        )
      }
    }
    let (key, text) = try ManifestSignature.file(for: bytes, seed: seed)
    try NewFile.write(Array(text.utf8), to: name + ManifestSignature.suffix, in: folder, path: path)
    return key
  }

  private struct Edit {
    let place: Range<Int>
    let text: String
  }

  /// What must change for the digests to be right.
  private static func edits(_ bytes: [UInt8], _ folder: borrowing OpenedFile) throws(Failure) -> [Edit] {
    let files: [JSON]
    do throws(Failure) {
      files = try JSON.parse(bytes).object?["files"]?.array ?? []
    } catch {
      throw Failure(.pluginManifest, error.message)
    }
    var edits: [Edit] = []
    for (index, file) in files.enumerated() {
      let field = "files[\(index)]"
      guard let relative = file.object?["path"]?.string, FilePath.isRelative(relative) else { continue }
      let known = file.object?["sha256"]
      guard let digest = try digest(relative, in: folder) else {
        guard known == nil else { continue }
        throw Failure(.pluginNotFound, field: "\(field).path", "'\(relative)' is not there, and has no sha256")
      }
      let member = known == nil ? "path" : "sha256"
      guard known?.string != digest.hex, let place = JSONPlace.find("\(field).\(member)", in: bytes) else { continue }
      let end = place.value.upperBound
      edits.append(
        known == nil
          ? Edit(place: end..<end, text: ", \"sha256\": \"\(digest.hex)\"")
          : Edit(place: place.value, text: "\"\(digest.hex)\""))
    }
    return edits
  }

  /// The digest of a file, or nil where there is none.
  private static func digest(_ relative: String, in folder: borrowing OpenedFile) throws(Failure) -> Digest? {
    let opened = unsafe farebox_open_file(folder.descriptor, relative)
    guard opened >= 0 else {
      let error = SystemError.last
      guard error.code == ENOENT else { throw error.failure(relative, "cannot be opened") }
      return nil
    }
    return try SealedImage(copying: OpenedFile(opened), path: relative).digest
  }
}
