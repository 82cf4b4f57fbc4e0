internal import FareboxCore
internal import Glibc
internal import Synchronization

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
    guard let handle = unsafe dlopen(SharedObject.path(image), RTLD_NOW | RTLD_LOCAL) else {
      let text = unsafe dlerror().map { unsafe String(cString: $0) } ?? "no reason given"
      throw Failure(.pluginBroken, "The plugin cannot be loaded: \(text.prefix(512)).")
    }
    unsafe self.handle = handle
  }

  private static let loads = Atomic<UInt32>(0)

  /// A path that leads to a descriptor, and that no load before had: for a path that it knows, the dynamic linker gives what
  /// it mapped then, and descriptors are numbered again. The count stands in it as one or two slashes for each bit.
  private static func path(_ image: Int32) -> String {
    let count = loads.wrappingAdd(1, ordering: .relaxed).newValue
    let bits = (0..<UInt32.bitWidth - count.leadingZeroBitCount).map { count >> UInt32($0) & 1 == 0 ? "./" : ".//" }
    return "/proc/self/fd/\(bits.joined())\(image)"
  }

  /// The address of a symbol, or nil.
  func symbol(_ name: String) -> UnsafeMutableRawPointer? {
    unsafe dlsym(handle, name)
  }
}
