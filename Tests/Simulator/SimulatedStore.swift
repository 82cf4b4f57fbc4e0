import FareboxCore
import FareboxStore

/// One process's connection to the simulated disk; every call of it may fail as the simulation has planned.
final class SimulatedStore: Store {
  let isExclusive: Bool
  let isRemote: Bool
  let shownAddress = "simulated"
  private(set) var epoch = 0
  private let disk: SimulatedDisk
  private unowned let simulation: Simulation
  private let process: Int
  private var transaction: Transaction?
  private var isDurable = true
  /// Whether the process has died: nothing that it does reaches the disk any more.
  private(set) var isDead = false
  private var isConnected = true
  /// Why the file cannot be relied on since a flush of it has failed.
  private var isBroken = false
  /// The image before the last commit that was acknowledged on this connection, for a canary.
  private var beforeAcknowledged: Image?

  private enum Transaction {
    case writing(Image)
    case reading(Image)
  }

  init(_ simulation: Simulation, disk: SimulatedDisk, process: Int, isExclusive: Bool, isRemote: Bool) {
    self.simulation = simulation
    self.disk = disk
    self.process = process
    self.isExclusive = isExclusive
    self.isRemote = isRemote
  }

  func die() {
    isDead = true
    transaction = nil
  }

  /// The server has closed the connection.
  func disconnect() {
    guard isConnected else { return }
    isConnected = false
    transaction = nil
    if simulation.canary == .droppedCommit, let before = beforeAcknowledged, before.end < disk.committed.end {
      disk.forget(to: before)
    }
    beforeAcknowledged = nil
  }

  // MARK: Faults

  private static let dead = Failure(.storeIO, "The process has died.")
  private static let lost = Failure(.storeUnreachable, "The connection was lost.")

  /// Carries out what is planned for this call, if anything; returns a fault that the caller of this must finish.
  private func meet(isCommit: Bool = false) throws(Failure) -> Fault? {
    if isDead { throw SimulatedStore.dead }
    if !isConnected { throw SimulatedStore.lost }
    guard let fault = simulation.fault(process, isCommit: isCommit) else { return nil }
    switch fault {
    case .io: throw Failure(.storeIO, "Simulated: the disk has failed.")
    case .full: throw Failure(.storeFull, "Simulated: the disk is full.")
    case .busy: throw Failure(.storeBusy, "Simulated: somebody else holds the lock.")
    case .serialization:
      transaction = nil
      throw Failure(.storeBusy, "Simulated: the transaction could not be serialized.")
    case .lostBefore where !isCommit:
      disconnect()
      throw SimulatedStore.lost
    case .brokenFlush where !isCommit, .damage: return nil
    default: return fault
    }
  }

  /// What comes after a call that was carried out.
  private func leave(_ fault: Fault?) throws(Failure) {
    switch fault {
    case .crash:
      simulation.crash(process)
      throw SimulatedStore.dead
    case .powerLoss:
      simulation.losePower()
      throw SimulatedStore.dead
    case .lostAfter, .lostMeanwhile:
      disconnect()
      throw SimulatedStore.lost
    case .failover:
      simulation.failOver()
      throw SimulatedStore.lost
    default: return
    }
  }

  func mayRetry(after failure: Failure, attempt: Int) -> Bool {
    guard isRemote, !isDead else { return false }
    guard failure.status == .storeUnreachable || failure.status == .storeBusy else { return false }
    return attempt < simulation.patience
  }

  private func connect() throws(Failure) {
    if isDead { throw SimulatedStore.dead }
    if isBroken { throw Failure(.storeUntrusted, "Simulated: a flush has failed.") }
    guard !isConnected else { return }
    guard !simulation.isServerAway() else { throw SimulatedStore.lost }
    isConnected = true
    epoch += 1
  }

  // MARK: Transactions

  func begin(from next: UInt64) throws(Failure) {
    let early = simulation.canary == .openDoor ? disk.committed : nil
    simulation.interleave(process)
    try connect()
    let fault = try meet()
    if let call = disk.settle() { simulation.hasCommitted(call) }
    transaction = .writing(early ?? disk.committed)
    try leave(fault)
  }

