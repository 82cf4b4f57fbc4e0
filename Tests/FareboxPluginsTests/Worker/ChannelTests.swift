import CWorker
import FareboxCore
import Glibc
import Testing

@testable import FareboxPlugins

/// A channel whose other end may say anything.
@Suite struct ChannelTests {
  /// Both ends of a socket pair; ours checks as a host does.
  private final class Pair {
    let ours: Channel
    let theirs: Int32

    init(output: Int = 1 << 20) throws {
      var ends: (Int32, Int32) = (-1, -1)
      try #require(unsafe farebox_make_channel(&ends.0, &ends.1) == 0)
      ours = Channel(ends.0) { Wire.fromWorker($0, output: output) }
      theirs = ends.1
    }

    deinit {
      close(ours.socket)
      close(theirs)
    }

    func say(_ bytes: [UInt8]) {
      _ = unsafe bytes.withUnsafeBytes { unsafe farebox_send(theirs, $0.baseAddress, $0.count, nil, 0, 0) }
    }

    /// A packet that announces so many bytes and has a body.
    func say(_ kind: UInt8, request: UInt32 = 7, announced: Int, body: [UInt8]) {
      var writer = WireWriter()
      writer.finish(.done, request, rest: announced)
      say([kind] + writer.bytes[1...] + body)
    }

    /// What came in, as a word.
    var heard: String {
      switch unsafe ours.receive(waits: false) {
      case .message(let kind, _, let body): "\(kind) \(body.count)"
      case .nothing: "nothing"
      case .ended: "ended"
      case .violation: "violation"
      }
    }
  }

  @Test func takesMessagesThatKeepTheRules() throws {
    let pair = try Pair()
    pair.say(MessageKind.log.rawValue, announced: 4, body: [0, 0, 0, 0])
    #expect(pair.heard == "log 4")
    #expect(pair.heard == "nothing")
    let first = Wire.packet - Wire.head
    pair.say(MessageKind.done.rawValue, announced: first + 10, body: [UInt8](repeating: 1, count: first))
    #expect(pair.heard == "nothing")
    pair.say(MessageKind.more.rawValue, announced: first + 10, body: [UInt8](repeating: 2, count: 10))
    #expect(pair.heard == "done \(first + 10)")
  }

  @Test func refusesMessagesThatBreakThem() throws {
    let long = [UInt8](repeating: 0, count: Wire.packet - Wire.head)
    let cases: [(Pair) -> Void] = [
      { $0.say([]) }, { $0.say([34]) }, { $0.say(long + long) },
      { $0.say(0, announced: 0, body: []) }, { $0.say(99, announced: 0, body: []) },
      // Kinds that only a host sends, and a continuation of nothing.
      { $0.say(MessageKind.load.rawValue, announced: 0, body: []) },
      { $0.say(MessageKind.more.rawValue, announced: 0, body: []) },
      // Lengths that are not true, not allowed, or not to be computed with.
      { $0.say(MessageKind.log.rawValue, announced: 5, body: [0]) },
      { $0.say(MessageKind.log.rawValue, announced: 1, body: [0, 0]) },
      { $0.say(MessageKind.full.rawValue, announced: 1, body: [0]) },
      { $0.say(MessageKind.done.rawValue, announced: 1 << 30, body: long) },
      { $0.say(MessageKind.done.rawValue, announced: .max - 64, body: long) },
    ]
    for (index, speak) in cases.enumerated() {
      let pair = try Pair()
      speak(pair)
      let heard = pair.heard
      #expect(heard == "violation" || (index == 0 && heard == "ended"), "case \(index): \(heard)")
    }
  }

  @Test func refusesAnotherMessageInTheMiddleOfOne() throws {
    let long = [UInt8](repeating: 0, count: Wire.packet - Wire.head)
    let rest = [UInt8](repeating: 0, count: 9)
    let cases: [(Pair) -> Void] = [
      { $0.say(MessageKind.log.rawValue, announced: 4, body: [0, 0, 0, 0]) },
      { $0.say(MessageKind.more.rawValue, request: 8, announced: long.count + 9, body: rest) },
      { $0.say(MessageKind.more.rawValue, announced: long.count + 8, body: rest) },
      { $0.say(MessageKind.more.rawValue, announced: long.count + 9, body: rest.dropLast()) },
    ]
    for speak in cases {
      let pair = try Pair()
      pair.say(MessageKind.done.rawValue, announced: long.count + 9, body: long)
      #expect(pair.heard == "nothing")
      speak(pair)
      #expect(pair.heard == "violation")
    }
  }

  @Test func survivesNoise() throws {
    var generator = SystemRandomNumberGenerator()
    let seed = generator.next()
    var random = Noise(state: seed)
    for _ in 0..<2_000 {
      let pair = try Pair(output: 200)
      for _ in 0..<4 {
        var bytes = (0..<Int(random.next() % 64)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        // Half of it begins as a message does.
        if random.next() % 2 == 0, bytes.count > 16 {
          bytes.replaceSubrange(0..<16, with: [UInt8(33 + random.next() % 5), 0, 0, 0, 1, 0, 0, 0])
        }
        pair.say(bytes)
        guard case .message(.done, _, let body) = unsafe pair.ours.receive(waits: false) else { continue }
        var reader = unsafe WireReader(body)
        _ = Answer.front(&reader, measured: MeterSet(), storeIsGranted: true)
      }
    }
  }

  /// xorshift, so that a seed repeats a run.
  private struct Noise {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  @Test func readsBackWhatItWrites() throws {
    var writer = WireWriter()
    Answer.write(
      &writer, status: .ok, wantsReplacement: true, usage: [(.units, 12_500_000), (.images, 1)],
      writes: [("a", [1, 2]), ("b", nil)])
    let front = try unsafe writer.bytes.withUnsafeBytes { bytes in
      var reader = unsafe WireReader(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(Wire.head)))
      return try #require(Answer.front(&reader, measured: MeterSet(), storeIsGranted: true))
    }
    #expect(front.failure == nil && front.wantsReplacement)
    #expect(front.usage.map(\.micro) == [12_500_000, 1])
    #expect(front.writes.map(\.key) == ["a", "b"])
    #expect(front.writes.map(\.value) == [[1, 2], nil])
    // What our own code would never write: a meter that the host measures, and a store that was not granted.
    let refused = unsafe writer.bytes.withUnsafeBytes { bytes -> [Bool] in
      let body = unsafe UnsafeRawBufferPointer(rebasing: bytes.dropFirst(Wire.head))
      var first = unsafe WireReader(body)
      var second = unsafe WireReader(body)
      return [
        Answer.front(&first, measured: MeterSet(.units), storeIsGranted: true) == nil,
        Answer.front(&second, measured: MeterSet(), storeIsGranted: false) == nil,
      ]
    }
    #expect(refused == [true, true])
  }
}
