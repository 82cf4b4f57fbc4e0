public import CFarebox
internal import Farebox
internal import FareboxCore

@_cdecl("farebox_price_tool") @implementation
public func farebox_price_tool(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_price_args>?, _ out: UnsafeMutablePointer<farebox_quote>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(out, "out")
    guard let out = unsafe out else { throw Failure(.invalidArgument, field: "out", "The pointer is null.") }
    let maximumFlag = UInt32(FAREBOX_MAX_COST_GIVEN)
    try unsafe Structs.checkFlags(given.flags, known: maximumFlag, "args.flags")
    try unsafe Structs.checkZero(given.reserved, "args.reserved")
    let lines = unsafe out.pointee.lines
    let capacity = unsafe lines == nil ? 0 : out.pointee.line_capacity
    var count: UInt32 = 0
    let usage = try unsafe Usage(given.usage)
    let quote = try unsafe open.quote(
      tool: BorrowedText(given.tool), usage: usage, customer: BorrowedText(given.customer),
      maxCost: Structs.number(given.max_cost, given.flags, maximumFlag), at: given.at == 0 ? nil : given.at
    ) { line in
      if count < capacity, let lines = unsafe lines {
        unsafe lines[Int(count)] = farebox_quote_line(
          meter: farebox_meter_kind(line.meter.rawValue), tier: line.tier, quantity_micro: line.quantityMicro,
          rate_pico: line.ratePico, amount: line.amount)
      }
      count += 1
    }
    unsafe out.pointee.line_count = count
    unsafe out.pointee.capped = quote.total.capped ? 1 : 0
    unsafe out.pointee.total = quote.total.total
    unsafe out.pointee.price_version = quote.priceVersion
    unsafe setCode(&out.pointee.asset, quote.assetCode)
  }
}

@_cdecl("farebox_charge") @implementation
public func farebox_charge(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_charge_args>?, _ out: UnsafeMutablePointer<farebox_receipt>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(out, "out")
    let durability = try unsafe Durability.read(given.durability, "args.durability")
    let receipt = try open.charge(unsafe ChargeRequest(given), durability: durability)
    unsafe out?.pointee.fill(receipt)
  }
}

@_cdecl("farebox_charge_many") @implementation
public func farebox_charge_many(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_charge_args>?, _ count: Int,
  _ out: UnsafeMutablePointer<farebox_receipt>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    if count == 0 { return }
    // A size_t beyond the half of its range arrives as a negative number.
    guard (0...Limits.batch).contains(count) else {
      throw Failure(.tooLong, field: "count", "A batch has at most \(Limits.batch) charges.")
    }
    guard let args = unsafe args, let out = unsafe out else {
      throw Failure(.invalidArgument, field: unsafe args == nil ? "args" : "out", "The pointer is null.")
    }
    for index in 0..<count {
      guard unsafe args[index].struct_size == UInt32(MemoryLayout<farebox_charge_args>.size),
        unsafe out[index].struct_size == UInt32(MemoryLayout<farebox_receipt>.size)
      else { throw Failure(.structSize, field: "args[\(index)].struct_size", "It is not a size of this struct.") }
      guard unsafe args[index].durability == args[0].durability else {
        throw Failure(.invalidArgument, field: "args[\(index)].durability", "A batch has one durability.")
      }
    }
    let durability = try unsafe Durability.read(args[0].durability, "args[0].durability")
    func refuse(_ index: Int, _ failure: Failure) {
      unsafe out[index] = farebox_receipt()
      unsafe out[index].struct_size = UInt32(MemoryLayout<farebox_receipt>.size)
      unsafe out[index].status = failure.status.rawValue
      unsafe out[index].flags = failure.refusal == nil ? 0 : UInt32(FAREBOX_RECEIPT_REFUSAL)
    }
    do throws(Failure) {
      let isUncommitted = try open.chargeMany(
        count: count, durability: durability,
        hint: { index in unsafe (BorrowedText(args[index].idempotency_key), BorrowedText(args[index].payer)) }
      ) { index throws(Failure) in
        try unsafe ChargeRequest(args[index])
      } result: { index, result in
        switch result {
        case .success(let receipt): unsafe out[index].fill(receipt)
        case .failure(let failure): refuse(index, failure)
        }
      }
      if isUncommitted {
        for index in 0..<count where unsafe out[index].status == Status.ok.rawValue {
          unsafe out[index].flags |= UInt32(FAREBOX_RECEIPT_UNCOMMITTED)
        }
      }
    } catch {
      // Receipts that were filled before the commit failed are receipts of nothing.
      for index in 0..<count { refuse(index, error) }
      throw error
    }
  }
}

@_cdecl("farebox_reserve") @implementation
public func farebox_reserve(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_reserve_args>?, _ out: UnsafeMutablePointer<farebox_receipt>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(out, "out")
    let durability = try unsafe Durability.read(given.durability, "args.durability")
    let receipt = try open.reserve(
      unsafe ChargeRequest(given), unsafe HoldTerms(given), durability: durability)
    unsafe out?.pointee.fill(receipt)
  }
}

@_cdecl("farebox_increase") @implementation
public func farebox_increase(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_increase_args>?,
  _ out: UnsafeMutablePointer<farebox_receipt>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(out, "out")
    let durability = try unsafe Durability.read(given.durability, "args.durability")
    let receipt = try open.increase(unsafe IncreaseRequest(given), durability: durability)
    unsafe out?.pointee.fill(receipt)
  }
}

