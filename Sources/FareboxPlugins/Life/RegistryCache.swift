internal import CWorker
internal import FareboxCore

/// The file that a policy names as `cache`: what a scan has found, for the next process.
enum RegistryCache {
  /// Bytes of a cache.
  private static let longest = 16 << 20

  /// What the file says, or nil where there is none that can be read.
  static func read(_ path: String) -> JSON? {
    let (parent, name) = PlainFile.split(path)
    guard let folder = try? PlainFile.folder(parent),
      let bytes = try? PlainFile.read(name, in: folder, path, limit: longest)
    else { return nil }
    return try? JSON.parse(bytes)
  }

  /// Writes the file; returns whether that went well.
  static func write(_ json: JSON, to path: String) -> Bool {
    let (parent, name) = PlainFile.split(path)
    do throws(Failure) {
      try NewFile.write(Array(json.serialized().utf8), to: name, in: PlainFile.folder(parent), path: path)
      return true
    } catch {
      return false
    }
  }
}
