internal import FareboxCore
internal import Synchronization

/// Where an instance is in its life, and whether a thread is inside of it.
struct InstanceState: ~Copyable, Sendable {
  enum State: UInt32 {
    case loaded = 0
    case initialised = 1
    case active = 2
    /// A failed init, a shutdown or the end of its process.
    case ended = 3
  }

  private static let busy: UInt32 = 8
  private let word = Atomic<UInt32>(State.loaded.rawValue)

  /// Takes the instance for this thread where it is in a state; `leave` gives it back.
  func enter(_ state: State) -> Bool {
    word.compareExchange(
      expected: state.rawValue, desired: state.rawValue | InstanceState.busy, ordering: .acquiring
    ).exchanged
  }

  /// Gives the instance back in a state.
  func leave(_ state: State) {
    word.store(state.rawValue, ordering: .releasing)
  }

  var current: State {
    State(rawValue: word.load(ordering: .acquiring) & ~InstanceState.busy) ?? .ended
  }

  /// Why the instance could not be taken.
  func refusal(_ wanted: State) -> Failure {
    guard word.load(ordering: .acquiring) & InstanceState.busy == 0 || current != wanted else {
      return Failure(.pluginUnavailable, "The plugin is busy with another call.")
    }
    switch current {
    case .loaded: return Failure(.pluginInactive, "The plugin is loaded and was not initialised.")
    case .initialised: return Failure(.pluginInactive, "The plugin is initialised and not active.")
    case .active: return Failure(.pluginInactive, "The plugin is active.")
    case .ended: return Failure(.pluginInactive, "The plugin has ended.")
    }
  }

  /// Runs a body that begins in one state and ends in another; where it throws, in the state that `failed` names.
  func pass<Result>(
    from: State, to: State, failed: State, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard enter(from) else { throw refusal(from) }
    do throws(Failure) {
      let result = try body()
      leave(to)
      return result
    } catch {
      leave(failed)
      throw error
    }
  }
}
