internal import FareboxCore

/// What one side of a worker's channel says to the other.
enum MessageKind: UInt8 {
  // From the host.
  /// Takes a plugin: its grants and its manifest; the image is there already.
  case load = 1
  case initialise = 2
  case activate = 3
  case call = 4
  /// The answer to `get`.
  case stored = 5
  case health = 6
  case configure = 7
  case deactivate = 8
  case shutdown = 9

  // From the worker.
  /// What keeps the worker in its place; comes before any code of the plugin is mapped.
  case hello = 33
  /// The answer to every request.
  case done = 34
  /// Asks for a stored value.
  case get = 35
  case log = 36
  /// The call's output does not fit.
  case full = 37

  /// The next part of a message that one packet does not hold.
  case more = 64
}

/// The bounds of the channel.
enum Wire {
  /// Bytes of one packet with its head.
  static let packet = 1 << 16
  /// Bytes of a packet's head: kind, three zero bytes, the request's number, the bytes of the whole message.
  static let head = 16
  /// Bytes of what a worker says about its sandbox.
  static let hello = 4_096
  /// Bytes of a sentence about a failure.
  static let sentence = 2_048
  /// Bytes that an answer has besides its output: usage, and what a call sets in the store.
  static let answer =
    16 + Meter.allCases.count * 8 + Limits.pluginWrites * (8 + Limits.skillValueKey + Limits.skillValue)

  /// The most bytes of a message that a worker may get, or nil for a kind that it never gets.
  static func fromHost(_ kind: MessageKind) -> Int? {
    switch kind {
    case .load: PluginManifest.longest * 2
    case .initialise, .configure: Limits.jsonBytes
    case .call: Limits.jsonBytes + (64 << 10)
    case .stored: 1 + Limits.skillValue
    case .activate, .health, .deactivate, .shutdown: 0
    case .hello, .done, .get, .log, .full, .more: nil
    }
  }

  /// The most bytes of a message that the host may get, or nil for a kind that it never gets.
  static func fromWorker(_ kind: MessageKind, output: Int) -> Int? {
    switch kind {
    case .hello: hello
    case .done: answer + max(output, sentence)
    case .get: Limits.skillValueKey
    case .log: 4 + Limits.pluginLogLine
    case .full: 0
    case .load, .initialise, .activate, .call, .stored, .health, .configure, .deactivate, .shutdown, .more: nil
    }
  }
}

/// Reads a message's body from front to back; nil is a body that ends too early.
///
/// Valid as long as the bytes are.
@safe
struct WireReader {
  private var rest: UnsafeRawBufferPointer

  @unsafe
  init(_ bytes: UnsafeRawBufferPointer) {
    unsafe rest = bytes
  }

  var count: Int { unsafe rest.count }

  mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) -> Value? {
    let size = MemoryLayout<Value>.size
    guard unsafe rest.count >= size else { return nil }
    let value = unsafe rest.loadUnaligned(as: Value.self)
    unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
    return value
  }

  mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer? {
    guard count >= 0, unsafe rest.count >= count else { return nil }
    let taken = unsafe UnsafeRawBufferPointer(rebasing: rest.prefix(count))
    unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
    return unsafe taken
  }

  /// A length and so many bytes.
  mutating func text() -> UnsafeRawBufferPointer? {
    guard let count = integer(UInt32.self) else { return nil }
    return unsafe bytes(Int(count))
  }

  /// All that is left.
  mutating func remainder() -> UnsafeRawBufferPointer {
    let taken = unsafe rest
    unsafe rest = UnsafeRawBufferPointer(start: nil, count: 0)
    return unsafe taken
  }
}

/// Builds the front of a message, behind the room for its head.
struct WireWriter {
  private(set) var bytes = [UInt8](repeating: 0, count: Wire.head)

  /// Begins another message.
  mutating func reset() {
    bytes.removeLast(bytes.count - Wire.head)
  }

  mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
    unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
  }

  mutating func raw(_ more: UnsafeRawBufferPointer) {
    unsafe bytes.append(contentsOf: more)
  }

  mutating func text(_ text: String) {
    bytes.append(contentsOf: text.utf8)
  }

  /// Writes the head, now that the length of the rest is known.
  mutating func finish(_ kind: MessageKind, _ request: UInt32, rest: Int) {
    let length = UInt64(bytes.count - Wire.head + rest)
    bytes[0] = kind.rawValue
    unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: request, toByteOffset: 4, as: UInt32.self)
      unsafe bytes.storeBytes(of: length, toByteOffset: 8, as: UInt64.self)
    }
  }
}
