package import Farebox
internal import FareboxCore

/// The shared object of a plugin for one platform.
package struct PluginFile: Sendable, Equatable {
  package enum Platform: String, CaseIterable, Sendable {
    case linuxX86 = "linux-x86_64"
    case linuxARM = "linux-aarch64"

    /// That of this process.
    #if arch(arm64)
      package static let current = Platform.linuxARM
    #else
      package static let current = Platform.linuxX86
    #endif
  }

  package enum Source: Sendable, Equatable {
    /// A path within the manifest's folder.
    case path(String)
    /// The name of a library in the folders of the system.
    case system(String)
  }

  package let platform: Platform
  package let source: Source
  /// The digest that the file must have; nil only for a library of the system.
  package let digest: Digest?

  /// Bytes of a path within the manifest's folder.
  static let longestPath = 1_024

  static func parse(_ json: JSON, path: String, kind: PluginManifest.Kind) throws(Failure) -> PluginFile {
    var fields = try ManifestFields.read(json, path: path)
    guard let name = try fields.required("platform").string, let platform = Platform(rawValue: name) else {
      throw fields.wrong("platform", "must be \(Platform.allCases.map(\.rawValue).joined(separator: " or "))")
    }
    let file = try fields.text("path", limit: longestPath)
    let system = try fields.text("system", limit: Limits.toolName)
    let digest = try digest("sha256", &fields)
    try fields.finish()
    if let system {
      guard kind == .foreign else { throw fields.wrong("system", "only a foreign plugin is a library of the system") }
      guard file == nil else { throw fields.wrong("system", "give path or system, not both") }
      guard isLibrary(system) else { throw fields.wrong("system", "must be the name of a library, such as libz.so.1") }
      return PluginFile(platform: platform, source: .system(system), digest: digest)
    }
    guard let file else { throw Failure(.missingField, field: fields.path("path"), "is missing") }
    guard FilePath.isRelative(file) else {
      throw fields.wrong("path", "must lead from the manifest's folder down to a file, without . or ..")
    }
    guard let digest else { throw Failure(.missingField, field: fields.path("sha256"), "is missing") }
    return PluginFile(platform: platform, source: .path(file), digest: digest)
  }

  private static func digest(_ key: String, _ fields: inout JSONFields) throws(Failure) -> Digest? {
    guard let text = try fields.text(key, limit: 64) else { return nil }
    guard let digest = Digest(hex: text) else {
      throw fields.wrong(key, "must be the 64 lower-case hexadecimal digits of a SHA-256")
    }
    return digest
  }

  /// The name of a shared object, without a path: `libz.so.1`.
  private static func isLibrary(_ name: String) -> Bool {
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "+"):
        true
      default: false
      }
    }
    return isPlain && name.hasPrefix("lib") && (name.hasSuffix(".so") || name.contains(".so."))
  }
}

extension Digest {
  /// Reads 64 lower-case hexadecimal digits; nil for anything else.
  init?(hex: String) {
    guard hex.utf8.count == 64 else { return nil }
    var words: [UInt64] = [0, 0, 0, 0]
    for (index, byte) in hex.utf8.enumerated() {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      default: return nil
      }
      words[index / 16] = words[index / 16] << 4 | UInt64(digit)
    }
    self.init(words[0], words[1], words[2], words[3])
  }
}
