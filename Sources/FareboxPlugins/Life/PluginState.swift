/// Where a plugin stands in its life.
///
/// ```
/// discovered -> verified -> starting -> active -> draining -> stopped
///     |            |           |
///     `- refused   `- refused  `- failed, quarantined
/// ```
enum PluginState: String, Sendable, CaseIterable {
  /// Its manifest was read; nothing else is known.
  case discovered
  /// Files, signature and permissions were found to be in order; no code of it has run.
  case verified
  /// It is being loaded and initialised.
  case starting
  /// It takes calls.
  case active
  /// It takes no new calls; those under way go on.
  case draining
  /// It was unloaded.
  case stopped
  /// The policy, or what is in its files, stood against it.
  case refused
  /// It could not be started.
  case failed
  /// It crashed or hung while it was looked at; it is left alone until its file changes.
  case quarantined

  /// Whether the next state may follow this one.
  func mayBecome(_ next: PluginState) -> Bool {
    switch (self, next) {
    case (.discovered, .verified), (.verified, .starting), (.starting, .active), (.active, .draining),
      (.draining, .stopped):
      true
    case (.discovered, .refused), (.verified, .refused), (.starting, .failed), (.starting, .quarantined): true
    default: false
    }
  }
}
