internal import CLinux
internal import FareboxCore
internal import FareboxStore

/// Where the record of an idempotency key is, at a cost that does not grow with the history.
///
/// Recent keys are in a table in memory; when it is full it is sealed into a sorted run in the store, and runs of one
/// level are merged into one of the next when there are eight. Keys are kept forever.
struct KeyIndex: ~Copyable {
  private(set) var recent = KeyTable()
  private(set) var runs: [KeyRun] = [] {
    didSet {
      filters = ContiguousArray(runs.compactMap { $0.filter?.view })
      firstYoung = runs.firstIndex { $0.level == 0 } ?? runs.endIndex
    }
  }
  /// The filters of the runs above level 0, in their order; these runs come first.
  private var filters: ContiguousArray<KeyFilterView> = []
  /// Where the runs of level 0 begin.
  private var firstYoung = 0
  /// One filter for all runs of level 0, so that a new key asks once and not for each of them.
  private var young: KeyFilter?
  /// Merges since the index was made.
  private(set) var mergeCount = MergeCount()
  let memoryBytes: Int
  /// Keys at which to seal, where that does not follow from the memory.
  let sealRecords: Int?

  /// Runs of one level that are merged into one of the next.
  private static let fanIn = 8
  private static let smallestMemory = 1 << 20

  init(memoryBytes: Int, sealRecords: Int? = nil) {
    self.sealRecords = sealRecords
    self.memoryBytes = max(memoryBytes, KeyIndex.smallestMemory)
  }

  /// Keys in memory at which the index wants to be sealed: a quarter of the memory at half full.
  var sealThreshold: Int { sealRecords ?? min(524_288, memoryBytes / 4 / KeyEntry.size / 2) }

  /// Bytes that the index takes in memory.
  var bytes: Int { runs.reduce(recent.bytes + (young?.bytes ?? 0)) { $0 + $1.bytes } }

  var sealedCount: Int { runs.reduce(0) { $0 + $1.count } }

  /// The record of a key, or nil for a key never used.
  func find(_ hash: KeyHash, in store: any Store) throws(Failure) -> UInt64? {
    if let record = recent.find(hash) { return record }
    let probe = KeyProbe(hash.high)
    if let young, young.view.mayContain(probe) {
      for index in firstYoung..<runs.count {
        if let record = try runs[index].find(hash, in: store) { return record }
      }
    }
    for index in filters.indices where filters[index].mayContain(probe) {
      if let record = try runs[index].find(hash, in: store) { return record }
    }
    return nil
  }

  mutating func insert(_ hash: KeyHash, record: UInt64) {
    recent.insert(hash, record: record)
  }

  func prefetch(_ hash: KeyHash) {
    recent.prefetch(hash)
    let probe = KeyProbe(hash.high)
    young?.view.prefetch(probe)
    for index in filters.indices { filters[index].prefetch(probe) }
  }

  /// Moves the recent keys into the store, and merges where a level is full.
  ///
  /// - Returns: what the index consists of now, to be stored with the seal.
  mutating func seal(in store: any Store) throws(Failure) -> [KeyRunSummary] {
    let entries = recent.drainSorted()
    if !entries.isEmpty {
      var writer = KeyRunWriter(id: nextRunID, level: 0, filter: youngFilter())
      for entry in entries { try writer.append(entry, to: store) }
      runs.append(try writer.finish(in: store))
    }
    var level: Int64 = 0
    // Runs of the last level, of two thousand million keys each by default, are never merged.
    while level < KeyRun.lastLevel, runs.count(where: { $0.level == level }) >= KeyIndex.fanIn {
      try merge(level: level, in: store)
      level += 1
    }
    return runs.map { KeyRunSummary(id: $0.id, level: $0.level, count: Int64($0.count)) }
  }

