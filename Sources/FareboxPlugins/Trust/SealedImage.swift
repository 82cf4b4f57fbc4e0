internal import CWorker
package import Farebox
internal import FareboxCore

/// A copy of a file in memory that nothing can change any more, and the digest of exactly its bytes.
///
/// The digest is taken after the copy is sealed, so that what was checked is what the descriptor gives, whatever happens
/// to the file.
package final class SealedImage: Sendable {
  /// Open until the image is gone; a loader maps it through /proc/self/fd.
  package let descriptor: Int32
  package let digest: Digest
  /// Where the file lay.
  package let path: String

  /// Bytes of a shared object.
  static let largest: Int64 = 512 << 20

  /// Copies an open file, from its beginning.
  ///
  /// - Throws: `pluginUntrusted` for a file that is too large, `pluginUnavailable` where the machine
  ///   cannot do it.
  init(copying file: borrowing OpenedFile, path: String) throws(Failure) {
    let image = unsafe farebox_create_image("farebox-plugin")
    guard image >= 0 else { throw SystemError.last.failure(path, "cannot be copied into memory") }
    do throws(Failure) {
      try SealedImage.copy(file, to: image, path: path)
      guard farebox_seal_image(image) == 0 else { throw SystemError.last.failure(path, "cannot be sealed in memory") }
      digest = try SealedImage.hash(image, path: path)
    } catch {
      close(image)
      throw error
    }
    descriptor = image
    self.path = path
  }

  private static let chunk = 1 << 18

  private static func copy(_ file: borrowing OpenedFile, to image: Int32, path: String) throws(Failure) {
    var copied: Int64 = 0
    var buffer = [UInt8](repeating: 0, count: chunk)
    while true {
      let count = try file.read(into: &buffer, path: path)
      guard count > 0 else { return }
      copied += Int64(count)
      guard copied <= largest else {
        throw Failure(.pluginUntrusted, "'\(path)' is larger than \(largest) bytes")
      }
      var written = 0
      while written < count {
        let step = unsafe buffer.withUnsafeBytes { bytes in
          unsafe write(image, UnsafeRawBufferPointer(rebasing: bytes[written..<count]).baseAddress, count - written)
        }
        if step < 0, farebox_last_error() == EINTR { continue }
        guard step > 0 else { throw SystemError.last.failure(path, "cannot be copied into memory") }
        written += step
      }
    }
  }

  private static func hash(_ image: Int32, path: String) throws(Failure) -> Digest {
    var hasher = SHA256Hasher()
    var buffer = [UInt8](repeating: 0, count: chunk)
    var offset: off_t = 0
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes { unsafe pread(image, $0.baseAddress, $0.count, offset) }
      if count < 0, farebox_last_error() == EINTR { continue }
      guard count >= 0 else { throw SystemError.last.failure(path, "cannot be read from memory") }
      guard count > 0 else { return hasher.finish() }
      hasher.update(buffer.span.extracting(0..<count))
      offset += off_t(count)
    }
  }

  deinit {
    close(descriptor)
  }
}
