internal import CWorker
internal import FareboxCore

/// Whose files are believed.
enum TrustedOwner {
  /// Those of root and of the user that this process runs as.
  case rootOrSelf
  /// Those of root.
  case root

  func accepts(_ owner: UInt32) -> Bool {
    owner == 0 || (self == .rootOrSelf && owner == geteuid())
  }

  var description: String { self == .root ? "root" : "root or the user of this process" }
}

/// An open folder that nobody else can change, nor anything on the way to it.
///
/// It is reached from the root one name at a time, by descriptor and without following a link: what was looked at is what
/// is used. Every folder on the way belongs to root or to the user of this process. None may be writable by its group or
/// by others, but for folders above the base that have the sticky bit, as /tmp has: there nobody else can rename or remove
/// what is ours.
struct TrustedFolder: ~Copyable {
  /// Opened for looking and for opening what is in it, and not for reading.
  let file: OpenedFile
  let path: String
  /// From this folder on nobody else may write, whatever bits there are.
  private let base: String
  private let owner: TrustedOwner

  /// Opens a folder by its absolute path.
  ///
  /// - Parameter base: the folder itself or one above it, such as a directory that a policy allows; nil is the folder.
  /// - Throws: `pluginNotFound` where there is none, `pluginUntrusted` where somebody else could change it.
  init(_ path: String, below base: String? = nil, owner: TrustedOwner = .rootOrSelf) throws(Failure) {
    guard FilePath.isAbsolute(path) else {
      throw Failure(.invalidArgument, "'\(path)' is not an absolute path without . and ..")
    }
    let steps = path == "/" ? [] : FilePath.steps(String(path.dropFirst())).map(String.init)
    var folder = try TrustedFolder(in: AT_FDCWD, name: "/", path: "/", base: base ?? path, owner: owner)
    for name in steps { folder = try folder.folder(name) }
    self = folder
  }

  private init(
    in descriptor: Int32, name: String, path: String, base: String, owner: TrustedOwner
  ) throws(Failure) {
    let opened = unsafe farebox_open_folder(descriptor, name)
    guard opened >= 0 else { throw TrustedFolder.failure(SystemError.last, path, "a folder") }
    let file = OpenedFile(opened)
    let facts = try file.facts(path)
    let isSticky = facts.mode & 0o1000 != 0
    try TrustedFolder.check(facts, path, owner, allowsWriting: isSticky && !FilePath.isCovered(path, by: [base]))
    self.file = file
    self.path = path
    self.base = base
    self.owner = owner
  }

  private func folder(_ name: String) throws(Failure) -> TrustedFolder {
    let path = path == "/" ? "/\(name)" : "\(path)/\(name)"
    return try TrustedFolder(in: file.descriptor, name: name, path: path, base: base, owner: owner)
  }

  /// Opens a file below the folder for reading, nil where there is none. Each folder on the way is checked as this one was.
  ///
  /// - Parameter relative: a path that `FilePath.isRelative` accepts.
  /// - Throws: `pluginUntrusted` for a link, for what is not a regular file, and where somebody else could change it.
  func open(_ relative: String) throws(Failure) -> OpenedFile? {
    var steps = FilePath.steps(relative).map(String.init)
    let name = steps.removeLast()
    guard let first = steps.first else { return try openFile(name) }
    let rest = steps.dropFirst() + [name]
    let inner: TrustedFolder
    do throws(Failure) {
      inner = try folder(first)
    } catch {
      guard error.status != .pluginNotFound else { return nil }
      throw error
    }
    return try inner.open(rest.joined(separator: "/"))
  }

  private func openFile(_ name: String) throws(Failure) -> OpenedFile? {
    let path = path == "/" ? "/\(name)" : "\(path)/\(name)"
    let opened = unsafe farebox_open_file(file.descriptor, name)
    guard opened >= 0 else {
      let error = SystemError.last
      guard error.code != ENOENT else { return nil }
      throw TrustedFolder.failure(error, path, "a regular file")
    }
    let file = OpenedFile(opened)
    let facts = try file.facts(path)
    guard facts.is_regular != 0 else { throw Failure(.pluginUntrusted, "'\(path)' is not a regular file") }
    try TrustedFolder.check(facts, path, owner, allowsWriting: false)
    return file
  }

  private static func check(
    _ facts: farebox_file_facts, _ path: String, _ owner: TrustedOwner, allowsWriting: Bool
  ) throws(Failure) {
    guard owner.accepts(facts.owner) else {
      throw Failure(
        .pluginUntrusted, "'\(path)' belongs to the user \(facts.owner), and not to \(owner.description)")
    }
    guard allowsWriting || facts.mode & 0o022 == 0 else {
      let who = facts.mode & 0o002 != 0 ? "everybody" : "its group"
      throw Failure(.pluginUntrusted, "'\(path)' is writable by \(who): take that away with chmod go-w")
    }
  }

  private static func failure(_ error: SystemError, _ path: String, _ what: String) -> Failure {
    switch error.code {
    case ENOENT: Failure(.pluginNotFound, "'\(path)' is not there")
    case ELOOP, ENOTDIR, ENXIO: Failure(.pluginUntrusted, "'\(path)' is not \(what); links are not followed")
    case EACCES, EPERM: Failure(.pluginUntrusted, "'\(path)' may not be opened: \(error.text)")
    default: error.failure(path, "cannot be opened")
    }
  }
}
