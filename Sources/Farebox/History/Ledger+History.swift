internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// Visits the records that touch an account, oldest first, until `visit` returns false.
  func visitHistory(
    of account: UInt32, after number: UInt64, in store: any Store,
    _ visit: (UInt64, Record, Heap) throws(Failure) -> Bool
  ) throws(Failure) {
    var goesOn = true
    if number < state.sealedThrough {
      try unsafe store.visitRows(
        .seals, major: Int64(clamping: number)...Int64.max, descending: false
      ) { key, bytes throws(Failure) in
        let seal = try unsafe Seal(id: key.major, bytes)
        let numbers = try numbers(of: account, in: seal, store)
        goesOn = try visitRecords(numbers.filter { $0 > number }, in: store, visit)
        return goesOn
      }
    }
    guard goesOn else { return }
    _ = try visitRecords(tailNumbers(of: account).filter { $0 > number }, in: store, visit)
  }

  /// Visits the records that touch an account, newest first, until `visit` returns false.
  func visitHistoryBackwards(
    of account: UInt32, before number: UInt64, in store: any Store,
    _ visit: (UInt64, Record, Heap) throws(Failure) -> Bool
  ) throws(Failure) {
    let tail = tailNumbers(of: account).reversed().filter { $0 < number }
    guard try visitRecords(tail, in: store, visit) else { return }
    try unsafe store.visitRows(.seals, major: 0 ... .max, descending: true) { key, bytes throws(Failure) in
      let seal = try unsafe Seal(id: key.major, bytes)
      guard seal.first < number else { return true }
      let numbers = try numbers(of: account, in: seal, store)
      return try visitRecords(numbers.reversed().filter { $0 < number }, in: store, visit)
    }
  }

  /// Visits all records, newest first.
  func visitJournalBackwards(
    before number: UInt64, in store: any Store, _ visit: (UInt64, Record, Heap) throws(Failure) -> Bool
  ) throws(Failure) {
    var next = min(number, state.nextRecord)
    while next > 1 {
      // Segments have 1,024 records at the most, so this is one read for each of them.
      let batch = (max(1, next > 1_024 ? next - 1_024 : 1)..<next).reversed()
      guard try visitRecords(Array(batch), in: store, visit) else { return }
      next = batch.last ?? 1
    }
  }

  private func tailNumbers(of account: UInt32) -> [UInt64] {
    var numbers: [UInt64] = []
    for entry in state.tail where entry >> 32 == UInt64(account) {
      let number = state.sealedThrough + (entry & 0xffff_ffff)
      if numbers.last != number { numbers.append(number) }
    }
    return numbers
  }

  private func numbers(of account: UInt32, in seal: Seal, _ store: any Store) throws(Failure) -> [UInt64] {
    var numbers: [UInt64] = []
    _ = try unsafe store.row(.history, RowKey(seal.id, Int64(account))) { bytes throws(Failure) in
      numbers.reserveCapacity(bytes.count / 4)
      for index in 0..<bytes.count / 4 {
        let offset = unsafe bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
        numbers.append(seal.first - 1 + UInt64(offset))
      }
    }
    return numbers
  }

  /// Lends records in the order of their numbers in the list, reading each segment once while it lasts.
  ///
  /// A segment is copied first, so that `visit` may look for other records.
  private func visitRecords(
    _ numbers: [UInt64], in store: any Store, _ visit: (UInt64, Record, Heap) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    var index = 0
    var copy = ContiguousArray<UInt8>()
    while index < numbers.count {
      if numbers[index] >= firstUnwritten {
        guard
          let goesOn = try withRecord(
            numbers[index], in: store,
            { record, heap throws(Failure) in
              try visit(numbers[index], record, heap)
            })
        else { throw Segment.corrupt("A record of the history is missing.") }
        if !goesOn { return false }
        index += 1
        continue
      }
      copy.removeAll(keepingCapacity: true)
      try unsafe store.visitSegment(containing: numbers[index]) { _, row in
        unsafe copy.append(contentsOf: row)
      }
      let before = index
      let outcome: Result<Bool, Failure> = unsafe copy.withUnsafeBytes { row in
        do throws(Failure) {
          return .success(try unsafe visitRecords(numbers, from: &index, of: row, visit))
        } catch {
          return .failure(error)
        }
      }
      if try !outcome.get() { return false }
      guard index > before else { throw Segment.corrupt("A record of the history is missing.") }
    }
    return true
  }

  /// Lends those of the numbers from an index on that are in a segment.
  @unsafe
  private func visitRecords(
    _ numbers: [UInt64], from index: inout Int, of row: UnsafeRawBufferPointer,
    _ visit: (UInt64, Record, Heap) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    let segment = try unsafe Segment(row)
    guard segment.isIntact else { throw Segment.corrupt("Segment \(segment.first) is not what was hashed.") }
    let range = segment.first..<segment.first + UInt64(segment.count)
    var goesOn = true
    while goesOn, index < numbers.count, range.contains(numbers[index]) {
      try segment.withRecord(numbers[index]) { record, heap throws(Failure) in
        goesOn = try visit(numbers[index], record, heap)
      }
      index += 1
    }
    return goesOn
  }
}
