package import Farebox
package import FareboxCore
internal import Synchronization

/// The call frames of the process by the text of their signatures.
///
/// A frame that is kept is kept for ever, so that looking it up takes no lock. Signatures beyond the limit work too; they
/// are read at each call.
package enum CallFrames {
  /// A kept frame and the text that it was asked for with.
  private final class Entry: Sendable {
    let text: OwnedText
    let frame: CallFrame

    init(_ text: BorrowedText, _ frame: CallFrame) {
      self.text = OwnedText(text)
      self.frame = frame
    }
  }

  /// Places for entries, twice as many as there ever are, so that a search ends soon.
  @safe
  private struct Places: @unchecked Sendable {
    // Sound because the places are atomic, and neither they nor what they lead to is ever freed.
    private let places: UnsafeMutablePointer<Atomic<UInt>>

    init() {
      unsafe places = .allocate(capacity: Places.count)
      for index in 0..<Places.count { unsafe (places + index).initialize(to: Atomic(0)) }
    }

    static let count = 2 * Limits.callFrames

    subscript(index: Int) -> Entry? {
      guard let entry = unsafe UnsafeRawPointer(bitPattern: places[index].load(ordering: .acquiring)) else {
        return nil
      }
      return unsafe Unmanaged<Entry>.fromOpaque(entry).takeUnretainedValue()
    }

    func set(_ index: Int, to entry: Entry) {
      unsafe places[index].store(UInt(bitPattern: Unmanaged.passRetained(entry).toOpaque()), ordering: .releasing)
    }
  }

  private static let places = Places()

  /// Only touched under the lock.
  private nonisolated(unsafe) static var kept = 0

  /// The call frame of a signature, made where there is none.
  package static func frame(of text: BorrowedText, field: String) throws(Failure) -> CallFrame {
    guard text.count <= Limits.signature else {
      throw Failure(.tooLong, field: field, "A signature has at most \(Limits.signature) bytes.")
    }
    let start = hash(text)
    if let entry = find(text, from: start).entry { return entry.frame }
    let frame = try CallFrame(Signature.parse(text, field: field))
    Fork.withLock {
      guard unsafe kept < Limits.callFrames else { return }
      let (entry, free) = find(text, from: start)
      guard entry == nil else { return }
      places.set(free, to: Entry(text, frame))
      unsafe kept += 1
    }
    return frame
  }

  /// The entry of a text, or the place where the search for it ended.
  private static func find(_ text: BorrowedText, from start: Int) -> (entry: Entry?, free: Int) {
    var index = start
    while let entry = places[index] {
      if entry.text.holds(text) { return (entry, index) }
      index = (index + 1) % Places.count
    }
    return (nil, index)
  }

  /// FNV-1a, eight bytes at a time; the texts are the host's own, so it need not be secret.
  private static func hash(_ text: BorrowedText) -> Int {
    let bytes = unsafe text.bytes
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ word: UInt64) {
      hash = (hash ^ word) &* 0x100_0000_01b3
      // Multiplication carries only upwards.
      hash ^= hash >> 32
    }
    var index = 0
    while index + 8 <= bytes.count {
      add(unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      index += 8
    }
    while index < bytes.count {
      add(UInt64(unsafe bytes[index]))
      index += 1
    }
    return Int(hash % UInt64(Places.count))
  }
}
