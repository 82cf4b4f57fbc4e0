internal import CFFI
package import Farebox
package import FareboxCore
internal import Glibc
internal import Synchronization

/// What metered calls know of one thread: who pays, and what became of the last call.
package final class MeteringThread {
  private(set) var payer = OwnedText()
  private(set) var run = OwnedText()
  private var failure: Failure?
  private var receipt: Receipt?

  /// Gives each payer of each thread a number of its own; 0 is nobody.
  private static let payers = Atomic<UInt64>(0)

  /// The record that the thread has, made where it has none.
  static var current: MeteringThread {
    if let known { return known }
    let made = MeteringThread()
    let record = unsafe Unmanaged.passRetained(made).toOpaque()
    unsafe farebox_thread_metering().pointee.record = record
    // Its value is what calls the destructor at the end of the thread.
    if let key { unsafe pthread_setspecific(key, record) }
    return made
  }

  private static var known: MeteringThread? {
    guard let record = unsafe farebox_thread_metering().pointee.record else { return nil }
    return unsafe Unmanaged<MeteringThread>.fromOpaque(record).takeUnretainedValue()
  }

  private static let key: pthread_key_t? = {
    var key = pthread_key_t()
    let code = unsafe pthread_key_create(&key) { record in
      guard let record = unsafe record else { return }
      unsafe farebox_thread_metering().pointee = farebox_metering()
      unsafe Unmanaged<MeteringThread>.fromOpaque(record).release()
    }
    return code == 0 ? key : nil
  }()

  // MARK: Who pays

  /// The number of who pays on the calling thread.
  static var payerNumber: UInt64 { unsafe farebox_thread_metering().pointee.payer }

  /// Names who pays on the calling thread, and the run that the calls belong to; an empty payer is nobody.
  package static func pay(_ payer: BorrowedText, run: BorrowedText) throws(Failure) {
    try check(payer, "payer", Limits.accountName)
    try check(run, "run", Limits.identifier)
    let thread = current
    if thread.payer.holds(payer), thread.run.holds(run) { return }
    thread.payer = OwnedText(payer)
    thread.run = OwnedText(run)
    let number = payer.isEmpty ? 0 : payers.add(1, ordering: .relaxed).newValue
    unsafe farebox_thread_metering().pointee.payer = number
  }

  private static func check(_ text: BorrowedText, _ field: String, _ limit: Int) throws(Failure) {
    guard text.count <= limit else {
      throw Failure(.tooLong, field: field, "It has at most \(limit) bytes.")
    }
    guard text.isText else { throw Failure(.invalidUTF8, field: field, "It is not UTF-8 text without NUL.") }
  }

  // MARK: The last call

  /// What became of the last metered call on the calling thread: a receipt where it was charged.
  package static var lastCall: Result<Receipt?, Failure> {
    guard unsafe farebox_thread_metering().pointee.is_plain == 0, let known else { return .success(nil) }
    if let failure = known.failure { return .failure(failure) }
    return .success(known.receipt)
  }

  /// Notes a call that was done and charged nothing; touches no memory but the thread's.
  static func noteDone() { unsafe farebox_thread_metering().pointee.is_plain = 1 }

  func note(_ receipt: Receipt?) {
    failure = nil
    self.receipt = receipt
    unsafe farebox_thread_metering().pointee.is_plain = 0
  }

  func note(_ failure: Failure) {
    self.failure = failure
    receipt = nil
    unsafe farebox_thread_metering().pointee.is_plain = 0
  }
}

/// A text of a caller, kept beyond the call.
@safe
package final class OwnedText: @unchecked Sendable {
  // Sound because the bytes are written once, in init, and only read afterwards.
  package let text: BorrowedText
  private let bytes: UnsafeMutablePointer<UInt8>

  package init(_ text: BorrowedText = .empty) {
    unsafe bytes = .allocate(capacity: max(1, text.count))
    let source = unsafe text.bytes
    for index in source.indices { unsafe bytes[index] = unsafe source[index] }
    unsafe self.text = BorrowedText(bytes, count: source.count)
  }

  func holds(_ other: BorrowedText) -> Bool {
    guard text.count == other.count, let base = unsafe other.bytes.baseAddress else { return other.count == text.count }
    return unsafe memcmp(bytes, base, text.count) == 0
  }

  deinit {
    unsafe bytes.deallocate()
  }
}
