internal import CWorker
internal import Farebox
internal import FareboxCore

/// The file with an author's signing key: 32 bytes in base64, and readable by nobody else.
enum SigningKeyFile {
  /// The seed in a file, or a new one where there is no file of the name.
  ///
  /// - Throws: `secretInvalid` for what is not 32 bytes in base64; never with a part of it.
  static func open(_ path: String) throws(Failure) -> [UInt8] {
    let (parent, name) = PlainFile.split(path)
    let folder = try PlainFile.folder(parent)
    if unsafe faccessat(folder.descriptor, name, F_OK, 0) == 0 {
      guard let bytes = try PlainFile.read(name, in: folder, path, limit: 1_024),
        let seed = Base64.bytes(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }),
        seed.count == Ed25519.keySize
      else { throw Failure(.secretInvalid, field: "key", "The file has no 32-byte seed in base64.") }
      return seed
    }
    var seed = [UInt8](repeating: 0, count: Ed25519.keySize)
    var span = seed.mutableSpan
    try SecureRandom.fill(&span)
    try NewFile.write(Array("\(Base64.text(seed))\n".utf8), to: name, in: folder, path: path, mode: 0o600)
    return seed
  }
}
