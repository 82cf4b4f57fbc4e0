internal import Glibc

extension PluginPolicy {
  /// The folders that are searched for plugins: those that FAREBOX_PLUGIN_PATH names, where it is set, and otherwise all
  /// that the policy allows. The variable can only name what lies within those.
  func searchFolders() -> (folders: [String], passedOver: [(folder: String, reason: String)]) {
    guard let variable = unsafe getenv("FAREBOX_PLUGIN_PATH").flatMap({ unsafe String(validatingCString: $0) }),
      !variable.isEmpty
    else { return (directories, []) }
    var folders: [String] = []
    var passedOver: [(String, String)] = []
    for folder in variable.split(separator: ":", omittingEmptySubsequences: false).map(String.init) {
      if !FilePath.isAbsolute(folder) {
        passedOver.append((folder, "it is not an absolute path without . and .."))
      } else if !FilePath.isCovered(folder, by: directories) {
        passedOver.append((folder, "it is not within the directories of the policy"))
      } else if !folders.contains(folder) {
        folders.append(folder)
      }
    }
    return (folders, passedOver)
  }
}
