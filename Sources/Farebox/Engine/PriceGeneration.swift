internal import Synchronization

/// Counts what may change a price that somebody has kept: definitions, doubts about what is in memory, closing, forks.
///
/// One count for all engines of the process, so that whoever keeps a price need not keep its engine to ask.
package enum PriceGeneration {
  private static let counter = Atomic<UInt64>(1)

  /// Never 0; read before a price is looked up, it tells whether that price still stands.
  package static var current: UInt64 { counter.load(ordering: .acquiring) }

  package static func advance() { counter.add(1, ordering: .releasing) }
}
