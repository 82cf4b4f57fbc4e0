internal import FareboxCore
internal import Glibc

extension Failure {
  /// What `errno` says after a call on a file of the ledger's has failed.
  static func ofFile(_ doing: String) -> Failure {
    let status: Status =
      switch errno {
      case ENOSPC, EDQUOT: .storeFull
      case EACCES, EROFS: .storeReadOnly
      default: .storeIO
      }
    return Failure(status, "Error \(errno) while \(doing).")
  }
}
