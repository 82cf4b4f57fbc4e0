public import CFarebox
internal import Farebox
internal import FareboxCore
internal import FareboxPlugins

@_cdecl("farebox_meter") @implementation
public func farebox_meter(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_meter_args>?,
  _ out: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    guard let out = unsafe out else { throw Failure(.invalidArgument, field: "out", "The pointer is null.") }
    guard let function = unsafe given.function else {
      throw Failure(.invalidArgument, field: "args.function", "The pointer is null.")
    }
    unsafe out.pointee = try unsafe MeteredSlots.meter(function, MeteredTerms(given), on: open)
  }
}

extension MeteredTerms {
  fileprivate init(_ args: farebox_meter_args) throws(Failure) {
    let checkFlag = UInt32(FAREBOX_METERED_CHECK_ONLY)
    let maximumFlag = UInt32(FAREBOX_MAX_COST_GIVEN)
    try unsafe Structs.checkFlags(
      args.flags, known: checkFlag | maximumFlag | CallTerms.settings.rawValue, "args.flags")
    try unsafe Structs.checkZero(args.reserved, "args.reserved")
    try unsafe self.init(
      signature: BorrowedText(args.signature), tool: BorrowedText(args.tool), payer: BorrowedText(args.payer),
      usage: BorrowedText(args.usage), failure: BorrowedText(args.failure),
      refused: (args.refused_integer, args.refused_double),
      maxCost: Structs.number(args.max_cost, args.flags, maximumFlag),
      call: CallTerms(rawValue: args.flags).intersection(.settings),
      durability: Durability.read(args.durability, "args.durability"), isCheckOnly: args.flags & checkFlag != 0)
  }
}

@_cdecl("farebox_unmeter") @implementation
public func farebox_unmeter(
  _ function: UnsafeMutableRawPointer?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    try unsafe MeteredSlots.unmeter(function)
  }
}

@_cdecl("farebox_pay") @implementation
public func farebox_pay(
  _ payer: farebox_str, _ run: farebox_str, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    try unsafe MeteringThread.pay(BorrowedText(payer), run: BorrowedText(run))
  }
}

@_cdecl("farebox_set_payer_resolver") @implementation
public func farebox_set_payer_resolver(
  _ resolver: farebox_payer_resolver?, _ context: UnsafeMutableRawPointer?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    guard let resolver = unsafe resolver else { return PayerContext.setResolver(nil) }
    // The caller keeps both as they are for as long as they are set, and says that any thread may call the resolver.
    let context = UInt(bitPattern: context)
    PayerContext.setResolver { tool, arguments in
      var asked = unsafe farebox_payer()
      unsafe asked.struct_size = UInt32(MemoryLayout<farebox_payer>.size)
      unsafe asked.tool = farebox_str(tool)
      unsafe asked.arguments = farebox_str(arguments)
      guard unsafe resolver(UnsafeMutableRawPointer(bitPattern: context), &asked) == 0 else { return .success(nil) }
      do throws(Failure) {
        return .success(try unsafe ContextPayer(asked))
      } catch {
        return .failure(error)
      }
    }
  }
}

extension ContextPayer {
  /// What a resolver has answered; its texts are copied.
  fileprivate init(_ answer: farebox_payer) throws(Failure) {
    try unsafe Structs.checkZero(answer.reserved, "payer.reserved")
    let texts = unsafe [
      ("payer", BorrowedText(answer.payer)), ("run", BorrowedText(answer.run)), ("call", BorrowedText(answer.call)),
      ("parent", BorrowedText(answer.parent)),
    ]
    for (field, text) in texts where text.count > Limits.identifier {
      throw Failure(.tooLong, field: field, "The payer resolver gave more than \(Limits.identifier) bytes.")
    }
    // An engine that is closed pays for nothing.
    let engine = unsafe answer.engine == nil ? nil : try? Handles.engine(answer.engine)
    let isLost = unsafe answer.engine != nil && engine == nil
    self.init(
      payer: isLost ? .empty : texts[0].1, run: texts[1].1, call: texts[2].1, parent: texts[3].1,
      ordinal: unsafe answer.ordinal, engine: engine)
  }
}

extension farebox_str {
  fileprivate init(_ text: BorrowedText) {
    let bytes = unsafe text.bytes
    unsafe self.init(ptr: UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self), len: bytes.count)
  }
}

@_cdecl("farebox_metered") @implementation
public func farebox_metered(
  _ receipt: UnsafeMutablePointer<farebox_receipt>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    try unsafe Structs.check(receipt, "receipt")
    let charged = try MeteringThread.lastCall.get()
    unsafe receipt?.pointee.fill(charged ?? Receipt())
  }
}

@_cdecl("farebox_invoke") @implementation
public func farebox_invoke(
  _ function: UnsafeMutableRawPointer?, _ signature: farebox_str, _ arguments: UnsafeMutablePointer<farebox_value>?,
  _ count: Int, _ result: UnsafeMutablePointer<farebox_value>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    guard let function = unsafe function else {
      throw Failure(.invalidArgument, field: "function", "The pointer is null.")
    }
    guard unsafe arguments != nil || count == 0 else {
      throw Failure(.invalidArgument, field: "arguments", "The pointer is null.")
    }
    let frame = try CallFrames.frame(of: unsafe BorrowedText(signature), field: "signature")
    guard (0...Limits.signatureParameters).contains(count) else {
      throw Failure(.tooLong, field: "count", "A signature has at most \(Limits.signatureParameters) parameters.")
    }
    guard unsafe result != nil || frame.signature.result == nil else {
      throw Failure(.invalidArgument, field: "result", "The pointer is null.")
    }
    // farebox_value and ForeignValue have one layout.
    let values = unsafe UnsafeMutableBufferPointer(
      start: UnsafeMutableRawPointer(arguments)?.assumingMemoryBound(to: ForeignValue.self), count: count)
    try unsafe frame.signature.check(values)
    let value = unsafe frame.invoke(function, values)
    guard let result = unsafe result else { return }
    unsafe result.pointee = unsafe farebox_value(
      integer: value.integer, number: value.number,
      bytes: farebox_str(ptr: value.bytes?.assumingMemoryBound(to: CChar.self), len: value.count))
  }
}
