internal import CWorker
internal import Glibc

/// The descriptors that are made for a worker before it starts.
struct SpawnParts {
  private(set) var socket: (ours: Int32, theirs: Int32) = (-1, -1)
  private(set) var lifeline: (ours: Int32, theirs: Int32) = (-1, -1)
  private(set) var page: Int32 = -1
  private(set) var event: Int32 = -1
  private var image: Int32 = -1

  /// Makes them and starts the program; its process id, or the negated number of the error.
  mutating func start(_ program: String, _ image: Int32, _ environment: [String]) -> Int64 {
    guard make(image) else { return Int64(-farebox_last_error()) }
    let texts = unsafe environment.map { unsafe strdup($0) }
    defer { unsafe texts.forEach { unsafe free($0) } }
    return unsafe (texts + [nil]).withUnsafeBufferPointer { list in
      unsafe program.withCString { path in
        var args = unsafe farebox_spawn_args(
          path: path, environment: list.baseAddress, socket: socket.theirs, page: page, image: self.image,
          lifeline: lifeline.theirs)
        return unsafe farebox_spawn_worker(&args)
      }
    }
  }

  private mutating func make(_ image: Int32) -> Bool {
    guard unsafe farebox_make_channel(&socket.ours, &socket.theirs) == 0,
      unsafe farebox_make_lifeline(&lifeline.ours, &lifeline.theirs) == 0
    else { return false }
    page = farebox_make_page()
    event = farebox_make_event()
    self.image = farebox_copy_descriptor(image)
    return page >= 0 && event >= 0 && self.image >= 0
  }

  /// Closes what only the worker needs.
  mutating func closeTheirs() {
    for descriptor in [socket.theirs, lifeline.theirs, image] where descriptor >= 0 { close(descriptor) }
  }

  mutating func closePage() {
    if page >= 0 { close(page) }
  }

  /// Closes the rest, where nothing came of it.
  mutating func closeOurs() {
    closePage()
    for descriptor in [socket.ours, lifeline.ours, event] where descriptor >= 0 { close(descriptor) }
  }
}