  func setDurable(_ durable: Bool) throws(Failure) {
    if isDead { throw SimulatedStore.dead }
    isDurable = durable
  }

  func commit() throws(Failure) {
    guard case .writing(let image) = transaction else { throw SimulatedStore.lost }
    let fault = try meet(isCommit: true)
    transaction = nil
    switch fault {
    case .lostBefore:
      disconnect()
      throw Failure(.storeOutcomeUnknown, "Simulated: the connection was lost while committing.")
    case .lostMeanwhile:
      disk.leavePending(image, isDurable: isDurable && simulation.isLucky(), call: simulation.call(of: process))
      disconnect()
      throw Failure(.storeOutcomeUnknown, "Simulated: the connection was lost while committing.")
    case .crash, .powerLoss:
      // It dies before, or after, what it has done reaches the disk.
      if simulation.isLucky() { apply(image) }
    case .brokenFlush:
      isBroken = true
      if simulation.isLucky() {
        disk.commit(image, isDurable: false)
        simulation.hasCommitted(process)
      }
      throw Failure(.storeUntrusted, "Simulated: a flush has failed.")
    case .lostAfter:
      // It is done, but nobody has waited until it was flushed.
      if simulation.isLucky() { isDurable = false }
      apply(image)
    default: apply(image)
    }
    do throws(Failure) {
      try leave(fault)
    } catch  where error.status == .storeUnreachable {
      throw Failure(.storeOutcomeUnknown, "Simulated: the connection was lost while committing.")
    }
    if simulation.canary == .falseAlarm, simulation.isUnlucky() {
      throw Failure(.storeIO, "Simulated: an error after the commit.")
    }
  }

  private func apply(_ image: Image) {
    beforeAcknowledged = disk.committed
    disk.commit(image, isDurable: isDurable)
    simulation.hasCommitted(process)
  }

  func flush() throws(Failure) {
    // Never on a connection of its own, which would speak of another server than the turn did.
    guard isConnected || isDead || isBroken else { throw SimulatedStore.lost }
    try connect()
    let fault = try meet()
    disk.flush()
    try leave(fault)
  }

  func rollback() {
    if simulation.canary == .lostRollback, !isDead, case .writing(let image) = transaction,
      image.end > disk.committed.end
    {
      disk.commit(image, isDurable: false)
    }
    transaction = nil
  }

  func beginRead(from next: UInt64) throws(Failure) {
    simulation.interleave(process)
    try connect()
    let fault = try meet()
    transaction = .reading(disk.committed)
    try leave(fault)
  }

  func endRead() {
    transaction = nil
  }

  func abandon() { close() }
  func close() {
    // The engine closes its store when it is closed, which is no death.
    transaction = nil
  }

  private var image: Image {
    switch transaction {
    case .writing(let image), .reading(let image): image
    case nil: disk.committed
    }
  }

  private func write(_ change: (inout Image) -> Void) throws(Failure) {
    let fault = try meet()
    guard case .writing(var image) = transaction else { throw SimulatedStore.lost }
    transaction = nil
    change(&image)
    transaction = .writing(image)
    try leave(fault)
  }

  private func read<Result>(_ look: (Image) throws(Failure) -> Result) throws(Failure) -> Result {
    let fault = try meet()
    let result = try look(image)
    try leave(fault)
    return result
  }

  // MARK: Content

  func meta(_ name: String) throws(Failure) -> [UInt8]? {
    try read { image in image.meta[name] }
  }

  func setMeta(_ name: String, _ value: [UInt8]) throws(Failure) {
    try write { $0.meta[name] = value }
  }

  func lastSegment() throws(Failure) -> SegmentName? {
    try read { image in
      image.segments.last.map { SegmentName(first: $0.first, hash: Array($0.bytes[SegmentName.hashPlace])) }
    }
  }

