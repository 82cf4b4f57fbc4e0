internal import FareboxCore

/// What a worker answers to a request, as bytes: both the writing and the distrustful reading.
enum Answer {
  /// Statuses that a worker may answer with.
  private static let statuses: Set<Int32> = Set(
    [
      Status.ok, .pluginABI, .pluginBroken, .pluginInactive, .pluginCancelled, .pluginOutputLimit, .pluginFailed,
      .pluginInput, .pluginOutput, .pluginUnavailable, .unsupported,
    ].map(\.rawValue))

  /// The status as a worker may say it.
  static func allowed(_ status: Status) -> Status {
    statuses.contains(status.rawValue) ? status : .pluginBroken
  }

  /// As much of a sentence as an answer holds, in whole characters.
  static func cut(_ sentence: String) -> String {
    guard sentence.utf8.count > Wire.sentence else { return sentence }
    return String(decoding: sentence.utf8.prefix(Wire.sentence - 3), as: UTF8.self)
  }

  private static let removed = UInt32.max

  // MARK: Writing

  /// Writes an answer's front: all but the output or the sentence.
  static func write(
    _ writer: inout WireWriter, status: Status, wantsReplacement: Bool, usage: [(meter: Meter, micro: Int64)] = [],
    writes: [(key: String, value: [UInt8]?)] = []
  ) {
    writer.integer(status.rawValue)
    writer.integer(UInt32(wantsReplacement ? 1 : 0))
    writer.integer(UInt32(usage.reduce(into: MeterSet()) { $0.insert(MeterSet($1.meter)) }.rawValue))
    writer.integer(UInt32(writes.count))
    for (_, micro) in usage { writer.integer(micro) }
    for (key, value) in writes {
      writer.integer(UInt32(key.utf8.count))
      writer.integer(value.map { UInt32($0.count) } ?? removed)
      writer.text(key)
      if let value { unsafe value.withUnsafeBytes { unsafe writer.raw($0) } }
    }
  }

  // MARK: Reading

  struct Front {
    var failure: Status?
    var wantsReplacement = false
    var usage: [(meter: Meter, micro: Int64)] = []
    var writes: [(key: String, value: [UInt8]?)] = []
  }

  /// Reads an answer's front; nil where it is not one that our own code could have written.
  static func front(_ reader: inout WireReader, measured: MeterSet, storeIsGranted: Bool) -> Front? {
    var front = Front()
    guard let status = reader.integer(Int32.self), statuses.contains(status),
      let flags = reader.integer(UInt32.self), flags <= 1, let present = reader.integer(UInt32.self),
      let writes = reader.integer(UInt32.self), writes <= (storeIsGranted ? UInt32(Limits.pluginWrites) : 0)
    else { return nil }
    let meters = MeterSet(rawValue: UInt16(truncatingIfNeeded: present))
    guard present <= UInt32(MeterSet.all.rawValue), meters.isDisjoint(with: measured) else { return nil }
    front.failure = status == Status.ok.rawValue ? nil : Status(rawValue: status)
    front.wantsReplacement = flags == 1
    guard front.failure == nil || (meters.isEmpty && writes == 0) else { return nil }
    for meter in meters.meters {
      guard let micro = reader.integer(Int64.self), micro >= 0 else { return nil }
      front.usage.append((meter, micro))
    }
    for _ in 0..<writes {
      guard let write = write(&reader), !front.writes.contains(where: { $0.key == write.key }) else { return nil }
      front.writes.append(write)
    }
    return front
  }

  private static func write(_ reader: inout WireReader) -> (key: String, value: [UInt8]?)? {
    guard let keyCount = reader.integer(UInt32.self), let valueCount = reader.integer(UInt32.self),
      let bytes = unsafe reader.bytes(Int(keyCount)), let key = unsafe StoreSession.key(bytes)
    else { return nil }
    guard valueCount != removed else { return (key, nil) }
    guard valueCount <= UInt32(Limits.skillValue), let value = unsafe reader.bytes(Int(valueCount)) else { return nil }
    return unsafe (key, Array(value))
  }
}
