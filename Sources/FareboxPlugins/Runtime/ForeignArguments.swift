internal import Farebox
internal import FareboxCore

/// The arguments of one call of a C function, made of JSON, with the memory that they point to.
@safe
final class ForeignArguments {
  // Sound because the pointers live exactly as long as this.
  let values: UnsafeMutableBufferPointer<ForeignValue>
  private let signature: Signature
  private var buffers: [UnsafeMutableRawBufferPointer] = unsafe []

  /// Bytes of an out-buffer.
  private static let largestOutput: Int64 = 64 << 20

  /// - Parameter input: an object with a member for each parameter but the out-buffer.
  /// - Throws: `invalidArgument`, `missingField`, `unknownField`, naming the parameter.
  init(_ input: JSON, of function: ForeignFunction) throws(Failure) {
    signature = function.signature
    unsafe values = .allocate(capacity: max(signature.parameters.count, 1))
    unsafe values.initialize(repeating: ForeignValue())
    var fields = try JSONFields(input)
    var counts: [String: Int] = [:]
    for (index, parameter) in signature.parameters.enumerated() where !parameter.type.isOut {
      let name = parameter.name ?? String(index)
      let value = try fields.required(name)
      unsafe values[index] = try read(value, parameter.type, name)
      unsafe counts[name] = values[index].count
    }
    try fields.finish()
    guard let index = signature.parameters.firstIndex(where: { $0.type.isOut }) else { return }
    let capacity = try ForeignArguments.capacity(function.capacity, counts)
    let buffer = unsafe allocate(capacity)
    unsafe values[index].bytes = buffer.baseAddress
    unsafe values[index].count = capacity
  }

  deinit {
    unsafe buffers.forEach { unsafe $0.deallocate() }
    unsafe values.deallocate()
  }

  private static func capacity(
    _ rule: ForeignFunction.Capacity?, _ counts: [String: Int]
  ) throws(Failure) -> Int {
    guard let rule else { return 0 }
    let count = Int64(rule.argument.flatMap { counts[$0] } ?? 0)
    let scaled = count.multipliedReportingOverflow(by: rule.argument == nil ? 0 : rule.percent)
    let sum = (scaled.partialValue / 100).addingReportingOverflow(rule.plus)
    guard !scaled.overflow, !sum.overflow, sum.partialValue <= largestOutput else {
      throw Failure(
        .invalidArgument, field: rule.argument ?? "",
        "is so long that the output could have more than \(largestOutput) bytes")
    }
    return Int(sum.partialValue)
  }

  // MARK: Values

  private func read(
    _ json: JSON, _ type: Signature.ParameterType, _ name: String
  ) throws(Failure) -> ForeignValue {
    func wrong(_ what: String) -> Failure { Failure(.invalidArgument, field: name, what) }
    var value = unsafe ForeignValue()
    switch type {
    case .scalar(.double):
      guard case .number(let text) = json, let number = Double(text), number.isFinite else {
        throw wrong("must be a number that a double can hold")
      }
      unsafe value.number = number
    case .scalar(.string):
      guard let text = json.string, !text.utf8.contains(0) else { throw wrong("must be a text without NUL") }
      unsafe keep(Array(text.utf8) + [0], in: &value)
      unsafe value.count -= 1
    case .scalar(let scalar):
      guard let integer = ForeignArguments.integer(json, scalar) else {
        throw wrong("must be an integer that fits into \(scalar.rawValue)")
      }
      unsafe value.integer = integer
    case .bytes(let width):
      guard let bytes = ForeignArguments.bytes(json), bytes.count <= width.largest else {
        throw wrong("must be a text, or an object whose member base64 is one")
      }
      unsafe keep(bytes, in: &value)
    case .out, .outByReference: break
    }
    return unsafe value
  }

  private static func integer(_ json: JSON, _ scalar: Signature.Scalar) -> Int64? {
    if let integer = json.int64 {
      guard scalar != .u64 || integer >= 0 else { return nil }
      return scalar.holds(integer) ? integer : nil
    }
    guard scalar == .u64, let text = json.numberText, let integer = UInt64(text), String(integer) == text else {
      return nil
    }
    return Int64(bitPattern: integer)
  }

  private static func bytes(_ json: JSON) -> [UInt8]? {
    if let text = json.string { return Array(text.utf8) }
    guard let object = json.object, object.count == 1, let text = object["base64"]?.string else { return nil }
    return Base64.bytes(text)
  }

  private func allocate(_ count: Int) -> UnsafeMutableRawBufferPointer {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 16)
    unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe buffers.append(buffer)
    return unsafe buffer
  }

  private func keep(_ bytes: [UInt8], in value: inout ForeignValue) {
    let buffer = unsafe allocate(bytes.count)
    unsafe buffer.copyBytes(from: bytes)
    unsafe value.bytes = buffer.baseAddress
    unsafe value.count = bytes.count
  }

  // MARK: Output

  /// What the tool gives: the result, and the out-buffer under its name.
  ///
  /// - Throws: `pluginOutput` for a double or a text that JSON does not have.
  func output(_ result: ForeignValue) throws(Failure) -> JSON {
    var members = JSONObject()
    if let scalar = signature.result { try unsafe members.append("result", ForeignArguments.json(result, scalar)) }
    if let index = signature.parameters.firstIndex(where: { $0.type.isOut }) {
      let bytes = unsafe UnsafeRawBufferPointer(start: values[index].bytes, count: values[index].count)
      members.append(signature.parameters[index].name ?? String(index), ForeignArguments.encoded(unsafe Array(bytes)))
    }
    return .object(members)
  }

  private static func encoded(_ bytes: [UInt8]) -> JSON {
    ["base64": .string(Base64.text(bytes))]
  }

  private static func json(_ value: ForeignValue, _ scalar: Signature.Scalar) throws(Failure) -> JSON {
    switch scalar {
    case .double:
      guard unsafe value.number.isFinite else {
        throw Failure(.pluginFailed, field: "result", "The function gave a number that JSON does not have.")
      }
      return .number(unsafe value.number.description)
    case .string:
      guard let start = unsafe value.bytes else { return .null }
      let bytes = unsafe UnsafeRawBufferPointer(start: start, count: value.count)
      guard let text = unsafe String(validating: bytes, as: UTF8.self) else {
        throw Failure(.pluginOutput, field: "result", "is a text that is not UTF-8")
      }
      return .string(text)
    case .u64: return exact(unsafe UInt64(bitPattern: value.integer))
    case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .pointer: return exact(unsafe value.integer)
    }
  }

  /// An integer as a number where every reader of JSON keeps it, else as a decimal string.
  private static func exact<Integer: FixedWidthInteger>(_ integer: Integer) -> JSON {
    integer.magnitude <= 1 << 53 ? .number(String(integer)) : .string(String(integer))
  }
}
