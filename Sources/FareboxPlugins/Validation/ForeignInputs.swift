internal import Farebox
internal import FareboxCore

/// Makes inputs for a tool that is a C function, by its signature alone.
enum ForeignInputs {
  static func next(_ signature: Signature, _ random: inout SeededRandom) -> JSON {
    var input = JSONObject()
    for (index, parameter) in signature.parameters.enumerated() where !parameter.type.isOut {
      input.append(parameter.name ?? String(index), value(parameter.type, &random))
    }
    return .object(input)
  }

  private static func value(_ type: Signature.ParameterType, _ random: inout SeededRandom) -> JSON {
    switch type {
    case .scalar(let scalar): self.scalar(scalar, &random)
    case .bytes: ["base64": .string(Base64.text(bytes(&random)))]
    case .out, .outByReference: .null
    }
  }

  private static func scalar(_ scalar: Signature.Scalar, _ random: inout SeededRandom) -> JSON {
    switch scalar {
    case .i8: integer(Int8.min...Int8.max, &random)
    case .i16: integer(Int16.min...Int16.max, &random)
    case .i32: integer(Int32.min...Int32.max, &random)
    case .i64: integer(Int64.min...Int64.max, &random)
    case .u8: integer(UInt8.min...UInt8.max, &random)
    case .u16: integer(UInt16.min...UInt16.max, &random)
    case .u32: integer(UInt32.min...UInt32.max, &random)
    case .u64, .pointer: integer(UInt64.min...UInt64.max, &random)
    case .double: .number(["0", "1", "-1", "0.5", "1e300", "-1e-300"].randomElement(using: &random) ?? "0")
    case .string: .string(String(decoding: bytes(&random).filter { (0x20..<0x7F).contains($0) }, as: UTF8.self))
    }
  }

  /// Mostly small, sometimes at an edge.
  private static func integer<Value: FixedWidthInteger>(
    _ range: ClosedRange<Value>, _ random: inout SeededRandom
  ) -> JSON {
    switch Int.random(in: 0..<6, using: &random) {
    case 0: .string(String(range.lowerBound))
    case 1: .string(String(range.upperBound))
    case 2: .string(String(Value.random(in: range, using: &random)))
    default: .int(Int64.random(in: 0...9, using: &random))
    }
  }

  private static func bytes(_ random: inout SeededRandom) -> [UInt8] {
    let count = [0, 1, 16, 255, 4_096].randomElement(using: &random) ?? 0
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  }
}
