internal import CWorker
internal import Farebox
internal import FareboxCore

/// One end of the socket pair between a host and a worker: whole messages out, whole messages in.
///
/// What comes in is checked before anybody sees it: its kind, its length, and that a message in parts is continued by
/// nothing else. Any thread may send; one at a time receives.
@safe
final class Channel: @unchecked Sendable {
  // Sound because sending is locked, and the rest belongs to the thread that receives.
  enum Sent {
    case all
    /// The socket has no room now.
    case full
    /// The other side is gone.
    case ended
  }

  @unsafe
  enum Received {
    /// Its body is valid until the next `receive`.
    case message(MessageKind, request: UInt32, body: UnsafeRawBufferPointer)
    /// Nothing is there, or a message is not complete.
    case nothing
    case ended
    /// What came breaks the protocol.
    case violation(String)
  }

  let socket: Int32
  private let sending = Lock<Void>(())
  private let outgoing: UnsafeMutableRawPointer
  private let incoming: UnsafeMutableRawPointer
  private let limit: (MessageKind) -> Int?
  /// A message in parts: its bytes so far, and how many there will be.
  private var assembled = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var awaited: (kind: MessageKind, request: UInt32, position: Int)?

  /// - Parameter limit: the most bytes of a kind of message that may come in, or nil for one that may not.
  init(_ socket: Int32, limit: @escaping (MessageKind) -> Int?) {
    self.socket = socket
    self.limit = limit
    unsafe outgoing = .allocate(byteCount: Wire.packet, alignment: 16)
    unsafe incoming = .allocate(byteCount: Wire.packet, alignment: 16)
  }

  deinit {
    unsafe outgoing.deallocate()
    unsafe incoming.deallocate()
    unsafe assembled.deallocate()
  }

  // MARK: Sending

  /// Sends a message.
  ///
  /// - Parameters:
  ///   - writer: all of it, or its front; it is finished here.
  ///   - room: called where the socket has no room: true once there may be some, false to give up. A message that was
  ///     given up in the middle leaves the channel of no use.
  func send(
    _ kind: MessageKind, _ request: UInt32, _ writer: inout WireWriter, room: () -> Bool
  ) -> Sent {
    unsafe send(kind, request, &writer, rest: UnsafeRawBufferPointer(start: nil, count: 0), room: room)
  }

  /// Sends a message of a front and a rest.
  func send(
    _ kind: MessageKind, _ request: UInt32, _ writer: inout WireWriter, rest: UnsafeRawBufferPointer, room: () -> Bool
  ) -> Sent {
    sending.withLock { _ in
      writer.finish(kind, request, rest: rest.count)
      return unsafe writer.bytes.withUnsafeBytes { front in
        guard front.count + rest.count > Wire.packet else { return unsafe packet(front, rest, room) }
        return unsafe parts(kind, request, front, rest, room)
      }
    }
  }

  private func packet(
    _ front: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer, _ room: () -> Bool
  ) -> Sent {
    repeat {
      let sent = unsafe farebox_send(socket, front.baseAddress, front.count, rest.baseAddress, rest.count, 0)
      if sent >= 0 { return .all }
      guard farebox_has_no_room() != 0 else { return .ended }
    } while room()
    return .full
  }

  private func parts(
    _ kind: MessageKind, _ request: UInt32, _ front: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer,
    _ room: () -> Bool
  ) -> Sent {
    let total = front.count + rest.count
    unsafe copy(front, rest, 0..<Wire.head, to: outgoing)
    var position = Wire.head
    while position < total {
      let count = min(Wire.packet - Wire.head, total - position)
      unsafe copy(front, rest, position..<position + count, to: outgoing + Wire.head)
      let part = unsafe UnsafeRawBufferPointer(start: outgoing, count: Wire.head + count)
      let sent = unsafe packet(part, UnsafeRawBufferPointer(start: nil, count: 0), room)
      guard case .all = sent else { return sent }
      unsafe outgoing.storeBytes(of: MessageKind.more.rawValue, as: UInt8.self)
      position += count
    }
    return .all
  }

  /// Copies a range of what is the front and then the rest.
  private func copy(
    _ front: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer, _ range: Range<Int>,
    to target: UnsafeMutableRawPointer
  ) {
    let fromFront = unsafe UnsafeRawBufferPointer(rebasing: front[range.clamped(to: 0..<front.count)])
    let lower = max(range.lowerBound - front.count, 0)
    let upper = max(range.upperBound - front.count, 0)
    let fromRest = unsafe UnsafeRawBufferPointer(rebasing: rest[lower..<upper])
    let place = unsafe UnsafeMutableRawBufferPointer(start: target, count: range.count)
    unsafe place.copyMemory(from: fromFront)
    unsafe UnsafeMutableRawBufferPointer(rebasing: place[fromFront.count...]).copyMemory(from: fromRest)
  }

  // MARK: Receiving

  /// Takes what has come, or waits for it.
  func receive(waits: Bool) -> Received {
    repeat {
      let count = unsafe farebox_receive(socket, incoming, Wire.packet, waits ? 1 : 0)
      guard count != 0 else { return unsafe .ended }
      guard count > 0 else { return unsafe farebox_has_no_room() != 0 ? .nothing : .ended }
      let received = unsafe accept(count)
      guard case .nothing = unsafe received, waits else { return unsafe received }
    } while true
  }

  private func accept(_ count: Int) -> Received {
    guard (Wire.head...Wire.packet).contains(count) else { return unsafe .violation("a packet of \(count) bytes") }
    let body = unsafe UnsafeRawBufferPointer(start: incoming + Wire.head, count: count - Wire.head)
    let request = unsafe incoming.load(fromByteOffset: 4, as: UInt32.self)
    let announced = unsafe incoming.load(fromByteOffset: 8, as: UInt64.self)
    guard let kind = unsafe MessageKind(rawValue: incoming.load(as: UInt8.self)) else {
      return unsafe .violation("a message of an unknown kind")
    }
    if let awaited { return unsafe proceed(awaited, kind, request, announced, body) }
    guard let limit = limit(kind), announced <= UInt64(limit) else {
      return unsafe .violation("a message of a kind or length that may not come")
    }
    let total = Int(announced)
    if body.count == total { return unsafe .message(kind, request: request, body: body) }
    guard body.count == Wire.packet - Wire.head, body.count < total else {
      return unsafe .violation("a message that is not as long as it says")
    }
    unsafe assembled.deallocate()
    unsafe assembled = .allocate(byteCount: total, alignment: 16)
    unsafe assembled.copyMemory(from: body)
    awaited = (kind, request, body.count)
    return unsafe .nothing
  }

  private func proceed(
    _ awaited: (kind: MessageKind, request: UInt32, position: Int), _ kind: MessageKind, _ request: UInt32,
    _ announced: UInt64, _ body: UnsafeRawBufferPointer
  ) -> Received {
    let next = unsafe min(Wire.packet - Wire.head, assembled.count - awaited.position)
    guard kind == .more, request == awaited.request, body.count == next,
      unsafe announced == UInt64(assembled.count)
    else {
      return unsafe .violation("another message in the middle of one")
    }
    unsafe UnsafeMutableRawBufferPointer(rebasing: assembled[awaited.position...]).copyMemory(from: body)
    self.awaited?.position += next
    guard unsafe awaited.position + next == assembled.count else { return unsafe .nothing }
    self.awaited = nil
    return unsafe .message(awaited.kind, request: request, body: UnsafeRawBufferPointer(assembled))
  }
}
