internal import CSQLite
internal import FareboxCore

/// A connection to one SQLite file, closed when it goes out of scope.
@safe
struct Database: ~Copyable {
  private let handle: OpaquePointer
  /// Pages in the log after the last commit, as SQLite's hook tells them.
  private let loggedPages: UnsafeMutablePointer<Int32>

  init(path: String, readOnly: Bool, mustExist: Bool, immutable: Bool = false) throws(Failure) {
    var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    flags |= readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE
    if !mustExist && !readOnly { flags |= SQLITE_OPEN_CREATE }
    if immutable { flags |= SQLITE_OPEN_URI }
    var opened: OpaquePointer?
    let code = unsafe sqlite3_open_v2(immutable ? Database.immutableURI(path) : path, &opened, flags, nil)
    guard code == SQLITE_OK, let opened = unsafe opened else {
      let number = unsafe sqlite3_system_errno(opened)
      unsafe sqlite3_close_v2(opened)
      throw code & 0xff == SQLITE_CANTOPEN && mustExist && Status.ofFile(number) == nil
        ? Failure(.storeNotFound, field: "url", "There is no ledger at '\(path)'.")
        : Database.failure(code, "opening the ledger", path, number)
    }
    unsafe handle = opened
    unsafe loggedPages = .allocate(capacity: 1)
    unsafe loggedPages.initialize(to: 0)
    // In the place of SQLite's own checkpoints, which keep to themselves that a flush has failed.
    unsafe sqlite3_wal_hook(
      handle,
      { context, _, _, pages in
        unsafe context?.assumingMemoryBound(to: Int32.self).pointee = pages
        return SQLITE_OK
      }, loggedPages)
    checkpointsOnClose(false)
  }

  /// A path as SQLite's own kind of address, which says that nobody changes the file.
  private static func immutableURI(_ path: String) -> String {
    var uri = "file:"
    for byte in path.utf8 {
      let character = Character(Unicode.Scalar(byte))
      if byte < 0x80, character.isLetter || character.isNumber || "/._-".contains(character) {
        uri.append(character)
      } else {
        uri += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return uri + "?immutable=1"
  }

  /// Whether closing copies the log into the file, where this is the last connection. Not before the log is known to be
  /// on the disk: the power may go in the middle of it.
  func checkpointsOnClose(_ does: Bool) {
    _ = unsafe farebox_sqlite_checkpoints_on_close(handle, does ? 1 : 0)
  }

  /// The paths of the file and of its write-ahead log; none for a database in memory.
  var paths: [String] {
    guard let file = unsafe sqlite3_db_filename(handle, "main"), unsafe file.pointee != 0,
      let log = unsafe sqlite3_filename_wal(file)
    else { return [] }
    return unsafe [String(cString: file), String(cString: log)]
  }

  deinit {
    unsafe sqlite3_close_v2(handle)
    unsafe loggedPages.deallocate()
  }

  /// Copies the log into the file where it has grown beyond a number of pages and no reader stands in the way.
  func checkpoint(beyond pages: Int32) throws(Failure) {
    guard unsafe loggedPages.pointee >= pages else { return }
    unsafe loggedPages.pointee = 0
    let code = unsafe sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
    guard code == SQLITE_OK || code & 0xff == SQLITE_BUSY || code & 0xff == SQLITE_LOCKED else {
      throw unsafe Database.failure(code, "copying the log into the file", handle)
    }
  }

  func setBusyTimeout(milliseconds: Int32) {
    unsafe sqlite3_busy_timeout(handle, milliseconds)
  }

  func execute(_ sql: String) throws(Failure) {
    let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw unsafe Database.failure(code, "executing a statement", handle) }
  }

  /// Whether a transaction is open.
  var inTransaction: Bool {
    unsafe sqlite3_get_autocommit(handle) == 0
  }

  func prepare(_ sql: String) throws(Failure) -> Statement {
    var statement: OpaquePointer?
    let code = unsafe sqlite3_prepare_v3(
      handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement = unsafe statement else {
      throw unsafe Database.failure(code, "preparing a statement", handle)
    }
    return unsafe Statement(statement)
  }

  /// The failure of a result code of a connection.
  @unsafe
  static func failure(_ code: Int32, _ doing: String, _ handle: OpaquePointer?) -> Failure {
    guard let handle = unsafe handle else { return failure(code, doing, "", 0) }
    let path = unsafe sqlite3_db_filename(handle, "main").map { unsafe String(cString: $0) }
    return unsafe failure(code, doing, path ?? "", sqlite3_system_errno(handle))
  }

  /// The failure of a result code; primary codes decide, extended ones are told.
  ///
  /// - Parameter number: the system's error number, where SQLite could not open, read or write.
  private static func failure(_ code: Int32, _ doing: String, _ path: String, _ number: Int32) -> Failure {
    let file = path.isEmpty ? "" : " in '\(path)'"
    // What the kernel could not write it may have forgotten: a later fsync can succeed without it.
    if code == farebox_sqlite_ioerr_fsync || code == farebox_sqlite_ioerr_dir_fsync {
      return Failure(.storeUntrusted, "The disk failed to flush (SQLite error \(code)) while \(doing)\(file).")
    }
    let status: Status =
      switch code & 0xff {
      case SQLITE_BUSY, SQLITE_LOCKED: .storeBusy
      case SQLITE_FULL: .storeFull
      case SQLITE_CORRUPT, SQLITE_NOTADB: .storeCorrupt
      case SQLITE_READONLY: .storeReadOnly
      case SQLITE_NOMEM: .noMemory
      case SQLITE_IOERR, SQLITE_CANTOPEN: Status.ofFile(number) ?? .storeIO
      default: .storeIO
      }
    return Failure(status, "\(status.fileReason)SQLite error \(code) while \(doing)\(file).")
  }
}

/// A prepared statement, finalized when it goes out of scope.
@safe
struct Statement: ~Copyable {
  private let handle: OpaquePointer

  @unsafe
  init(_ handle: OpaquePointer) {
    unsafe self.handle = handle
  }

  deinit {
    unsafe sqlite3_finalize(handle)
  }

  func bind(_ value: Int64, at index: Int32) {
    unsafe sqlite3_bind_int64(handle, index, value)
  }

  /// Binds bytes that the caller keeps until the statement is reset.
  func bind(_ bytes: UnsafeRawBufferPointer, at index: Int32) throws(Failure) {
    // An empty blob must not be a null.
    guard let base = bytes.baseAddress, bytes.count > 0 else {
      unsafe sqlite3_bind_zeroblob(handle, index, 0)
      return
    }
    let code = unsafe sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), nil)
    guard code == SQLITE_OK else { throw failure(code, "binding a value") }
  }

