internal import CFFI
package import Farebox
package import FareboxCore
internal import Synchronization

/// Who pays for a metered call, as the context of its caller says.
package struct ContextPayer {
  /// Empty is nobody.
  package let payer: OwnedText
  package let run: OwnedText
  package let call: OwnedText
  package let parent: OwnedText
  package let ordinal: UInt32
  /// A digest of the arguments, where the context names a call.
  fileprivate(set) var arguments = ""
  /// The engine whose account it is; nil is any.
  package let engine: Engine?

  package init(
    payer: BorrowedText, run: BorrowedText, call: BorrowedText, parent: BorrowedText, ordinal: UInt32, engine: Engine?
  ) {
    self.payer = OwnedText(payer)
    self.run = OwnedText(run)
    self.call = OwnedText(call)
    self.parent = OwnedText(parent)
    self.ordinal = ordinal
    self.engine = engine
  }
}

/// Asks the binding that calls a metered function who pays, because only that knows what task is running.
package enum PayerContext {
  /// Says who pays for a call of a tool; nil where it cannot tell.
  ///
  /// The arguments are empty the first time. Where the answer names a call, it is asked again with a digest of them.
  package typealias Resolver =
    @Sendable (_ tool: BorrowedText, _ arguments: BorrowedText) -> Result<ContextPayer?, Failure>

  private static let hasResolver = Atomic(false)
  /// Only reached under the lock of `MeteredSlots`.
  private nonisolated(unsafe) static var resolver: Resolver?

  /// Whether a payer that the thread has named stands until it names another.
  ///
  /// Under the lock of `MeteredSlots`, so that no price is kept for a thread's payer after a resolver was set.
  static var isThreads: Bool { !hasResolver.load(ordering: .relaxed) }

  /// Sets who is asked in this process; nil is nobody.
  package static func setResolver(_ new: Resolver?) {
    MeteredSlots.withLock {
      unsafe resolver = new
      hasResolver.store(new != nil, ordering: .relaxed)
    }
    PriceGeneration.advance()
  }

  /// Who pays for a call that names no payer itself; nil where nobody is asked, or cannot tell.
  ///
  /// - Parameter arguments: makes a digest of the call's arguments.
  static func payer(
    for tool: BorrowedText, arguments: (() -> String)?
  ) throws(Failure) -> ContextPayer? {
    guard hasResolver.load(ordering: .relaxed), let resolver = MeteredSlots.withLock({ unsafe resolver }) else {
      return nil
    }
    guard let answer = try ask(resolver, tool, .empty) else { return nil }
    guard let arguments, !answer.call.text.isEmpty || !answer.parent.text.isEmpty else { return answer }
    let digest = arguments()
    var numbered = try digest.withBorrowedText { text throws(Failure) in try ask(resolver, tool, text) ?? answer }
    numbered.arguments = digest
    return numbered
  }

  private static func ask(
    _ resolver: Resolver, _ tool: BorrowedText, _ arguments: BorrowedText
  ) throws(Failure) -> ContextPayer? {
    // What it calls back would ask it again, without an end.
    guard unsafe farebox_thread_metering().pointee.is_asking == 0 else {
      throw Failure(.reentrant, "A payer resolver may not call a metered function.")
    }
    unsafe farebox_thread_metering().pointee.is_asking = 1
    defer { unsafe farebox_thread_metering().pointee.is_asking = 0 }
    return try resolver(tool, arguments).get()
  }
}