  func appendSegment(first: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
    let count = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
    let segment = Image.Segment(first: first, next: first + UInt64(count), bytes: unsafe [UInt8](bytes))
    let isTaken = image.segments.contains { $0.first >= first }
    guard !isTaken else { throw Failure(.storeIO, "Simulated: the segment exists.") }
    try write { $0.segments.append(segment) }
  }

  func visitSegments(
    from first: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    try read { image throws(Failure) in
      let start = image.segments.lastIndex { $0.first < first }.map { $0 + 1 } ?? 0
      for index in start..<image.segments.count {
        let segment = image.segments[index]
        let goesOn = unsafe try SimulatedStore.lend(seen(segment.bytes)) { bytes throws(Failure) in
          try unsafe visit(segment.first, bytes)
        }
        if !goesOn { return }
      }
    }
  }

  func visitSegment(
    containing record: UInt64, _ visit: (UInt64, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    try read { image throws(Failure) in
      guard let segment = image.segments.last(where: { $0.first <= record }) else { return }
      unsafe try SimulatedStore.lend(seen(segment.bytes)) { bytes throws(Failure) in
        try unsafe visit(segment.first, bytes)
      }
    }
  }

  /// The bytes as they are read.
  private func seen(_ bytes: [UInt8]) -> [UInt8] {
    let isFlipped = simulation.canary == .flippedBit && simulation.isUnlucky()
    guard let place = simulation.damage(process, in: bytes.count * 8) ?? (isFlipped ? bytes.count * 4 : nil) else {
      return bytes
    }
    var bytes = bytes
    bytes[place / 8] ^= 1 << UInt8(place % 8)
    return bytes
  }

  private static func lend<Result>(
    _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outcome: Swift.Result<Result, Failure> = unsafe bytes.withUnsafeBytes { bytes in
      do throws(Failure) {
        return .success(try unsafe body(bytes))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  func putRow(_ table: ProjectionTable, _ key: RowKey, _ value: UnsafeRawBufferPointer) throws(Failure) {
    let bytes = unsafe [UInt8](value)
    if simulation.canary == .lostRow, table != .seals, simulation.isUnlucky() { return }
    try write { $0.tables[table.rawValue][key] = bytes }
  }

  func visitRows(
    _ table: ProjectionTable, major: Int64, minors: ClosedRange<Int64>,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    try unsafe visitRows(table, major: major...major, descending: false) { key, bytes throws(Failure) in
      if minors.contains(key.minor) { try unsafe visit(key, bytes) }
      return true
    }
  }

  func deleteRows(_ table: ProjectionTable, major: Int64) throws(Failure) {
    try write { image in
      for key in image.tables[table.rawValue].keys where key.major == major {
        image.tables[table.rawValue][key] = nil
      }
    }
  }

  func deleteAllRows(_ table: ProjectionTable) throws(Failure) {
    try write { $0.tables[table.rawValue] = [:] }
  }

  func row(
    _ table: ProjectionTable, _ key: RowKey, _ read: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    try self.read { image throws(Failure) in
      guard let bytes = image.tables[table.rawValue][key] else { return false }
      unsafe try SimulatedStore.lend(bytes) { bytes throws(Failure) in try unsafe read(bytes) }
      return true
    }
  }

  func visitRows(
    _ table: ProjectionTable, major: ClosedRange<Int64>, descending: Bool,
    _ visit: (RowKey, UnsafeRawBufferPointer) throws(Failure) -> Bool
  ) throws(Failure) {
    try read { image throws(Failure) in
      let rows = image.tables[table.rawValue]
      let keys = rows.keys.filter { major.contains($0.major) }.sorted {
        ($0.major, $0.minor) < ($1.major, $1.minor)
      }
      for key in descending ? keys.reversed() : keys {
        let goesOn = unsafe try SimulatedStore.lend(rows[key] ?? []) { bytes throws(Failure) in
          try unsafe visit(key, bytes)
        }
        if !goesOn { return }
      }
    }
  }

  func sizeOnDisk() -> Int64 {
    Int64(image.segments.reduce(0) { $0 + $1.bytes.count })
  }
}