  func bind(_ text: String, at index: Int32) throws(Failure) {
    var text = text
    let code = text.withUTF8 { utf8 in
      // SQLITE_TRANSIENT: SQLite copies, because the string goes out of scope first.
      let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
      return unsafe utf8.withMemoryRebound(to: CChar.self) { characters in
        unsafe sqlite3_bind_text(handle, index, characters.baseAddress, Int32(clamping: characters.count), transient)
      }
    }
    guard code == SQLITE_OK else { throw failure(code, "binding a text") }
  }

  /// Advances to the next row; false at the end.
  func step() throws(Failure) -> Bool {
    switch unsafe sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let code:
      // Before the reset, which may use the files.
      let failure = failure(code, "running a statement")
      unsafe sqlite3_reset(handle)
      throw failure
    }
  }

  private func failure(_ code: Int32, _ doing: String) -> Failure {
    unsafe Database.failure(code, doing, sqlite3_db_handle(handle))
  }

  /// Runs a statement that returns no row, and makes it ready for the next run.
  func run() throws(Failure) {
    _ = try step()
    reset()
  }

  func reset() {
    unsafe sqlite3_reset(handle)
  }

  func int64(_ column: Int32) -> Int64 {
    unsafe sqlite3_column_int64(handle, column)
  }

  /// Compares a row's sum with the one that was written with it; a row of an old layout has none.
  func check(_ sum: Int64, at column: Int32, _ table: String) throws(Failure) {
    guard unsafe sqlite3_column_type(handle, column) != SQLITE_NULL else { return }
    guard int64(column) == sum else {
      throw Failure(.storeCorrupt, "A row of the table \(table) is not what was written.")
    }
  }

  /// The bytes of a column, valid until the next step or reset.
  func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
    let base = unsafe sqlite3_column_blob(handle, column)
    return unsafe UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, column)))
  }
}
