internal import CFarebox
internal import Farebox
internal import FareboxCore
internal import Glibc

/// Runs the body of an exported function and turns what it throws into a status and an error.
func answer(
  _ target: UnsafeMutablePointer<farebox_error>?, _ body: () throws(Failure) -> Void
) -> farebox_status {
  do throws(Failure) {
    try body()
    return Status.ok.rawValue
  } catch {
    unsafe fill(target, with: error)
    return error.status.rawValue
  }
}

/// Writes a failure into the caller's error, if it gave one of a size that we know.
private func fill(_ target: UnsafeMutablePointer<farebox_error>?, with failure: Failure) {
  guard let target = unsafe target, unsafe target.pointee.struct_size == UInt32(MemoryLayout<farebox_error>.size)
  else { return }
  unsafe target.pointee.status = failure.status.rawValue
  unsafe target.pointee.retryable = failure.status.entry?.retryable == true ? 1 : 0
  _ = unsafe copy(failure.field, into: &target.pointee.field, cuts: true)
  _ = unsafe copy(failure.message, into: &target.pointee.message, cuts: true)
  let details = failure.details.isNull ? "" : failure.details.serialized()
  // Half a JSON text is none.
  unsafe target.pointee.details_len = UInt32(copy(details, into: &target.pointee.details, cuts: false))
  unsafe target.pointee.refusal = failure.refusal == nil ? 0 : 1
  _ = unsafe copy(failure.userMessage, into: &target.pointee.user_message, cuts: true)
}

/// Copies a text and a NUL into a field of fixed size; returns the bytes of text.
private func copy<Field: BitwiseCopyable>(_ text: String, into field: inout Field, cuts: Bool) -> Int {
  var text = text
  return text.withUTF8 { utf8 in
    unsafe withUnsafeMutableBytes(of: &field) { bytes in
      var count = utf8.count
      if count >= bytes.count {
        count = cuts ? bytes.count - 1 : 0
        // Not in the middle of a character: continuation bytes begin with the bits 10.
        while count > 0, unsafe utf8[count] & 0xc0 == 0x80 { count -= 1 }
      }
      for index in 0..<count { unsafe bytes[index] = unsafe utf8[index] }
      unsafe bytes[count] = 0
      return count
    }
  }
}

extension farebox_receipt {
  /// Writes a receipt; the struct size stays the caller's.
  mutating func fill(_ receipt: Receipt) {
    status = Status.ok.rawValue
    flags =
      (receipt.isReplayed ? UInt32(FAREBOX_RECEIPT_REPLAYED) : 0)
      | (receipt.isUncommitted ? UInt32(FAREBOX_RECEIPT_UNCOMMITTED) : 0)
      | (receipt.isFinal ? UInt32(FAREBOX_RECEIPT_FINAL) : 0)
      | (receipt.isCapped ? UInt32(FAREBOX_RECEIPT_CAPPED) : 0)
      | (receipt.isUnreported ? UInt32(FAREBOX_RECEIPT_UNREPORTED) : 0)
      | (receipt.isReleased ? UInt32(FAREBOX_RECEIPT_RELEASED) : 0)
    reserved0 = 0
    id = receipt.id
    hold = receipt.hold
    amount = receipt.amount
    hold_remaining = receipt.holdRemaining
    balance = receipt.balance
    available = receipt.available
    time = receipt.time
    price_version = receipt.priceVersion
    shortfall = receipt.shortfall
    setCode(&asset, receipt.assetCode)
  }
}

/// Writes an asset's code into a field of 24 characters.
func setCode<Field: BitwiseCopyable>(_ field: inout Field, _ code: InlineArray<24, UInt8>) {
  unsafe withUnsafeMutableBytes(of: &field) { bytes in
    unsafe withUnsafeBytes(of: code) { source in
      unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: source.prefix(bytes.count)))
    }
  }
}

/// Gives a text to the caller, who releases it with `farebox_text_free`.
func give(_ text: String, to out: UnsafeMutablePointer<farebox_text>?) throws(Failure) {
  var text = text
  let given: Result<Void, Failure> = text.withUTF8 { utf8 in
    do throws(Failure) {
      return .success(try unsafe give(UnsafeRawBufferPointer(utf8), to: out))
    } catch {
      return .failure(error)
    }
  }
  try given.get()
}

/// Gives bytes to the caller, who releases them with `farebox_text_free`; a NUL follows them.
func give(_ bytes: UnsafeRawBufferPointer, to out: UnsafeMutablePointer<farebox_text>?) throws(Failure) {
  guard let out = unsafe out else { throw Failure(.invalidArgument, field: "out", "The pointer is null.") }
  guard let memory = unsafe malloc(bytes.count + 1) else {
    throw Failure(.noMemory, "There is no memory for the output.")
  }
  unsafe UnsafeMutableRawBufferPointer(start: memory, count: bytes.count).copyMemory(from: bytes)
  unsafe memory.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
  unsafe out.pointee = farebox_text(ptr: memory.assumingMemoryBound(to: CChar.self), len: bytes.count)
}
