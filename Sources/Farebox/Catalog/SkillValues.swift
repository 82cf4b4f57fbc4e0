package import FareboxCore

/// Values that skills keep under keys of their own, such as a plugin's counter.
///
/// Each change is a record of the journal, so a copy has them too. A key keeps its slot for good, and a seal writes what
/// stands in each slot that has changed: opening a ledger costs as much as there are keys, not changes.
struct SkillValues {
  private var slots: [SkillValueName: Int] = [:]
  private(set) var entries: ContiguousArray<Entry> = []
  /// Slots changed since the last seal.
  private(set) var dirty: Set<Int> = []
  private var counts: [String: Int] = [:]

  /// What stands in a slot.
  struct Entry {
    let name: SkillValueName
    /// nil where it was removed.
    var value: [UInt8]?

    /// As it stands in the journal.
    var json: JSON {
      [
        "skill": .string(name.skill), "key": .string(name.key),
        "value": value.map { .string(Base64.text($0)) } ?? .null,
      ]
    }
  }

  /// The value of a key, or nil.
  func value(_ name: SkillValueName) -> [UInt8]? {
    slots[name].flatMap { entries[$0].value }
  }

  /// Keys that a skill has ever used.
  func keyCount(of skill: String) -> Int {
    counts[skill] ?? 0
  }

  /// Whether a skill has used the key before.
  func knows(_ name: SkillValueName) -> Bool {
    slots[name] != nil
  }

  /// Sets what an entry's JSON says.
  mutating func set(_ json: JSON) throws(Failure) {
    var fields = try JSONFields(json)
    guard let skill = try fields.text("skill", limit: Limits.toolName),
      let key = try fields.text("key", limit: Limits.skillValueKey)
    else { throw Segment.corrupt("A value has no skill or key.") }
    var value: [UInt8]?
    if let text = try fields.text("value", limit: 2 * Limits.skillValue) {
      guard let bytes = Base64.bytes(text) else { throw Segment.corrupt("A value is not base64.") }
      value = bytes
    }
    let name = SkillValueName(skill: skill, key: key)
    let slot = slots[name] ?? entries.count
    if slot == entries.count {
      slots[name] = slot
      counts[skill, default: 0] += 1
      entries.append(Entry(name: name, value: value))
    } else {
      entries[slot].value = value
    }
    dirty.insert(slot)
  }

  mutating func noteSealed() {
    dirty.removeAll(keepingCapacity: true)
  }
}

/// A skill's key.
struct SkillValueName: Hashable {
  let skill: String
  let key: String
}

extension Engine {
  /// The value that a skill keeps under a key, or nil.
  package func skillValue(_ skill: String, _ key: String) throws(Failure) -> [UInt8]? {
    try read { ledger, _ throws(Rejection) in ledger.state.values.value(SkillValueName(skill: skill, key: key)) }
  }

  /// Sets values of a skill, all or none of them; nil removes one.
  ///
  /// - Throws: `tooLong` beyond the limits of a key, a value or a skill's keys.
  package func setSkillValues(
    _ skill: String, _ changes: [(key: String, value: [UInt8]?)]
  ) throws(Failure) {
    for change in changes {
      guard (1...Limits.skillValueKey).contains(change.key.utf8.count) else {
        throw Failure(.tooLong, field: "key", "A key has 1 to \(Limits.skillValueKey) bytes.")
      }
      guard (change.value?.count ?? 0) <= Limits.skillValue else {
        throw Failure(.tooLong, field: "value", "A value has at most \(Limits.skillValue) bytes.")
      }
    }
    try perform(.normal) { ledger, context throws(Rejection) in
      let names = Set(changes.map { SkillValueName(skill: skill, key: $0.key) })
      let new = names.count { !ledger.state.values.knows($0) }
      guard ledger.state.values.keyCount(of: skill) + new <= Limits.skillValueKeys else {
        throw .failed(Failure(.tooLong, field: "key", "A skill has at most \(Limits.skillValueKeys) keys."))
      }
      // After this point the values must be set.
      for change in changes {
        let name = SkillValueName(skill: skill, key: change.key)
        guard ledger.state.values.value(name) != change.value else { continue }
        try ledger.define(.value, SkillValues.Entry(name: name, value: change.value).json, at: context.time)
      }
    }
  }
}
