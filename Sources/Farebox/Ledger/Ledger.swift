internal import FareboxCore
internal import FareboxStore

/// The writer's side of the ledger: the state, the keys that were used, and the records not yet written.
///
/// Whoever has the turn owns it. Each verb checks in a fixed order, then reaches a point from which it must succeed,
/// then appends a record and applies it.
struct Ledger: ~Copyable {
  var state = LedgerState()
  var keys: KeyIndex
  var log = Log()
  /// Keys the hashes of idempotency keys.
  var secret = SipHashKey.zero
  /// Names this engine in the segments that it writes.
  var writer: UInt64 = 0
  /// The asset of an amount that names none; index into the catalog.
  var defaultAsset: UInt16 = 0

  init(keyMemoryBytes: Int) {
    keys = KeyIndex(memoryBytes: keyMemoryBytes)
  }

  /// The number of the first record that is not written yet.
  var firstUnwritten: UInt64 { state.nextRecord - UInt64(log.count) }

  /// Completes the record begun in the log, and makes it part of the state and the keys.
  ///
  /// - Returns: its number.
  mutating func append(_ record: Record) throws(Rejection) -> UInt64 {
    let number = state.nextRecord
    let appended = log.append(record)
    do throws(Failure) {
      try state.apply(appended, lastOf: log)
    } catch {
      // A decided record always applies; were it not so, the engine would reload the ledger.
      throw .failed(Failure(.internal, "A decided record could not be applied: \(error.message)"))
    }
    if record.keyHigh | record.keyLow != 0 {
      keys.insert(KeyHash(high: record.keyHigh, low: record.keyLow), record: number)
    }
    return number
  }

  /// Finds a record, written or not, and lends it with its fields.
  func withRecord<Result>(
    _ number: UInt64, in store: any Store, _ body: (Record, Heap) throws(Failure) -> Result
  ) throws(Failure) -> Result? {
    guard number > 0, number < state.nextRecord else { return nil }
    if number >= firstUnwritten {
      let outcome: Swift.Result<Result, Failure> = log.withRecord(at: Int(number - firstUnwritten)) { record, heap in
        do throws(Failure) {
          return .success(try body(record, heap))
        } catch {
          return .failure(error)
        }
      }
      return try outcome.get()
    }
    var result: Result?
    try unsafe store.visitSegment(containing: number) { _, row throws(Failure) in
      let segment = try unsafe Segment(row)
      let (record, heap) = try segment.record(at: Int(clamping: number - segment.first))
      result = try body(record, heap)
    }
    return result
  }

  /// The receipt of a record that debits or holds.
  func receipt(_ number: UInt64, _ record: Record) -> Receipt {
    var receipt = Receipt()
    receipt.id = number
    receipt.amount = record.amount
    receipt.holdRemaining = record.remaining
    receipt.balance = record.balance
    receipt.available = record.available
    receipt.time = record.time
    receipt.priceVersion = UInt64(record.price)
    receipt.asset = record.asset
    receipt.assetCode = state.catalog.assetCodes[Int(record.asset)]
    receipt.isFinal = record.flags & RecordFlags.final != 0
    receipt.isCapped = record.flags & RecordFlags.capped != 0
    switch RecordKind(rawValue: record.kind) {
    case .reserve: receipt.hold = number
    case .capture, .release, .expire, .extend: receipt.hold = record.reference
    default: receipt.hold = 0
    }
    return receipt
  }
}

/// Why a verb did not do what it was asked: a refusal in plain numbers, or a failure with its words ready.
enum Rejection: Error {
  case refused(Refusal)
  case failed(Failure)

  var status: Status {
    switch self {
    case .refused(let refusal): refusal.status
    case .failed(let failure): failure.status
    }
  }
}

extension LedgerState {
  mutating func apply(_ record: Record, lastOf log: borrowing Log) throws(Failure) {
    let outcome: Result<Void, Failure> = log.withLastFields { heap in
      do throws(Failure) {
        try apply(record, heap)
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try outcome.get()
  }
}
