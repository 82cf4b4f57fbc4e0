import FareboxCore
import Testing

@testable import FareboxPlugins

/// A plugin that writes to the socket behind the worker's back.
@Suite struct ForgedMessageTests {
  /// The request of the first call: load, initialise and activate came before.
  private static let request: UInt32 = 4

  private static func hex(_ kind: UInt8, _ request: UInt32, _ body: [UInt8]) -> String {
    var writer = WireWriter()
    for byte in body { writer.integer(byte) }
    writer.finish(.done, request, rest: 0)
    return ([kind] + writer.bytes[1...]).map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0\(text)" : text
    }.joined()
  }

  private static func answer(_ status: Int32) -> [UInt8] {
    var writer = WireWriter()
    writer.integer(status)
    for _ in 0..<3 { writer.integer(UInt32(0)) }
    return Array(writer.bytes[Wire.head...])
  }

  static let forged: [(String, String)] = [
    ("no packet", "ff"),
    ("an unknown kind", hex(99, request, [])),
    ("a kind of the host's", hex(MessageKind.shutdown.rawValue, request, [])),
    ("an answer to another request", hex(MessageKind.done.rawValue, request + 1, answer(0))),
    ("a second hello", hex(MessageKind.hello.rawValue, request, Array("{}".utf8))),
    ("an answer that is cut off", hex(MessageKind.done.rawValue, request, [0, 0])),
    ("a status that no plugin has", hex(MessageKind.done.rawValue, request, answer(Status.storeIO.rawValue))),
    ("a value for the host", hex(MessageKind.stored.rawValue, request, [1])),
    ("a question for an empty key", hex(MessageKind.get.rawValue, request, [])),
    ("a log line without a level", hex(MessageKind.log.rawValue, 0, [1])),
  ]

  @Test(arguments: forged)
  func endsTheWorker(_ what: String, _ hex: String) throws {
    let worker = try makeWorker("hostile")
    #expect(status { try worker.call(makeCall("hostile.forge", ["hex": .string(hex)])) } == .pluginCrashed, "\(what)")
    #expect(!worker.isAlive)
  }

  /// An answer of its own making is no more than an output; the true one then has no request.
  @Test func aForgedAnswerBuysNothing() throws {
    let worker = try makeWorker("hostile")
    let hex = ForgedMessageTests.hex(
      MessageKind.done.rawValue, ForgedMessageTests.request, ForgedMessageTests.answer(0) + Array("{}".utf8))
    let outcome = try worker.call(makeCall("hostile.forge", ["hex": .string(hex)]))
    #expect(outcome.output == Array("{}".utf8) && outcome.usage.isEmpty)
    #expect(status { try worker.call(makeCall("hostile.bytes_any")) } == .pluginCrashed)
  }
}
