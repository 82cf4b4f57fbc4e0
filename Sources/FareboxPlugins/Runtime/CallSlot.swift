internal import CFareboxPlugin
internal import CWorker
internal import FareboxCore

/// What a plugin's functions reach while it is in a call, made once for an instance and filled for each call.
///
/// It lives as long as the instance, so that a thread of the plugin that uses a call after its end finds it closed.
@safe
package final class CallSlot {
  /// What the services find behind the `context` of a call.
  @unsafe struct State {
    /// 1 once the call is to stop; read by any thread of the plugin.
    var cancelWord: UnsafeMutablePointer<UInt32>?
    /// When the call counts as cancelled, by the steady clock; only where nobody else watches the time.
    var softDeadline = Int64.max
    var isOpen = false
    /// Millionths, or atomic units of `value`, by the number of the meter.
    var usage = InlineArray<11, Int64>(repeating: 0)
    var present = MeterSet()
    /// Meters that the host measures itself.
    var measured = MeterSet()
    var store: StoreSession?
  }

  let call: UnsafeMutablePointer<farebox_plugin_call>
  package let output = Sink()
  let store: StoreSession?
  let error = Sink()
  private let state: UnsafeMutablePointer<State>
  /// Always 1: what a call that is over reads.
  private let ended: UnsafeMutablePointer<UInt32>

  /// - Parameter store: nil where the plugin was not granted one.
  init(store: StoreSession?) {
    self.store = store
    unsafe ended = .allocate(capacity: 1)
    unsafe ended.initialize(to: 1)
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State(cancelWord: ended, store: store))
    unsafe call = .allocate(capacity: 1)
    unsafe call.initialize(to: farebox_plugin_call())
    unsafe call.pointee.struct_size = UInt32(MemoryLayout<farebox_plugin_call>.size)
    unsafe call.pointee.output = UnsafePointer(output.pointer)
    unsafe call.pointee.error = UnsafePointer(error.pointer)
    unsafe call.pointee.context = UnsafeMutableRawPointer(state)
  }

  deinit {
    unsafe call.deallocate()
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
    unsafe ended.deallocate()
  }

  /// Opens the slot for a call. What the request borrows must stay until `close`.
  @inline(__always)
  func open(_ request: borrowing BorrowedCall, measured: MeterSet) {
    unsafe call.pointee.tool = request.tool
    unsafe call.pointee.input = request.input
    unsafe call.pointee.account = request.account
    unsafe call.pointee.run = request.run
    unsafe call.pointee.call = request.call
    unsafe call.pointee.deadline = request.deadline
    unsafe output.open(limit: request.outputLimit)
    error.open(limit: Limits.pluginSentence)
    if unsafe !state.pointee.present.isEmpty {
      unsafe state.pointee.usage = InlineArray(repeating: 0)
      unsafe state.pointee.present = MeterSet()
    }
    unsafe state.pointee.measured = measured
    unsafe state.pointee.softDeadline = request.softDeadline
    unsafe farebox_pointer_store(&state.pointee.cancelWord, request.cancelWord)
    unsafe state.pointee.isOpen = true
  }

  /// Ends the call: its meter and store answer no more. The sinks keep what is in them.
  @inline(__always)
  func close() {
    unsafe state.pointee.isOpen = false
    unsafe farebox_pointer_store(&state.pointee.cancelWord, ended)
  }

  /// What the call has set in its plugin's store.
  var writes: [(key: String, value: [UInt8]?)] { store?.writes ?? [] }

  /// What the plugin added to meters.
  var usage: [(meter: Meter, micro: Int64)] {
    unsafe state.pointee.present.meters.map { meter in
      (meter, unsafe state.pointee.usage[Int(meter.rawValue)])
    }
  }

  /// The plugin's sentence about why it failed.
  var sentence: String {
    unsafe String(decoding: error.written, as: UTF8.self)
  }

  // MARK: Services

  /// Whether the call is to stop; any thread.
  static func isCancelled(_ call: UnsafePointer<farebox_plugin_call>?) -> Int32 {
    guard let state = unsafe state(of: call) else { return 1 }
    guard let word = unsafe farebox_pointer_load(&state.pointee.cancelWord) else { return 1 }
    guard unsafe farebox_word_load(word) == 0 else { return 1 }
    let softDeadline = unsafe state.pointee.softDeadline
    return softDeadline != .max && farebox_worker_steady_clock() >= softDeadline ? 1 : 0
  }

  /// The state of a call that is under way, or nil.
  static func openState(_ call: UnsafePointer<farebox_plugin_call>?) -> UnsafeMutablePointer<State>? {
    guard let state = unsafe state(of: call), unsafe state.pointee.isOpen else { return nil }
    return unsafe state
  }

  private static func state(of call: UnsafePointer<farebox_plugin_call>?) -> UnsafeMutablePointer<State>? {
    unsafe call?.pointee.context?.assumingMemoryBound(to: State.self)
  }
}

/// A call whose texts and input somebody else keeps until it is over.
@unsafe
package struct BorrowedCall: ~Copyable {
  let tool: farebox_plugin_str
  let input: farebox_plugin_str
  var account = unsafe farebox_plugin_str()
  var run = unsafe farebox_plugin_str()
  var call = unsafe farebox_plugin_str()
  /// By the steady clock.
  var deadline = Int64.max
  /// When the call counts as cancelled; `.max` where somebody else raises the word in time.
  var softDeadline = Int64.max
  let outputLimit: Int
  let cancelWord: UnsafeMutablePointer<UInt32>

  package init(
    tool: UnsafeRawBufferPointer, input: UnsafeRawBufferPointer, outputLimit: Int,
    cancelWord: UnsafeMutablePointer<UInt32>
  ) {
    unsafe self.tool = farebox_plugin_str(tool)
    unsafe self.input = farebox_plugin_str(input)
    unsafe self.outputLimit = outputLimit
    unsafe self.cancelWord = cancelWord
  }
}

extension farebox_plugin_str {
  /// Borrows bytes.
  init(_ bytes: UnsafeRawBufferPointer) {
    unsafe self = farebox_plugin_str(ptr: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), len: bytes.count)
  }

  /// The bytes, none where the text is absent.
  var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: ptr, count: ptr == nil ? 0 : len)
  }
}
