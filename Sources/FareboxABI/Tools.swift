public import CFarebox
public import CFareboxPlugin
internal import Farebox
internal import FareboxCore
internal import FareboxPlugins

@_cdecl("farebox_register_plugin") @implementation
public func farebox_register_plugin(
  _ engine: OpaquePointer?, _ manifest: farebox_str, _ entry: (@convention(c) () -> UnsafePointer<farebox_plugin>?)?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    guard let entry = unsafe entry else {
      throw Failure(.invalidArgument, field: "entry", "The pointer is null.")
    }
    let given = unsafe BorrowedText(manifest)
    guard given.count <= PluginManifest.longest else {
      throw Failure(.tooLong, field: "manifest", "A manifest has at most \(PluginManifest.longest) bytes.")
    }
    let bytes = unsafe [UInt8](given.bytes)
    // The engine's module does not know the table's type.
    let pointer = unsafe unsafeBitCast(entry, to: PluginEntry.self)
    try unsafe PluginHost.of(open).register(open, manifest: bytes, entry: pointer)
  }
}

@_cdecl("farebox_call_tool") @implementation
public func farebox_call_tool(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_tool_args>?, _ output: UnsafeMutablePointer<farebox_text>?,
  _ receipt: UnsafeMutablePointer<farebox_receipt>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(receipt, "receipt")
    guard unsafe output != nil else { throw Failure(.invalidArgument, field: "output", "The pointer is null.") }
    let result = try PluginHost.of(open).call(open, unsafe ToolRequest(given))
    let isGiven: Result<Void, Failure> = unsafe result.output.withUnsafeBytes { bytes in
      do throws(Failure) {
        return .success(try unsafe give(bytes, to: output))
      } catch {
        return .failure(error)
      }
    }
    try isGiven.get()
    if let charged = result.receipt { unsafe receipt?.pointee.fill(charged) }
  }
}

extension ToolRequest {
  init(_ args: farebox_tool_args) throws(Failure) {
    let uncharged = UInt32(FAREBOX_TOOL_UNCHARGED)
    let maximumFlag = UInt32(FAREBOX_MAX_COST_GIVEN)
    try unsafe Structs.checkFlags(
      args.flags, known: uncharged | maximumFlag | CallTerms.settings.rawValue, "args.flags")
    try unsafe Structs.checkZero(args.reserved, "args.reserved")
    self.init()
    payer = unsafe BorrowedText(args.payer)
    tool = unsafe BorrowedText(args.tool)
    input = unsafe BorrowedText(args.input)
    key = unsafe BorrowedText(args.idempotency_key)
    run = unsafe BorrowedText(args.run)
    call = unsafe BorrowedText(args.call)
    parent = unsafe BorrowedText(args.parent)
    ordinal = unsafe args.ordinal
    maxCost = unsafe Structs.number(args.max_cost, args.flags, maximumFlag)
    deadlineMilliseconds = unsafe Int64(args.deadline_ms)
    durability = try unsafe Durability.read(args.durability, "args.durability")
    isUncharged = unsafe args.flags & uncharged != 0
    terms = unsafe CallTerms(rawValue: args.flags).intersection(.settings)
    if let maxCost, maxCost < 0 {
      throw Failure(.invalidAmount, field: "args.max_cost", "It must not be negative.")
    }
  }
}
