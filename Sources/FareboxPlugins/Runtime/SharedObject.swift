internal import FareboxCore
internal import Glibc

/// Code that was mapped from a descriptor and stays mapped as long as the process.
///
/// Nothing is unloaded, because threads, destructors and pointers that a plugin has left behind may lead into it.
@safe
struct SharedObject: @unchecked Sendable {
  // Sound because the handle is never closed.
  private let handle: UnsafeMutableRawPointer

  /// Maps an image with all that it needs; its constructors run.
  ///
  /// - Throws: `pluginBroken` with what the dynamic linker says.
  init(image: Int32) throws(Failure) {
    guard let handle = unsafe dlopen("/proc/self/fd/\(image)", RTLD_NOW | RTLD_LOCAL) else {
      let text = unsafe dlerror().map { unsafe String(cString: $0) } ?? "no reason given"
      throw Failure(.pluginBroken, "The plugin cannot be loaded: \(text.prefix(512)).")
    }
    unsafe self.handle = handle
  }

  /// The address of a symbol, or nil.
  func symbol(_ name: String) -> UnsafeMutableRawPointer? {
    unsafe dlsym(handle, name)
  }
}