@_cdecl("farebox_capture") @implementation
public func farebox_capture(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_capture_args>?, _ out: UnsafeMutablePointer<farebox_receipt>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.check(out, "out")
    let durability = try unsafe Durability.read(given.durability, "args.durability")
    let receipt = try open.capture(unsafe CaptureRequest(given), durability: durability)
    unsafe out?.pointee.fill(receipt)
  }
}

@_cdecl("farebox_release") @implementation
public func farebox_release(
  _ engine: OpaquePointer?, _ hold: UInt64, _ out: UnsafeMutablePointer<farebox_receipt>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    try unsafe Structs.check(out, "out")
    let receipt = try open.release(hold: hold)
    unsafe out?.pointee.fill(receipt)
  }
}

@_cdecl("farebox_extend") @implementation
public func farebox_extend(
  _ engine: OpaquePointer?, _ hold: UInt64, _ milliseconds: UInt64, _ out: UnsafeMutablePointer<farebox_receipt>?,
  _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    try unsafe Structs.check(out, "out")
    let receipt = try open.extend(hold: hold, milliseconds: Int64(clamping: milliseconds))
    unsafe out?.pointee.fill(receipt)
  }
}

@_cdecl("farebox_balance") @implementation
public func farebox_balance(
  _ engine: OpaquePointer?, _ account: farebox_str, _ asset: farebox_str,
  _ out: UnsafeMutablePointer<farebox_balance_result>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let open = try unsafe Handles.engine(engine)
    try unsafe Structs.check(out, "out")
    guard let out = unsafe out else { throw Failure(.invalidArgument, field: "out", "The pointer is null.") }
    let report = try open.balance(of: unsafe BorrowedText(account), asset: unsafe BorrowedText(asset))
    unsafe out.pointee.scale = UInt32(report.asset.scale)
    unsafe out.pointee.balance = report.balance
    unsafe out.pointee.held = report.held
    unsafe out.pointee.credit_line = report.creditLine
    unsafe out.pointee.available = report.available
    unsafe setCode(&out.pointee.asset, report.assetCode)
  }
}

@_cdecl("farebox_escape_account") @implementation
public func farebox_escape_account(
  _ id: farebox_str, _ out: UnsafeMutablePointer<farebox_text>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    try unsafe give(AccountName.escape(text(BorrowedText(id), "id")), to: out)
  }
}

@_cdecl("farebox_unescape_account") @implementation
public func farebox_unescape_account(
  _ name: farebox_str, _ out: UnsafeMutablePointer<farebox_text>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    try unsafe give(AccountName.unescape(text(BorrowedText(name), "name")), to: out)
  }
}

private func text(_ borrowed: BorrowedText, _ field: String) throws(Failure) -> String {
  guard borrowed.count <= Limits.accountName else {
    throw Failure(.tooLong, field: field, "It is longer than the \(Limits.accountName) bytes of an account's name.")
  }
  guard let text = borrowed.string else { throw Failure(.invalidUTF8, field: field, "It is not UTF-8 text.") }
  return text
}

@_cdecl("farebox_verify_webhook") @implementation
public func farebox_verify_webhook(
  _ engine: OpaquePointer?, _ args: UnsafePointer<farebox_webhook_args>?, _ error: UnsafeMutablePointer<farebox_error>?
) -> farebox_status {
  unsafe answer(error) { () throws(Failure) in
    let given = try unsafe Structs.read(args, "args")
    try unsafe Structs.checkZero(given.reserved, "args.reserved")
    let open = try unsafe engine == nil ? nil : Handles.engine(engine)
    guard let scheme = unsafe WebhookScheme(rawValue: given.scheme) else {
      throw Failure(.invalidArgument, field: "args.scheme", "\(unsafe given.scheme) is not a scheme.")
    }
    guard unsafe (0...Limits.webhookSecrets).contains(given.secret_count),
      unsafe given.secrets != nil || given.secret_count == 0
    else {
      throw Failure(.tooLong, field: "args.secrets", "There are too many secrets, or none where some are counted.")
    }
    try unsafe withUnsafeTemporaryAllocation(
      of: UnsafeBufferPointer<UInt8>.self, capacity: max(1, Int(given.secret_count))
    ) { buffer throws(Failure) in
      for index in 0..<Int(unsafe given.secret_count) {
        if let secrets = unsafe given.secrets { unsafe buffer.initializeElement(at: index, to: bytes(secrets[index])) }
      }
      let secrets = unsafe UnsafeBufferPointer(rebasing: buffer[0..<Int(given.secret_count)])
      let request = unsafe WebhookRequest(
        scheme: scheme, body: bytes(given.body), signature: bytes(given.signature), id: bytes(given.id),
        timestamp: bytes(given.timestamp), secrets: secrets)
      let now = unsafe given.now == 0 ? Engine.systemTime() : given.now
      try unsafe verifyWebhook(request, now: now, toleranceSeconds: given.tolerance_s)
      guard let open else { return }
      let sender = try unsafe WebhookSender(name: BorrowedText(given.sender), secrets: secrets)
      try open.guardAgainstReplay(scheme, id: unsafe BorrowedText(given.id), of: sender)
    }
  }
}

private func bytes(_ text: farebox_str) -> UnsafeBufferPointer<UInt8> {
  unsafe UnsafeBufferPointer(
    start: UnsafeRawPointer(text.ptr)?.assumingMemoryBound(to: UInt8.self),
    count: text.ptr == nil ? 0 : text.len < 0 ? Int.max : text.len)
}
