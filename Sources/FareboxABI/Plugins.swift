public import CFarebox
internal import Farebox
internal import FareboxCore
internal import FareboxPlugins

@_cdecl("farebox_set_plugin_policy") @implementation
public func farebox_set_plugin_policy(
  _ policy: farebox_str, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let given = unsafe BorrowedText(policy)
    guard given.count <= PluginPolicy.longest else {
      throw Failure(.tooLong, field: "policy", "A policy has at most \(PluginPolicy.longest) bytes.")
    }
    guard let text = given.string else {
      throw Failure(.invalidUTF8, field: "policy", "It is not UTF-8 text.")
    }
    try PluginPolicy.set(PluginPolicy.parse(Array(text.utf8)))
  }
}
