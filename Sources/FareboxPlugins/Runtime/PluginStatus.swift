internal import CFareboxPlugin
internal import FareboxCore

/// The statuses of `farebox_plugin.h`, and what they mean for the caller.
enum PluginStatus {
  static let ok = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_OK)
  static let failed = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_FAILED)
  static let invalidInput = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_INVALID_INPUT)
  static let unknownTool = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_UNKNOWN_TOOL)
  static let unavailable = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_UNAVAILABLE)
  static let cancelled = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_CANCELLED)
  static let full = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_FULL)
  static let notFound = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_NOT_FOUND)
  static let denied = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_DENIED)

  /// The failure that a plugin's answer other than OK is.
  ///
  /// - Parameter sentence: what the plugin says about it, or empty.
  static func failure(_ status: farebox_plugin_status, sentence: String) -> Failure {
    func failure(_ status: Status, _ otherwise: String) -> Failure {
      Failure(status, sentence.isEmpty ? otherwise : sentence)
    }
    switch status {
    case invalidInput: return failure(.pluginInput, "The plugin cannot use the input, and does not say why.")
    case unknownTool: return Failure(.pluginBroken, "The plugin does not know a tool that it lists.")
    case unavailable: return failure(.pluginUnavailable, "The plugin cannot do it now, and does not say why.")
    case cancelled: return failure(.pluginCancelled, "The plugin stopped because it was asked to.")
    case full: return failure(.pluginFailed, "The plugin found no more room.")
    case notFound: return failure(.pluginFailed, "The plugin did not find what it needs.")
    case denied: return failure(.pluginFailed, "The plugin was not allowed to do what it needs.")
    default: return failure(.pluginFailed, "The plugin does not say why it failed.")
    }
  }
}

