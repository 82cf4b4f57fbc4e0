package import FareboxCore

extension JSONSchema {
  /// A value with `"***"` in the place of everything that the schema marks as secret, fit to be shown.
  ///
  /// Each schema that may look at a part of the value counts, also those of `anyOf` that do not match it.
  package func hidingSecrets(in value: JSON) -> JSON {
    hide(value, by: sameValue([0]))
  }

  /// These schemas and all that look at the same value.
  private func sameValue(_ schemas: [Int]) -> Set<Int> {
    var found: Set<Int> = []
    var waiting = schemas
    while let next = waiting.popLast() {
      if found.insert(next).inserted { waiting += nodes[next].logic.schemas }
    }
    return found
  }

  private func hide(_ value: JSON, by schemas: Set<Int>) -> JSON {
    guard !schemas.contains(where: { nodes[$0].isSecret }) else { return "***" }
    switch value {
    case .null, .bool, .number, .string: return value
    case .array(let elements):
      let hidden = elements.enumerated().map { index, element in
        let inner = schemas.compactMap { schema in
          let rules = nodes[schema].array
          return index < rules.first.count ? rules.first[index] : rules.rest
        }
        return hide(element, by: sameValue(inner))
      }
      return .array(hidden)
    case .object(let object):
      var hidden = JSONObject()
      for member in object.members {
        let inner = schemas.compactMap { schema in
          nodes[schema].object.properties[member.key] ?? nodes[schema].object.additional
        }
        hidden.append(member.key, hide(member.value, by: sameValue(inner)))
      }
      return .object(hidden)
    }
  }
}
