internal import CSQLite
internal import FareboxCore

/// Which file a path named when it was opened.
///
/// A file that was removed or replaced goes on taking what is written, and loses it when it is closed.
struct OpenFile {
  private let path: String
  private let device: UInt64
  private let number: UInt64

  init(_ path: String) throws(Failure) {
    self.path = path
    guard let found = OpenFile.find(path) else {
      throw Failure(.storeIO, "The file '\(path)' was not found after it was opened.")
    }
    (device, number) = found
  }

  func check() throws(Failure) {
    guard let found = OpenFile.find(path), found == (device, number) else {
      throw Failure(.storeUntrusted, "The file '\(path)' was removed or replaced while it was open.")
    }
  }

  private static func find(_ path: String) -> (UInt64, UInt64)? {
    var device: UInt64 = 0
    var number: UInt64 = 0
    guard unsafe farebox_identify_file(path, &device, &number) == 1 else { return nil }
    return (device, number)
  }
}
