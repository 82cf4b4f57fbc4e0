internal import CWorker
internal import FareboxCore
internal import Glibc

/// Where the program is that plugins run in.
enum WorkerProgram {
  static let name = "farebox-worker"

  /// The program that a policy names; else the one beside this library, or in ../libexec/farebox from there.
  ///
  /// - Throws: `pluginUnavailable`, naming the places.
  static func path(_ policy: PluginPolicy) throws(Failure) -> String {
    if let named = policy.worker { return named }
    let folder = libraryFolder ?? "."
    let places = ["\(folder)/\(name)", "\(folder)/../libexec/farebox/\(name)"]
    guard let found = places.first(where: { unsafe access($0, X_OK) == 0 }) else {
      throw Failure(
        .pluginUnavailable, field: "worker",
        "The program '\(name)' is neither '\(places[0])' nor '\(places[1])'; the policy's `worker` names another place."
      )
    }
    return found
  }

  /// The folder of the library, or program, that this code is in.
  private static var libraryFolder: String? {
    guard let path = unsafe farebox_own_path() else { return nil }
    defer { unsafe free(path) }
    return unsafe String(validatingCString: path).map { PlainFile.split($0).folder }
  }
}
