package import FareboxCore

/// Lends the bytes of an array, with the thrown type kept.
package func withBytes<Result>(
  of array: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
  let outcome: Swift.Result<Result, Failure> = unsafe array.withUnsafeBytes { bytes in
    do throws(Failure) {
      return .success(try unsafe body(bytes))
    } catch {
      return .failure(error)
    }
  }
  return try outcome.get()
}
