internal import FareboxCore
internal import FareboxStore

/// A sealed, sorted run of idempotency keys in the store, with what is kept of it in memory.
///
/// Pages of 505 entries fill one database page each. The first key of each page (the fences) stays in memory, and a
/// filter, of the run or of its level, so a key that the run holds costs one page read, and one that it does not hold
/// usually none.
struct KeyRun {
  let id: Int64
  let level: Int64
  let count: Int
  let fences: ContiguousArray<UInt64>
  /// nil for a run of level 0: one filter stands for all of them.
  let filter: KeyFilter?

  static let entriesInPage = 505
  /// Words of filter or fences in one row of the store.
  private static let wordsInPart = 65_536
  private static let fencesPart: Int64 = 1 << 20

  /// Bytes in memory.
  var bytes: Int { fences.count * 8 + (filter?.bytes ?? 0) }

  /// The record of a key that the filter may contain, or nil.
  func find(_ hash: KeyHash, in store: any Store) throws(Failure) -> UInt64? {
    // Equal upper halves may straddle a page border, so the search begins at the last page that begins below.
    var page = pageBefore(hash.high)
    var found: UInt64?
    var continues = true
    while continues, page < fences.count, page < 0 || fences[page] <= hash.high {
      continues = false
      let key = RowKey(id, Int64(page))
      guard
        try unsafe store.row(
          .keyPages(level: level), key,
          { bytes throws(Failure) in
            let entries = bytes.count / KeyEntry.size
            for index in 0..<entries {
              let entry = unsafe bytes.loadUnaligned(fromByteOffset: index * KeyEntry.size, as: KeyEntry.self)
              if entry.high > hash.high { return }
              if entry.matches(hash) { found = entry.record }
            }
            continues = found == nil
          })
      else { throw Failure(.storeCorrupt, "A page of idempotency keys is missing.") }
      page += 1
    }
    return found
  }

  /// The last page that begins below a key, or the first page.
  private func pageBefore(_ high: UInt64) -> Int {
    var low = 0
    var end = fences.count
    while low < end {
      let middle = (low + end) / 2
      if fences[middle] < high { low = middle + 1 } else { end = middle }
    }
    return max(0, low - 1)
  }

  /// Reads fences and filter back.
  init(id: Int64, level: Int64, count: Int, from store: any Store) throws(Failure) {
    var filter = ContiguousArray<UInt64>()
    var fences = ContiguousArray<UInt64>()
    try unsafe store.visitRows(.keyFilters, major: id...id, descending: false) { key, bytes throws(Failure) in
      for index in 0..<bytes.count / 8 {
        let word = unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
        if key.minor < KeyRun.fencesPart { filter.append(word) } else { fences.append(word) }
      }
      return true
    }
    guard fences.count == (count + KeyRun.entriesInPage - 1) / KeyRun.entriesInPage, level == 0 || filter.count >= 8
    else {
      throw Failure(.storeCorrupt, "The filter of a run of idempotency keys is missing.")
    }
    self.id = id
    self.level = level
    self.count = count
    self.fences = fences
    self.filter = level == 0 ? nil : KeyFilter(words: filter)
  }

  fileprivate init(id: Int64, level: Int64, count: Int, fences: ContiguousArray<UInt64>, filter: KeyFilter?) {
    self.id = id
    self.level = level
    self.count = count
    self.fences = fences
    self.filter = filter
  }

  fileprivate func write(to store: any Store) throws(Failure) {
    if let filter { try KeyRun.write(filter.words, id, from: 0, store) }
    try KeyRun.write(fences, id, from: KeyRun.fencesPart, store)
  }

  private static func write(
    _ words: ContiguousArray<UInt64>, _ id: Int64, from part: Int64, _ store: any Store
  ) throws(Failure) {
    var start = 0
    var number = part
    while start < words.count {
      let end = min(start + wordsInPart, words.count)
      try putRow(store, .keyFilters, RowKey(id, number), words[start..<end])
      start = end
      number += 1
    }
  }

