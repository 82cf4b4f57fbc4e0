internal import CFareboxPlugin
internal import Glibc

/// A bounded place that a plugin writes into, kept from call to call so that a small output allocates nothing.
@safe
package struct Sink: ~Copyable {
  /// What the plugin's side of it reaches; only its own thread writes.
  @unsafe struct State {
    var bytes: UnsafeMutableRawPointer?
    var count = 0
    var capacity = 0
    var limit = 0
    /// Whether a write did not fit; then no later one does.
    var isFull = false
    /// Runs once when that happens.
    var whenFull: (() -> Void)?
  }

  /// What the plugin is given; lives as long as this.
  let pointer: UnsafeMutablePointer<farebox_plugin_sink>
  private let state: UnsafeMutablePointer<State>

  /// A sink that takes nothing until `open`.
  init() {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State())
    unsafe pointer = .allocate(capacity: 1)
    unsafe pointer.initialize(
      to: farebox_plugin_sink(
        struct_size: UInt32(MemoryLayout<farebox_plugin_sink>.size), reserved: 0,
        context: UnsafeMutableRawPointer(state), write: { sink, bytes, count in unsafe Sink.write(sink, bytes, count) })
    )
  }

  deinit {
    unsafe free(state.pointee.bytes)
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
    unsafe pointer.deallocate()
  }

  /// Empties it for up to `limit` bytes.
  func open(limit: Int) {
    unsafe state.pointee.count = 0
    unsafe state.pointee.limit = limit
    unsafe state.pointee.isFull = false
  }

  /// Takes no more.
  func close() {
    unsafe state.pointee.limit = 0
    // A large buffer is not kept for the sake of one call.
    guard unsafe state.pointee.capacity > Sink.kept else { return }
    unsafe free(state.pointee.bytes)
    unsafe state.pointee.bytes = nil
    unsafe state.pointee.capacity = 0
    unsafe state.pointee.count = 0
  }

  /// Runs when a write does not fit, on the plugin's thread.
  func onFull(_ body: (() -> Void)?) {
    unsafe state.pointee.whenFull = body
  }

  var isFull: Bool { unsafe state.pointee.isFull }

  /// What was written; valid until the next `open` or `close`.
  package var written: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: state.pointee.bytes, count: state.pointee.count)
  }

  /// Writes for the host itself; false where it does not fit.
  @discardableResult
  func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
    unsafe Sink.append(state, bytes.baseAddress, bytes.count) == PluginAnswer.ok
  }

  private static let kept = 1 << 16

  private static func write(
    _ sink: UnsafePointer<farebox_plugin_sink>?, _ bytes: UnsafeRawPointer?, _ count: Int
  ) -> farebox_plugin_answer {
    guard let context = unsafe sink?.pointee.context else { return PluginAnswer.invalidInput }
    return unsafe append(context.assumingMemoryBound(to: State.self), bytes, count)
  }

  private static func append(
    _ state: UnsafeMutablePointer<State>, _ bytes: UnsafeRawPointer?, _ count: Int
  ) -> farebox_plugin_answer {
    guard count != 0 else { return unsafe state.pointee.isFull ? PluginAnswer.full : PluginAnswer.ok }
    guard let bytes = unsafe bytes, count > 0 else { return PluginAnswer.invalidInput }
    let start = unsafe state.pointee.count
    guard unsafe !state.pointee.isFull, unsafe count <= state.pointee.limit - start else { return unsafe full(state) }
    let end = start + count
    if unsafe end > state.pointee.capacity, unsafe !grow(state, to: end) { return unsafe full(state) }
    guard let target = unsafe state.pointee.bytes else { return PluginAnswer.full }
    unsafe (target + start).copyMemory(from: bytes, byteCount: count)
    unsafe state.pointee.count = end
    return PluginAnswer.ok
  }

  @inline(never)
  private static func full(_ state: UnsafeMutablePointer<State>) -> farebox_plugin_answer {
    // A closed sink has no limit, and a call that is over is nobody's business any more.
    if unsafe !state.pointee.isFull, unsafe state.pointee.limit > 0 {
      unsafe state.pointee.isFull = true
      unsafe state.pointee.whenFull?()
    }
    return PluginAnswer.full
  }

  /// Makes room; false where there is no memory.
  @inline(never)
  private static func grow(_ state: UnsafeMutablePointer<State>, to needed: Int) -> Bool {
    let doubled = unsafe state.pointee.capacity.multipliedReportingOverflow(by: 2)
    let capacity = max(needed, doubled.overflow ? needed : doubled.partialValue, 256)
    guard let bytes = unsafe realloc(state.pointee.bytes, capacity) else { return false }
    unsafe state.pointee.bytes = bytes
    unsafe state.pointee.capacity = capacity
    return true
  }
}
