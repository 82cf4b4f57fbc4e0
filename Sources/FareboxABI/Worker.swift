internal import CFarebox
internal import FareboxPlugins

@_cdecl("farebox_worker_main") @implementation
public func farebox_worker_main(
  _ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
  PluginWorker.main().rawValue
}
