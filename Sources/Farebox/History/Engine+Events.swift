package import FareboxCore

extension Engine {
  /// Writes an event into the journal, which `event.list` then lists.
  ///
  /// - Parameters:
  ///   - type: what happened, such as `plugin.loaded`.
  ///   - facts: an object; nothing secret.
  package func raiseEvent(_ type: String, _ facts: JSONObject) throws(Failure) {
    var event: JSONObject = ["type": .string(type)]
    for member in facts.members { event.append(member.key, member.value) }
    try perform(.normal) { ledger, context throws(Rejection) in
      try ledger.define(.event, .object(event), at: context.time)
    }
  }
}
