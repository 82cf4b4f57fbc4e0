internal import CWorker
internal import FareboxCore

/// What the kernel said no with.
struct SystemError {
  let code: Int32

  /// That of the call just made on this thread.
  static var last: SystemError { SystemError(code: farebox_last_error()) }

  var text: String { unsafe String(cString: farebox_error_text(code)) }

  /// A failure of the machine, not of the file: the same may work later.
  func failure(_ path: String, _ what: String) -> Failure {
    Failure(.pluginUnavailable, "'\(path)' \(what): \(text)")
  }
}

/// A descriptor of a folder or file that was opened without following a link, closed with its owner.
struct OpenedFile: ~Copyable {
  let descriptor: Int32

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
  }

  /// What the descriptor says of its file.
  func facts(_ path: String) throws(Failure) -> farebox_file_facts {
    var facts = farebox_file_facts()
    guard unsafe farebox_inspect_file(descriptor, &facts) == 0 else {
      throw SystemError.last.failure(path, "cannot be looked at")
    }
    return facts
  }

  /// Reads on into a buffer; 0 at the end.
  func read(into buffer: inout [UInt8], path: String) throws(Failure) -> Int {
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe CWorker.read(descriptor, bytes.baseAddress, bytes.count)
      }
      if count >= 0 { return count }
      let error = SystemError.last
      guard error.code == EINTR else { throw error.failure(path, "cannot be read") }
    }
  }

  /// All that is left of a file, or nil where it is more than `limit` bytes.
  func bytes(limit: Int, path: String) throws(Failure) -> [UInt8]? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = try read(into: &buffer, path: path)
      guard count > 0 else { return bytes }
      guard bytes.count + count <= limit else { return nil }
      bytes += buffer[..<count]
    }
  }

  deinit {
    close(descriptor)
  }
}
