/// What goes wrong at a call of the store.
enum Fault: CaseIterable {
  /// The disk gives an error; nothing of the transaction stays.
  case io
  /// There is no room.
  case full
  /// Another process holds the lock for too long.
  case busy
  /// A flush fails, and nobody knows what of it has reached the disk.
  case brokenFlush
  /// One bit of a segment is read wrongly.
  case damage
  /// The process dies.
  case crash
  /// The machine loses its power: every process dies, and so does what was not flushed.
  case powerLoss
  /// The connection breaks, before the server has done the call or after it.
  case lostBefore
  case lostAfter
  /// The connection breaks while the server is still about to commit.
  case lostMeanwhile
  /// The server ends the transaction because of another one.
  case serialization
  /// The server is replaced by another, which has what was flushed, and perhaps more.
  case failover
}

/// When, in the course of a call of the engine, a fault happens.
struct FaultPlan {
  enum Place {
    /// At a call of the store, counted from the beginning.
    case call(Int)
    /// At the first commit.
    case commit
  }

  let fault: Fault
  let place: Place
}
