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
  /// Names this engine, since it last read the ledger, in the segments and holds that it writes.
  var writer: UInt64 = 0
  /// The asset of an amount that names none; index into the catalog.
  var defaultAsset: UInt16 = 0
  /// Requests answered with an earlier receipt since the engine was opened.
  var replays = 0
  /// Whether the state may differ from the store, because a commit failed half-way.
  var isStale = false {
    didSet { if isStale { PriceGeneration.advance() } }
  }

  init(keyMemoryBytes: Int, sealRecords: Int? = nil) {
    keys = KeyIndex(memoryBytes: keyMemoryBytes, sealRecords: sealRecords)
  }

  /// The number of the first record that is not written yet.
  var firstUnwritten: UInt64 { state.nextRecord - UInt64(log.count) }

  /// Makes the record that was begun in the log part of the state, the keys and the log.
  ///
  /// - Parameters:
  ///   - hash: of the record's idempotency key.
  ///   - account: whose wallet's balance the record tells for its receipt; nil is none.
  /// - Returns: its number.
  mutating func append(
    _ record: inout Record, key hash: KeyHash = .none, tells account: UInt32? = nil
  ) throws(Rejection) -> UInt64 {
    let number = state.nextRecord
    do throws(Failure) {
      try state.apply(record, fieldsOf: log)
    } catch {
      // A decided record always applies; were it not so, the engine would reload the ledger.
      throw .failed(Failure(.internal, "A decided record could not be applied: \(error.message)"))
    }
    if let account {
      let index = state.balanceIndex(state.wallet(of: account), record.asset)
      if index >= 0 {
        record.balance = state.balances[Int(index)].units
        record.available = state.balances[Int(index)].available
      }
    }
    log.append(record)
    if !hash.isNone { keys.insert(hash, record: number) }
    return number
  }

  /// The hash under which a record's key is in the index.
  func keyHash(_ record: Record, _ heap: Heap) -> KeyHash {
    let key = heap[.key]
    if key.isEmpty { return .none }
    guard record.kind == RecordKind.webhook.rawValue else { return KeyHash(key, secret) }
    return KeyHash(key, webhookSecret(record.detail, UInt64(bitPattern: record.extra)))
  }

  /// Another secret than the one of charges, so that no webhook's id can be taken for an idempotency key, and for each
  /// sender another; 0 is all senders.
  func webhookSecret(_ scheme: UInt32, _ sender: UInt64) -> SipHashKey {
    SipHashKey(word0: ~secret.word0 ^ sender, word1: secret.word1 ^ UInt64(scheme + 1))
  }

  /// Finds a record, written or not, and lends it with its fields.
  func withRecord<Result>(
    _ number: UInt64, in store: any Store, _ body: (Record, Heap) throws(Failure) -> Result
  ) throws(Failure) -> Result? {
    guard number > 0, number < state.nextRecord else { return nil }
    if number >= firstUnwritten {
      return try log.withRecord(at: Int(number - firstUnwritten), body)
    }
    var result: Result?
    try unsafe store.visitSegment(containing: number) { _, row throws(Failure) in
      let segment = try unsafe Segment(row)
      guard segment.isIntact else { throw Segment.corrupt("The segment of record \(number) is not what was hashed.") }
      try segment.withRecord(number) { record, heap throws(Failure) in
        result = try body(record, heap)
      }
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
    receipt.isUnreported = record.flags & RecordFlags.unreported != 0
    receipt.hasLines = record.flags & RecordFlags.lines != 0
    receipt.tool = record.tool
    switch RecordKind(rawValue: record.kind) {
    case .reserve: receipt.hold = HoldID(number: number, tag: HoldID.tag(in: record.detail)).value
    case .increase, .capture, .release, .expire, .extend:
      receipt.hold = HoldID(number: record.reference, tag: HoldID.tag(in: record.detail)).value
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

  /// The failure of the store that it passes on, or nil where the ledger itself has said no.
  ///
  /// A store may have ended its transaction when it fails, so the turn cannot go on with the next caller.
  var storeFailure: Failure? {
    guard case .failed(let failure) = self, failure.status.entry?.family == .store, failure.status != .ledgerInvalid
    else { return nil }
    return failure
  }
}

extension LedgerState {
  mutating func apply(_ record: Record, fieldsOf log: borrowing Log) throws(Failure) {
    let outcome: Result<Void, Failure> = log.withFields { heap in
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
