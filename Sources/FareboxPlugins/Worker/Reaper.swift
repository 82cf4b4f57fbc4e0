internal import CWorker
internal import Farebox

/// Takes the endings of processes that were killed and took longer to go than anybody could wait.
enum Reaper {
  private static let buried = Lock<[(process: Int32, descriptor: Int32)]>([])

  /// Leaves a killed process to a later sweep.
  static func bury(_ process: Int32, _ descriptor: Int32) {
    buried.withLock { $0.append((process, descriptor)) }
  }

  /// Takes what has ended in the meantime.
  static func sweep() {
    buried.withLock { buried in
      buried.removeAll { grave in
        var ending = farebox_ending()
        guard unsafe farebox_look_at_process(grave.process, grave.descriptor, 1, &ending) != 0 else { return false }
        HostDescriptors.close([grave.descriptor])
        return true
      }
    }
  }
}