  /// The highest level that the store has a table for.
  static let lastLevel: Int64 = 4
}

/// Writes a run as its entries arrive in order.
struct KeyRunWriter: ~Copyable {
  private let id: Int64
  private let level: Int64
  private var count = 0
  private var page = ContiguousArray<KeyEntry>()
  private var fences = ContiguousArray<UInt64>()
  private let filter: KeyFilter

  /// - Parameter filter: takes the keys; that of the run, or of level 0 as a whole.
  init(id: Int64, level: Int64, filter: KeyFilter) {
    self.id = id
    self.level = level
    self.filter = filter
    page.reserveCapacity(KeyRun.entriesInPage)
  }

  mutating func append(_ entry: KeyEntry, to store: any Store) throws(Failure) {
    if page.isEmpty { fences.append(entry.high) }
    page.append(entry)
    filter.insert(entry.high)
    count += 1
    if page.count == KeyRun.entriesInPage { try writePage(to: store) }
  }

  consuming func finish(in store: any Store) throws(Failure) -> KeyRun {
    if !page.isEmpty { try writePage(to: store) }
    let run = KeyRun(id: id, level: level, count: count, fences: fences, filter: level == 0 ? nil : filter)
    try run.write(to: store)
    return run
  }

  private mutating func writePage(to store: any Store) throws(Failure) {
    try putRow(store, .keyPages(level: level), RowKey(id, Int64(fences.count - 1)), page[...])
    page.removeAll(keepingCapacity: true)
  }
}

/// Reads a run from its first entry to its last.
struct KeyRunReader {
  private let id: Int64
  private let table: ProjectionTable
  private var entries = ContiguousArray<KeyEntry>()
  private var index = 0
  private var nextPage: Int64 = 0
  private let pages: Int64
  /// The entry at the cursor; the highest possible one at the end.
  private(set) var current = KeyEntry(high: .max, low: .max)
  private(set) var isAtEnd = false

  /// Pages that are read together, for which a server is asked once.
  private static let pagesAtOnce: Int64 = 32

  init(_ run: KeyRun, _ store: any Store) throws(Failure) {
    id = run.id
    table = .keyPages(level: run.level)
    pages = Int64(run.fences.count)
    try readPages(store)
  }

  var high: UInt64 { current.high }

  mutating func advance(_ store: any Store) throws(Failure) {
    index += 1
    if index < entries.count {
      current = entries[index]
    } else {
      try readPages(store)
    }
  }

  private mutating func readPages(_ store: any Store) throws(Failure) {
    guard nextPage < pages else {
      isAtEnd = true
      current = KeyEntry(high: .max, low: .max)
      return
    }
    entries.removeAll(keepingCapacity: true)
    let end = min(nextPage + KeyRunReader.pagesAtOnce, pages)
    try unsafe store.visitRows(table, major: id, minors: nextPage...end - 1) { key, bytes throws(Failure) in
      guard key.minor == nextPage else { return }
      nextPage += 1
      for offset in 0..<bytes.count / KeyEntry.size {
        entries.append(unsafe bytes.loadUnaligned(fromByteOffset: offset * KeyEntry.size, as: KeyEntry.self))
      }
    }
    guard nextPage == end, let first = entries.first else {
      throw Failure(.storeCorrupt, "A page of idempotency keys is missing.")
    }
    current = first
    index = 0
  }
}

/// Stores an array of plain data as one row.
func putRow<Element: BitwiseCopyable>(
  _ store: any Store, _ table: ProjectionTable, _ key: RowKey, _ elements: ContiguousArray<Element>.SubSequence
) throws(Failure) {
  let outcome: Result<Void, Failure> = unsafe elements.withUnsafeBytes { bytes in
    do throws(Failure) {
      try unsafe store.putRow(table, key, bytes)
      return .success(())
    } catch {
      return .failure(error)
    }
  }
  try outcome.get()
}
