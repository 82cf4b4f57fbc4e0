internal import FareboxCore
internal import FareboxStore

/// Sixteen bits of a run's hash and sixteen of a call's, in the records of a hold after its reservation and in refunds.
///
/// The ids themselves are in the reservation or charge alone. A listing by run passes over a record whose tag is that of
/// another run, and looks at the reservation only where the tags are equal. 0 is a record that was written without one.
struct OriginTag {
  let value: UInt32

  init(run: BorrowedText, call: BorrowedText) {
    value = UInt32(OriginTag.part(run)) << 16 | UInt32(OriginTag.part(call))
  }

  /// The half that stands for an id: 1 for none.
  ///
  /// Two ids with equal halves cost a listing a look at a record, no more; so the hash need not be a strong one.
  static func part(_ id: BorrowedText) -> UInt16 {
    if id.isEmpty { return 1 }
    let bytes = unsafe id.bytes
    var hash = UInt64(truncatingIfNeeded: bytes.count) &* 0x9e37_79b9_7f4a_7c15
    var offset = 0
    while offset + 8 <= bytes.count {
      hash = unsafe mix(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset += 8
    }
    var rest: UInt64 = 0
    while offset < bytes.count {
      rest = rest << 8 | UInt64(unsafe bytes[offset])
      offset += 1
    }
    // On disk for good, as everything that follows from these constants.
    return UInt16(truncatingIfNeeded: 2 + mix(hash ^ rest) % 65_534)
  }

  private static func mix(_ word: UInt64) -> UInt64 {
    let product = (word ^ word >> 32) &* 0xd6e8_feb8_6659_fd93
    return product ^ product >> 32
  }
}

extension LedgerState {
  /// The tag of what refers to a record with these fields.
  func originTag(_ heap: Heap) -> OriginTag {
    OriginTag(run: heap[.run], call: heap[.call])
  }
}

/// The run and the call that something belongs to; empty where there is none.
struct Origin {
  var run = ""
  var call = ""

  init() {}

  init(_ heap: Heap) {
    run = heap[.run].string ?? ""
    call = heap[.call].string ?? ""
  }
}

extension RecordKind {
  /// Whether the run and the call are in the record that this one refers to.
  var refersToOrigin: Bool {
    switch self {
    case .capture, .release, .expire, .extend, .refund, .increase: true
    default: false
    }
  }
}

/// Finds the runs and calls of records, and remembers them for as long as one question is answered.
final class Origins {
  private enum Entry {
    case found(Origin)
    /// The record with this number knows.
    case inRecord(UInt64)
  }

  private var entries: [UInt64: Entry] = [:]

  /// Entries that are remembered at the most.
  private static let capacity = 65_536

  /// The run and the call of a record.
  func find(
    _ number: UInt64, _ record: Record, _ heap: Heap, _ ledger: borrowing Ledger, in store: any Store
  ) throws(Failure) -> Origin {
    guard RecordKind(rawValue: record.kind)?.refersToOrigin == true else { return Origin(heap) }
    let none = UInt32(OriginTag.part(.empty))
    if record.origin == none << 16 | none { return Origin() }
    var next = record.reference
    // A refund refers to a capture, that to its reservation.
    for _ in 0..<3 {
      switch try entry(next, ledger, in: store) {
      case .found(let origin): return origin
      case .inRecord(let other): next = other
      }
    }
    throw Segment.corrupt("Record \(number) does not lead to the call that it belongs to.")
  }

  private func entry(_ number: UInt64, _ ledger: borrowing Ledger, in store: any Store) throws(Failure) -> Entry {
    if let known = entries[number] { return known }
    if entries.count > Origins.capacity { entries.removeAll(keepingCapacity: true) }
    if number >= ledger.firstUnwritten {
      _ = try ledger.withRecord(number, in: store) { record, heap in self.remember(number, record, heap) }
    } else {
      // What is near it will be asked for next.
      try unsafe store.visitSegment(containing: number) { first, row throws(Failure) in
        let segment = try unsafe Segment(row)
        guard segment.isIntact else { throw Segment.corrupt("Segment \(first) is not what was hashed.") }
        try segment.visitRecords { number, record, heap throws(Failure) in
          remember(number, record, heap)
          return true
        }
      }
    }
    guard let found = entries[number] else { throw Segment.corrupt("Record \(number) is missing.") }
    return found
  }

  private func remember(_ number: UInt64, _ record: Record, _ heap: Heap) {
    switch RecordKind(rawValue: record.kind) {
    case .charge, .reserve: entries[number] = .found(Origin(heap))
    case .capture: entries[number] = .inRecord(record.reference)
    default: break
    }
  }
}

/// Which run and call a listing is of.
struct OriginFilter {
  private let run: String?
  private let call: String?
  /// The bits of a tag that must be equal, and what they must be.
  private let mask: UInt32
  private let tag: UInt32

  /// - Parameters:
  ///   - run: as the caller gives it; nil is any.
  ///   - call: likewise.
  init(run: String?, call: String?) throws(Rejection) {
    do throws(Failure) {
      try run?.withBorrowedText { text throws(Failure) in try Identifier.check(text, "run") }
      try call?.withBorrowedText { text throws(Failure) in try Identifier.check(text, "call") }
    } catch {
      throw .failed(error)
    }
    let run = run.map { Identifier.folded($0) }
    let call = call.map { Identifier.folded($0) }
    self.run = run
    self.call = call
    let runPart = (run ?? "").withBorrowedText { OriginTag.part($0) }
    let callPart = (call ?? "").withBorrowedText { OriginTag.part($0) }
    mask = (run == nil ? 0 : 0xffff_0000) | (call == nil ? 0 : 0xffff)
    tag = (UInt32(runPart) << 16 | UInt32(callPart)) & mask
  }

  /// Whether a record belongs to the run and the call. The store must not be lending the record.
  func accepts(
    _ number: UInt64, _ record: Record, _ heap: Heap, _ ledger: borrowing Ledger, _ origins: Origins,
    in store: any Store
  ) throws(Failure) -> Bool {
    if mask == 0 { return true }
    if record.origin != 0, record.origin & mask != tag { return false }
    let origin = try origins.find(number, record, heap, ledger, in: store)
    return (run.map { $0 == origin.run } ?? true) && (call.map { $0 == origin.call } ?? true)
  }
}

/// A record with its fields, kept while the store is asked for something else.
struct RecordCopy {
  let record: Record
  private let fields: ContiguousArray<UInt8>

  init(_ record: Record, _ heap: Heap) {
    self.record = record
    fields = unsafe ContiguousArray(heap.all)
  }

  /// Lends the fields.
  func withHeap<Result>(_ body: (Heap) throws(Failure) -> Result) throws(Failure) -> Result {
    let outcome: Swift.Result<Result, Failure> = unsafe fields.withUnsafeBytes { bytes in
      do throws(Failure) {
        return .success(try body(unsafe Heap(bytes)))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}

extension Ledger {
  /// A copy of a record, or nil where there is none of this number.
  func copy(of number: UInt64, in store: any Store) throws(Failure) -> RecordCopy? {
    try withRecord(number, in: store) { record, heap in RecordCopy(record, heap) }
  }
}