  /// Takes over what another process, or an earlier one, sealed.
  mutating func load(_ summaries: [KeyRunSummary], from store: any Store) throws(Failure) {
    let known = runs
    var loaded: [KeyRun] = []
    for summary in summaries {
      if let run = known.first(where: { $0.id == summary.id }) {
        loaded.append(run)
      } else {
        loaded.append(try KeyRun(id: summary.id, level: summary.level, count: Int(summary.count), from: store))
      }
    }
    // What was merged away meanwhile cannot be taken out of a filter, so another is begun.
    let isSame = known.allSatisfy { run in run.level > 0 || loaded.contains { $0.id == run.id } }
    if !isSame { young = nil }
    let isKept = young != nil
    for run in loaded where run.level == 0 && !(isKept && known.contains { $0.id == run.id }) {
      let filter = youngFilter()
      var reader = try KeyRunReader(run, store)
      while !reader.isAtEnd {
        filter.insert(reader.high)
        try reader.advance(store)
      }
    }
    runs = loaded
  }

  /// The filter of level 0, made where there is none: large enough for as many runs as the level can have.
  private mutating func youngFilter() -> KeyFilter {
    if let young { return young }
    let keys = KeyIndex.fanIn * sealThreshold
    let filter = KeyFilter(keys: keys, bitsPerKey: bitsPerKey(adding: keys))
    young = filter
    return filter
  }

  mutating func forgetRecent() {
    recent.removeAll()
  }

  /// Runs are numbered in the order of their making.
  private var nextRunID: Int64 { (runs.map(\.id).max() ?? 0) + 1 }

  private mutating func merge(level: Int64, in store: any Store) throws(Failure) {
    let start = farebox_steady_clock()
    let merged = runs.filter { $0.level == level }
    let keys = merged.reduce(0) { $0 + $1.count }
    let filter = KeyFilter(keys: keys, bitsPerKey: bitsPerKey(adding: 0))
    var writer = KeyRunWriter(id: nextRunID, level: level + 1, filter: filter)
    var readers: [KeyRunReader] = []
    for run in merged { readers.append(try KeyRunReader(run, store)) }
    while true {
      var least = 0
      for index in readers.indices.dropFirst() where readers[index].high < readers[least].high { least = index }
      if readers[least].isAtEnd {
        // At the end a reader gives the highest key, which a run may also hold.
        guard let other = readers.firstIndex(where: { !$0.isAtEnd }) else { break }
        least = other
      }
      try writer.append(readers[least].current, to: store)
      try readers[least].advance(store)
    }
    let run = try writer.finish(in: store)
    try store.deleteAllRows(.keyPages(level: level))
    for old in merged { try store.deleteRows(.keyFilters, major: old.id) }
    runs.removeAll { $0.level == level }
    if level == 0 { young = nil }
    runs.insert(run, at: runs.firstIndex { $0.level <= level } ?? runs.endIndex)
    mergeCount.count += 1
    mergeCount.nanoseconds += Int(farebox_steady_clock() - start)
  }

  /// Bits of filter a key: as many as the memory left allows, from 4 to 18. With 18 one question in two thousand reads a
  /// page for nothing.
  private func bitsPerKey(adding keys: Int) -> Int {
    let left = memoryBytes / 2 * 8
    return min(18, max(4, left / max(1, sealedCount + keys)))
  }
}

/// How many merges of runs there were, and how long they took.
struct MergeCount {
  var count = 0
  var nanoseconds = 0

  static func - (left: MergeCount, right: MergeCount) -> MergeCount {
    MergeCount(count: left.count - right.count, nanoseconds: left.nanoseconds - right.nanoseconds)
  }
}

/// What a run is, as a seal records it.
struct KeyRunSummary {
  let id: Int64
  let level: Int64
  let count: Int64
}

/// Tells the processor that memory is wanted soon.
func prefetchMemory<Pointee>(_ pointer: UnsafePointer<Pointee>) {
  unsafe farebox_prefetch(pointer)
}

func prefetchMemory<Pointee>(_ pointer: UnsafeMutablePointer<Pointee>) {
  unsafe farebox_prefetch(pointer)
}
