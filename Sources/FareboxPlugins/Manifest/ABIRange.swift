/// A version of farebox_plugin.h, such as 1.0.
package struct ABIVersion: Hashable, Sendable {
  package let major: UInt16
  package let minor: UInt16

  /// The version that this host speaks: FAREBOX_PLUGIN_ABI_MAJOR and FAREBOX_PLUGIN_ABI_MINOR.
  package static let host = ABIVersion(major: 1, minor: 0)

  package init(major: UInt16, minor: UInt16) {
    self.major = major
    self.minor = minor
  }

  /// Reads `1.0`; nil for anything else.
  package init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let major = ABIVersion.number(parts[0]), let minor = ABIVersion.number(parts[1]) else {
      return nil
    }
    self.init(major: major, minor: minor)
  }

  private static func number(_ text: Substring) -> UInt16? {
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else { return nil }
    guard text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0") else { return nil }
    return UInt16(text)
  }
}

extension ABIVersion: Comparable, CustomStringConvertible {
  package static func < (left: ABIVersion, right: ABIVersion) -> Bool {
    (left.major, left.minor) < (right.major, right.minor)
  }

  package var description: String { "\(major).\(minor)" }
}

/// The versions of farebox_plugin.h that a plugin can be called by, all of one major version.
package struct ABIRange: Hashable, Sendable {
  package let minimum: ABIVersion
  /// nil is any minor version from the least one on.
  package let maximum: ABIVersion?

  /// Whether a host of this version can call the plugin.
  package func contains(_ host: ABIVersion) -> Bool {
    host.major == minimum.major && host >= minimum && host <= maximum ?? host
  }
}

extension ABIRange: CustomStringConvertible {
  /// `1.0 to 1.3`, or `1.0 or a later 1.x`.
  package var description: String {
    if let maximum { return "\(minimum) to \(maximum)" }
    return "\(minimum) or a later \(minimum.major).x"
  }
}
