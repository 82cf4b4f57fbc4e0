public import FareboxCore

/// One thing that the JSON door can do: its name, its fields and how it is done.
///
/// The table of operations drives the decoding of inputs, `farebox_describe()`, the reference pages and the method lists
/// of the bindings, so none of them can say anything else.
public struct Operation: Sendable {
  public let name: String
  /// What it does, in one sentence.
  public let doc: String
  public let input: [OperationField]
  public let output: [OperationField]
  /// The statuses that it adds to those of every operation.
  public let errors: [Status]
  package let run: @Sendable (Engine, OperationInput) throws(Failure) -> JSON

  package init(
    _ name: String, _ doc: String, input: [OperationField] = [], output: [OperationField] = [], errors: [Status] = [],
    run: @escaping @Sendable (Engine, OperationInput) throws(Failure) -> JSON
  ) {
    self.name = name
    self.doc = doc
    self.input = input
    self.output = output
    self.errors = errors
    self.run = run
  }

  public var json: JSON {
    [
      "name": .string(name), "doc": .string(doc), "input": .array(input.map(\.json)),
      "output": .array(output.map(\.json)), "errors": .array(errors.compactMap { $0.entry.map { .string($0.name) } }),
    ]
  }
}

/// A field of an operation's input or output.
public struct OperationField: Sendable {
  /// What a field may hold.
  public enum Kind: String, Sendable {
    case text
    /// Decimal text in units of the asset: `"0.50"`.
    case amount
    /// A 64-bit integer, as a JSON integer or as a string of one.
    case integer
    case flag
    case object
    case list
    case any
  }

  public let name: String
  public let kind: Kind
  public let isRequired: Bool
  public let doc: String

  package init(_ name: String, _ kind: Kind, _ doc: String, required: Bool = false) {
    self.name = name
    self.kind = kind
    isRequired = required
    self.doc = doc
  }

  public var json: JSON {
    [
      "name": .string(name), "type": .string(kind.rawValue), "required": .bool(isRequired), "doc": .string(doc),
    ]
  }
}

/// An operation's input, checked against its fields.
package struct OperationInput: Sendable {
  private let object: JSONObject

  /// Refuses fields that the operation does not have, lacks that it must have, and of another type.
  package init(_ json: JSON, for operation: Operation) throws(Failure) {
    guard let object = json.object else {
      throw Failure(.invalidArgument, field: "input", "The input must be an object.")
    }
    for member in object.members {
      guard let field = operation.input.first(where: { $0.name == member.key }) else {
        throw Failure(
          .unknownField, field: String(member.key.prefix(100)), "Operation '\(operation.name)' has no such field.")
      }
      if !member.value.isNull { try OperationInput.check(member.value, field) }
    }
    for field in operation.input where field.isRequired && (object[field.name]?.isNull ?? true) {
      throw Failure(.missingField, field: field.name, "Operation '\(operation.name)' needs it.")
    }
    self.object = object
  }

  private static func check(_ value: JSON, _ field: OperationField) throws(Failure) {
    let isRight =
      switch field.kind {
      case .text: value.string != nil
      case .amount: value.string != nil || value.numberText != nil
      case .integer: value.int64 != nil
      case .flag: value.bool != nil
      case .object: value.object != nil
      case .list: value.array != nil
      case .any: true
      }
    guard isRight else {
      throw Failure(
        field.kind == .amount ? .invalidAmount : .invalidArgument, field: field.name,
        field.kind == .integer ? "It must be an integer of 64 bits." : "It must be of type \(field.kind.rawValue).")
    }
  }

  /// The value of a field, or nil where it is absent or null.
  package func value(_ name: String) -> JSON? {
    guard let value = object[name], !value.isNull else { return nil }
    return value
  }

  package func text(_ name: String) -> String? { value(name)?.string }
  /// Decimal text; a JSON number counts by its digits as written.
  package func amount(_ name: String) -> String? { value(name).flatMap { $0.string ?? $0.numberText } }
  package func integer(_ name: String) -> Int64? { value(name)?.int64 }
  package func flag(_ name: String) -> Bool { value(name)?.bool ?? false }
  package func list(_ name: String) -> [JSON] { value(name)?.array ?? [] }
  /// An object as canonical text, or empty; equal objects give equal texts, so a repeat is known as one.
  package func objectText(_ name: String) -> String { value(name)?.canonical() ?? "" }

  /// A number that is not negative, such as a transfer's.
  package func number(_ name: String) throws(Failure) -> UInt64 {
    guard let value = integer(name), let number = UInt64(exactly: value) else {
      throw Failure(.invalidArgument, field: name, "It must be a number that is not negative.")
    }
    return number
  }
}

/// Copies of texts that stay in place while a turn borrows them.
@safe
package final class TextArena {
  private var copies: [UnsafeMutablePointer<UInt8>] = unsafe []

  package init() {}

  package func add(_ text: String?) -> BorrowedText {
    text.map { add(bytes: Array($0.utf8)) } ?? .empty
  }

  package func add(bytes: [UInt8]) -> BorrowedText {
    guard !bytes.isEmpty else { return .empty }
    let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
    for (index, byte) in bytes.enumerated() { unsafe copy[index] = byte }
    unsafe copies.append(copy)
    return unsafe BorrowedText(copy, count: bytes.count)
  }

  deinit {
    for index in unsafe copies.indices { unsafe copies[index].deallocate() }
  }
}
