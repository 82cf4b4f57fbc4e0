import FareboxStore

/// What is in a store at one time; a value, so that a transaction is a copy.
struct Image {
  struct Segment {
    let first: UInt64
    /// The record after its last.
    let next: UInt64
    let bytes: [UInt8]
  }

  var meta: [String: [UInt8]] = [:]
  var segments: [Segment] = []
  var tables: [[RowKey: [UInt8]]] = ProjectionTable.allCases.map { _ in [:] }

  /// The number of the last record.
  var end: UInt64 { segments.last.map { $0.next - 1 } ?? 0 }
  /// How many seals there are.
  var seals: Int { tables[ProjectionTable.seals.rawValue].count }
}

/// The store that all processes share: what is committed, and what of it is safe.
final class SimulatedDisk {
  private(set) var committed = Image()
  /// What a power loss may leave: the image that was flushed last, and after it that of each commit since.
  private(set) var survivors = [Image()]
  /// A commit of a connection that is gone, which the server still carries out before it lets anybody else write.
  private(set) var pending: (image: Image, isDurable: Bool, call: Call?)?
  let isLying: Bool

  init(isLying: Bool) {
    self.isLying = isLying
  }

  func commit(_ image: Image, isDurable: Bool) {
    committed = image
    survivors.append(image)
    if isDurable { flush() }
  }

  /// Brings all that is committed to where a power loss does not reach.
  func flush() {
    if !isLying { survivors = [committed] }
  }

  func leavePending(_ image: Image, isDurable: Bool, call: Call?) {
    pending = (image, isDurable, call)
  }

  /// Carries out the commit of a connection that is gone.
  func settle() -> Call? {
    guard let pending else { return nil }
    self.pending = nil
    commit(pending.image, isDurable: pending.isDurable)
    return pending.call
  }

  /// Loses what was not flushed, from one of its commits on.
  func losePower(_ generator: inout some RandomNumberGenerator) {
    pending = nil
    committed = survivors[Int.random(in: 0..<survivors.count, using: &generator)]
    survivors = [committed]
  }

  /// Takes back commits that were acknowledged: what no store may do, and what a backup put in its place does.
  func forget(to image: Image) {
    committed = image
    survivors = [image]
  }
}
