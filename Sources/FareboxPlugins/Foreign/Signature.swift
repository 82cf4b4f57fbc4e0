/// What a C function takes and gives: `i32(out:u64* dest, bytes:u64 source, i32 level)`.
///
/// Nothing can check that a signature is true of a function; a false one is undefined behaviour in the process that makes
/// the call.
package struct Signature: Hashable, Sendable {
  /// A type of one C parameter, or of a result.
  package enum Scalar: String, CaseIterable, Sendable {
    case i8, i16, i32, i64, u8, u16, u32, u64, double
    /// `const char *`: UTF-8 that ends in NUL.
    case string
    /// `void *`: passed on and never followed.
    case pointer

    package var isInteger: Bool {
      switch self {
      case .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64: true
      case .double, .string, .pointer: false
      }
    }
  }

  /// How wide the length of a range of bytes is in C.
  package enum Width: String, CaseIterable, Sendable {
    case u32, u64
  }

  package enum ParameterType: Hashable, Sendable {
    case scalar(Scalar)
    /// `const void *` and the number of bytes.
    case bytes(Width)
    /// `void *` and its capacity; the function returns how much of it was written.
    case out(Width)
    /// `void *` and a pointer to its capacity, which becomes how much of it was written.
    case outByReference(Width)

    package var isOut: Bool {
      switch self {
      case .out, .outByReference: true
      case .scalar, .bytes: false
      }
    }
  }

  package struct Parameter: Hashable, Sendable {
    /// nil where the signature gives it none.
    package let name: String?
    package let type: ParameterType
  }

  /// nil is `void`.
  package let result: Scalar?
  package let parameters: [Parameter]

  /// The position of a parameter that is given by its name, or by its number counted from 0.
  package func index(of parameter: String) -> Int? {
    if let found = parameters.firstIndex(where: { $0.name == parameter }) { return found }
    guard let number = Int(parameter), String(number) == parameter, parameters.indices.contains(number) else {
      return nil
    }
    return number
  }
}

extension Signature.ParameterType: CustomStringConvertible {
  package var description: String {
    switch self {
    case .scalar(let scalar): scalar.rawValue
    case .bytes(let width): "bytes:\(width.rawValue)"
    case .out(let width): "out:\(width.rawValue)"
    case .outByReference(let width): "out:\(width.rawValue)*"
    }
  }
}

extension Signature: CustomStringConvertible {
  /// The signature as text, which reads back as the same.
  package var description: String {
    let list = parameters.map { parameter in
      parameter.name.map { "\(parameter.type) \($0)" } ?? parameter.type.description
    }
    return "\(result?.rawValue ?? "void")(\(list.joined(separator: ", ")))"
  }
}
