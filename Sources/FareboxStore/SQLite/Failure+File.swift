internal import FareboxCore
internal import Glibc

extension Failure {
  /// What `errno` says after a call on a file of the ledger's has failed.
  static func ofFile(_ doing: String, _ path: String) -> Failure {
    let code = errno
    let status = Status.ofFile(code) ?? .storeIO
    return Failure(status, "\(status.fileReason)Error \(code) while \(doing) '\(path)'.")
  }
}

extension Status {
  /// What an error number of the system means for a file, or nil where it does not say more than that it failed.
  static func ofFile(_ code: Int32) -> Status? {
    switch code {
    case ENOSPC, EDQUOT, EFBIG: .storeFull
    case EROFS: .storeReadOnly
    case EACCES, EPERM: .storeDenied
    default: nil
    }
  }

  /// The sentence that a message about a file begins with.
  var fileReason: String {
    switch self {
    case .storeFull: "The disk is full; free some space. "
    case .storeReadOnly: "The ledger can only be read. "
    case .storeDenied: "This process has no permission. "
    case .storeBusy: "Another process held the ledger for longer than the busy timeout. "
    case .storeCorrupt: "The file is damaged or is not a ledger. "
    default: ""
    }
  }
}
