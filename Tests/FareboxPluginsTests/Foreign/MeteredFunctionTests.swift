import Farebox
import FareboxCore
import FareboxPlugins
import Glibc
import Synchronization
import Testing

/// C functions whose calls are charged.
@Suite(.serialized) struct MeteredFunctionTests {
  typealias Negate = @convention(c) (Int32) -> Int32
  typealias Nothing = @convention(c) () -> Void

  private static let calls = Atomic(0)

  private static let negate: Negate = { number in
    calls.add(1, ordering: .relaxed)
    return -number
  }

  private var negate: Code { Code(MeteredFunctionTests.negate) }

  /// Calls a function that must be refused, and so must not reach `negate`.
  private func expectRefused(
    _ function: Negate, _ status: Status, number: Int32 = 5, returns refused: Int32 = 0,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let before = MeteredFunctionTests.calls.load(ordering: .relaxed)
    #expect(function(number) == refused, sourceLocation: sourceLocation)
    #expect(MeteredFunctionTests.calls.load(ordering: .relaxed) == before, sourceLocation: sourceLocation)
    #expect(lastCall() == (status, nil), sourceLocation: sourceLocation)
  }

  private func callable(_ function: Code) -> Negate { function.callable() }

  @Test func `a call is charged and returns what the function does`() throws {
    let ledger = try MeteredLedger()
    let negated = callable(try ledger.meter(negate, "i32(i32 number)"))
    let before = try ledger.balance
    #expect(negated(5) == -5)
    #expect(lastCall() == (.ok, 20_000_000))
    #expect(try ledger.balance == before - 20_000_000)
    guard case .success(let receipt?) = MeteringThread.lastCall else {
      Issue.record("There is no receipt.")
      return
    }
    #expect(receipt.isFinal && receipt.hold > 0 && receipt.priceVersion == 1)
    #expect(receipt.balance == before - 20_000_000)
    try ledger.expectSettled()
  }

  @Test func `units come from a parameter by name or number`() throws {
    let ledger = try MeteredLedger()
    for (usage, units) in [("value:number", 7), ("value:0", 7)] as [(String, Int64)] {
      let negated = callable(try ledger.meter(negate, "i32(i32 number)", tool: "unit", usage: usage))
      #expect(negated(7) == -7)
      #expect(lastCall() == (.ok, units * 1_000_000))
      expectRefused(negated, .invalidArgument, number: -7)
    }
    let length: @convention(c) (UnsafePointer<CChar>?, UnsafeRawPointer?, UInt32) -> UInt64 = { _, _, count in
      UInt64(count)
    }
    for (usage, units) in [("bytes:text", 5), ("bytes:source", 3)] as [(String, Int64)] {
      let metered = unsafe try ledger.meter(
        Code(length), "u64(string text, bytes:u32 source)", tool: "unit",
        usage: usage)
      let call = unsafe metered.callable(
        as: (@convention(c) (UnsafePointer<CChar>?, UnsafeRawPointer?, UInt32) -> UInt64).self)
      #expect(unsafe call("hello", "abc", 3) == 3)
      #expect(lastCall() == (.ok, units * 1_000_000))
      #expect(call(nil, nil, 0) == 0)
      #expect(lastCall() == (.ok, 0))
    }
    try ledger.expectSettled()
  }

  @Test func `an out buffer is held with its capacity and charged with what was written`() throws {
    let ledger = try MeteredLedger()
    let fill: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt64>?) -> Int32 = { _, count in
      unsafe count?.pointee /= 2
      return 0
    }
    let metered = unsafe try ledger.meter(
      Code(fill), "i32(out:u64* dest)", tool: "unit", usage: "bytes:dest")
    let call = unsafe metered.callable(
      as: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt64>?) -> Int32).self)
    var count: UInt64 = 8
    #expect(unsafe call(nil, &count) == 0)
    #expect(count == 4)
    #expect(lastCall() == (.ok, 4_000_000))
    // More than ten dollars for the capacity.
    count = 10_001
    #expect(unsafe call(nil, &count) == 0)
    #expect(count == 10_001)
    #expect(lastCall() == (.insufficientFunds, nil))

    let give: @convention(c) (UnsafeMutableRawPointer?, UInt32) -> Int32 = { _, capacity in Int32(capacity) - 5 }
    let returned = unsafe try ledger.meter(
      Code(give), "i32(out:u32)", tool: "unit", usage: "bytes:0",
      failure: "negative")
    let ask = unsafe returned.callable(as: (@convention(c) (UnsafeMutableRawPointer?, UInt32) -> Int32).self)
    #expect(ask(nil, 8) == 3)
    #expect(lastCall() == (.ok, 3_000_000))
    #expect(ask(nil, 2) == -3)
    #expect(lastCall() == (.ok, nil))
    try ledger.expectSettled()
  }

  @Test func `a refused call does not reach the function`() throws {
    let ledger = try MeteredLedger()
    let dear = callable(try ledger.meter(negate, "i32(i32)", tool: "dear", refused: (-99, 0)))
    expectRefused(dear, .insufficientFunds, returns: -99)
    let nobody = callable(try ledger.meter(negate, "i32(i32)", payer: "user:nobody"))
    expectRefused(nobody, .accountNotFound)
    _ = try ledger.engine.call("tool.disable", ["tool": "flat"])
    let off = callable(try ledger.meter(negate, "i32(i32)"))
    expectRefused(off, .toolDisabled)
    let half: @convention(c) (Double) -> Double = { $0 / 2 }
    let halved = try ledger.meter(Code(half), "double(double)", tool: "dear", refused: (0, -0.5))
      .callable(as: (@convention(c) (Double) -> Double).self)
    #expect(halved(4) == -0.5)
    try ledger.expectSettled()
  }

  @Test func `a result that means failure costs nothing`() throws {
    let ledger = try MeteredLedger()
    let before = try ledger.balance
    for (rule, failing, fine) in [("negative", 5, -5), ("nonzero", 1, 0), ("zero", 0, 3)] as [(String, Int32, Int32)] {
      let negated = callable(try ledger.meter(negate, "i32(i32)", failure: rule))
      #expect(negated(failing) == -failing)
      #expect(lastCall() == (.ok, nil))
      #expect(negated(fine) == -fine)
      #expect(lastCall() == (.ok, 20_000_000))
    }
    #expect(try ledger.balance == before - 3 * 20_000_000)
    try ledger.expectSettled()
  }

  @Test func `max_cost is held and is the most that is charged`() throws {
    let ledger = try MeteredLedger()
    let negated = callable(
      try ledger.meter(negate, "i32(i32)", tool: "unit", usage: "value:0", maxCost: 5_000_000))
    #expect(negated(3) == -3)
    #expect(lastCall() == (.ok, 3_000_000))
    #expect(negated(30) == -30)
    #expect(lastCall() == (.ok, 5_000_000))
    // Nothing says what a unit costs there; so it costs what the caller was ready to pay.
    let unpriced = callable(
      try ledger.meter(negate, "i32(i32)", tool: "token", usage: "value:0", maxCost: 4_000_000))
    #expect(unpriced(3) == -3)
    #expect(lastCall() == (.ok, 4_000_000))
    let refused = callable(try ledger.meter(negate, "i32(i32)", tool: "token", usage: "value:0"))
    #expect(refused(3) == 0)
    #expect(lastCall() == (.unpriceable, nil))
    try ledger.expectSettled()
  }

  @Test func `a call that only checks writes nothing, and hears of every change of its price`() throws {
    let ledger = try MeteredLedger()
    let before = try ledger.engine.call("ledger.verify").object?["records"]
    let checked = callable(
      try ledger.meter(negate, "i32(i32)", refused: (77, 0), maxCost: 20_000_000, isCheckOnly: true))
    for _ in 0..<3 {
      #expect(checked(5) == -5)
      #expect(lastCall() == (.ok, nil))
    }
    #expect(try ledger.engine.call("ledger.verify").object?["records"] == before)
    _ = try ledger.engine.call("tool.disable", ["tool": "flat"])
    expectRefused(checked, .toolDisabled, returns: 77)
    _ = try ledger.engine.call("tool.enable", ["tool": "flat"])
    #expect(checked(5) == -5)
    try ledger.register("2.0.0", #"{"name":"flat","pricing":{"cost":"0.03"}}"#)
    expectRefused(checked, .overMaxCost, returns: 77)
    try ledger.register("3.0.0", #"{"name":"flat","pricing":{"cost":"0.02"}}"#)
    #expect(checked(5) == -5)
    _ = try ledger.engine.call(
      "price.set", ["tool": "flat", "customer": "user:ana", "price": ["cost": "0.05"]])
    expectRefused(checked, .overMaxCost, returns: 77)
    try ledger.engine.close()
    expectRefused(checked, .closed, returns: 77)
  }

  @Test func `a kept price ends when its time does`() throws {
    let time = systemTime()
    let ledger = try MeteredLedger()
    _ = try ledger.engine.call(
      "price.set",
      [
        "tool": "flat", "customer": "user:ana", "price": ["cost": "0.05"], "from": .int(time - 1_000_000),
        "to": .int(time + 400_000),
      ])
    let checked = callable(
      try ledger.meter(negate, "i32(i32)", maxCost: 20_000_000, isCheckOnly: true))
    let dear = callable(
      try ledger.meter(negate, "i32(i32)", maxCost: 50_000_000, isCheckOnly: true))
    #expect(dear(5) == -5)
    expectRefused(checked, .overMaxCost)
    while systemTime() < time + 450_000 { usleep(10_000) }
    #expect(checked(5) == -5)
    #expect(dear(5) == -5)
  }

  private func systemTime() -> Int64 {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
  }

  @Test func `who pays is the thread's where nobody is named`() throws {
    let ledger = try MeteredLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:bob", "amount": "1", "asset": "USD"])
    let charged = callable(try ledger.meter(negate, "i32(i32)", payer: ""))
    let checked = callable(try ledger.meter(negate, "i32(i32)", payer: "", isCheckOnly: true))
    for function in [charged, checked] {
      try pay("")
      expectRefused(function, .missingField)
      try pay("user:ana", run: "run-1")
      #expect(function(5) == -5)
      #expect(function(5) == -5)
      try pay("user:nobody")
      expectRefused(function, .accountNotFound)
      try pay("user:bob")
      #expect(function(5) == -5)
    }
    try pay("")
    #expect(checked(5) == 0)
    #expect(try ledger.balance(of: "user:bob").balance == 980_000_000)
    for (payer, status) in [
      (String(repeating: "p", count: 256), Status.tooLong), ("user:\0", .invalidUTF8),
    ] {
      let failure = try #require(throws: Failure.self) { try pay(payer) }
      #expect(failure.status == status)
      #expect(failure.field == "payer")
    }
  }

  private static let outer = Atomic<UInt>(0)

  @Test func `a metered function may call another`() throws {
    let ledger = try MeteredLedger()
    let inner = try ledger.meter(negate, "i32(i32)", tool: "unit", usage: "value:0")
    MeteredFunctionTests.outer.store(inner.address, ordering: .relaxed)
    let twice: Negate = { number in
      let address = MeteredFunctionTests.outer.load(ordering: .relaxed)
      let inner = unsafe unsafeBitCast(address, to: Negate.self)
      let once = inner(number)
      #expect(lastCall().amount == Int64(number) * 1_000_000)
      return inner(number) + once
    }
    let outer = callable(try ledger.meter(Code(twice), "i32(i32)"))
    let before = try ledger.balance
    #expect(outer(3) == -6)
    #expect(lastCall() == (.ok, 20_000_000))
    #expect(try ledger.balance == before - 26_000_000)
    try ledger.expectSettled()
  }

  @Test func `errno is the function's and the caller's`() throws {
    let ledger = try MeteredLedger()
    let swap: @convention(c) (Int32) -> Int32 = { number in
      let before = errno
      errno = number
      return before
    }
    for isCheckOnly in [false, true] {
      let swapped = callable(
        try ledger.meter(
          Code(swap), "i32(i32)", isCheckOnly: isCheckOnly))
      for _ in 0..<2 {
        errno = 7
        #expect(swapped(9) == 7)
        let after = errno
        #expect(after == 9)
      }
      _ = try ledger.engine.call("tool.disable", ["tool": "flat"])
      errno = 7
      #expect(swapped(9) == 0)
      let after = errno
      #expect(after == 7)
      _ = try ledger.engine.call("tool.enable", ["tool": "flat"])
    }
  }

  @Test func `a capture that fails tells so and keeps the result`() throws {
    let ledger = try MeteredLedger()
    let engine = ledger.engine
    Closing.engine.withLock { $0 = engine }
    let close: Negate = { number in
      Closing.engine.withLock { try? $0?.close() }
      return number
    }
    let metered = callable(try ledger.meter(Code(close), "i32(i32)"))
    expectRefused(metered, .closed, returns: 5)
    Closing.engine.withLock { $0 = nil }
  }

  private enum Closing {
    static let engine = Mutex<Engine?>(nil)
  }

  private static let clocked = Atomic<UInt>(0)
  private static let clockStatus = Atomic<Int32>(-1)

  @Test func `a host's clock may not call metered functions`() throws {
    let time = systemTime()
    let ledger = try MeteredLedger(clock: {
      let address = MeteredFunctionTests.clocked.load(ordering: .relaxed)
      if address != 0 {
        _ = unsafe unsafeBitCast(address, to: Negate.self)(5)
        MeteredFunctionTests.clockStatus.store(lastCall().status.rawValue, ordering: .relaxed)
      }
      return time
    })
    let other = try MeteredLedger()
    let checked = try other.meter(negate, "i32(i32)", refused: (77, 0), isCheckOnly: true)
    #expect(callable(checked)(5) == -5)
    for function in [checked, try other.meter(negate, "i32(i32)")] {
      MeteredFunctionTests.clocked.store(function.address, ordering: .relaxed)
      _ = try ledger.engine.tick()
      MeteredFunctionTests.clocked.store(0, ordering: .relaxed)
      #expect(MeteredFunctionTests.clockStatus.load(ordering: .relaxed) == Status.reentrant.rawValue)
    }
  }

  @Test func `what was given back refuses, and is used again for the same shape`() throws {
    let ledger = try MeteredLedger()
    let first = try ledger.meter(negate, "i32(i32 a, i64 b, u8 c)", refused: (-3, 0))
    let call = callable(first)
    try ledger.unmeter(first)
    expectRefused(call, .closed, returns: -3)
    let failure = try #require(throws: Failure.self) { try first.unmeter() }
    #expect(failure.status == .handle)
    let second = try ledger.meter(negate, "i32(i32, i64, u8)", refused: (-4, 0))
    #expect(second == first)
    let third = try ledger.meter(negate, "i32(i32, i64, i8)")
    #expect(third != first)
    #expect(call(5) == -5)
  }

  @Test func `threads call while others meter and give back`() async throws {
    let ledger = try MeteredLedger()
    let rounds = 300
    let before = try ledger.balance
    let kept = try ledger.meter(negate, "i32(i32, double)", tool: "unit", usage: "value:0")
    let checked = try ledger.meter(negate, "i32(i32, double)", refused: (77, 0), isCheckOnly: true)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          let charge = kept.callable(as: Negate.self)
          let check = checked.callable(as: Negate.self)
          for round in 0..<rounds {
            #expect(charge(1) == -1)
            #expect(lastCall() == (.ok, 1_000_000))
            let result = check(Int32(round))
            #expect(result == -Int32(round) || result == 77 && lastCall().status == .toolDisabled)
          }
        }
      }
      for _ in 0..<rounds {
        guard let passing = try? ledger.meter(negate, "i32(i32, double)", isCheckOnly: true) else { continue }
        #expect(callable(passing)(1) == -1 || lastCall().status == .toolDisabled)
        try? ledger.unmeter(passing)
        _ = try? ledger.engine.call("tool.disable", ["tool": "flat"])
        _ = try? ledger.engine.call("tool.enable", ["tool": "flat"])
      }
    }
    #expect(try ledger.balance == before - Int64(4 * rounds) * 1_000_000)
    try ledger.expectSettled()
  }

  @Test func `terms that cannot be are refused with their field`() throws {
    let ledger = try MeteredLedger()
    func field(_ body: () throws -> Code) throws -> String {
      let failure = try #require(throws: Failure.self) { _ = try body() }
      return "\(failure.status.entry?.name ?? "") \(failure.field)"
    }
    let wrong: [(String, () throws -> Code)] = [
      ("INVALID_ARGUMENT args.signature", { try ledger.meter(negate, "i32(") }),
      ("MISSING_FIELD args.tool", { try ledger.meter(negate, "i32(i32)", tool: "") }),
      ("TOOL_NOT_FOUND tool", { try ledger.meter(negate, "i32(i32)", tool: "none") }),
      ("INVALID_UTF8 args.payer", { try ledger.meter(negate, "i32(i32)", payer: "a\0b") }),
      ("TOO_LONG args.payer", { try ledger.meter(negate, "i32()", payer: String(repeating: "a", count: 256)) }),
      ("INVALID_ARGUMENT args.usage", { try ledger.meter(negate, "i32(i32)", usage: "bytes") }),
      ("INVALID_ARGUMENT args.usage", { try ledger.meter(negate, "i32(i32)", usage: "bytes:0") }),
      ("INVALID_ARGUMENT args.usage", { try ledger.meter(negate, "i32(i32)", usage: "value:1") }),
      ("INVALID_ARGUMENT args.usage", { try ledger.meter(negate, "i32(double d)", usage: "value:d") }),
      ("TOO_LONG args.usage", { try ledger.meter(negate, "i32()", usage: String(repeating: "v", count: 99)) }),
      ("INVALID_ARGUMENT args.failure", { try ledger.meter(negate, "i32(i32)", failure: "odd") }),
      ("INVALID_ARGUMENT args.failure", { try ledger.meter(negate, "u32(i32)", failure: "negative") }),
      ("INVALID_ARGUMENT args.failure", { try ledger.meter(negate, "void(i32)", failure: "zero") }),
      ("INVALID_ARGUMENT args.refused_integer", { try ledger.meter(negate, "i8(i32)", refused: (128, 0)) }),
      ("INVALID_AMOUNT args.max_cost", { try ledger.meter(negate, "i32(i32)", maxCost: -1) }),
    ]
    for (expected, body) in wrong { #expect(try field(body) == expected) }
  }

  @Test func `real functions of the system are charged to the unit`() throws {
    let ledger = try MeteredLedger()
    typealias Power = @convention(c) (Double, Double) -> Double
    let power = try ledger.meter(Code("pow", in: "libm.so.6"), "double(double, double)").callable(as: Power.self)
    #expect(power(2, 10) == 1024)
    #expect(lastCall() == (.ok, 20_000_000))
    typealias Checksum = @convention(c) (UInt64, UnsafeRawPointer?, UInt32) -> UInt64
    let checksum = unsafe try ledger.meter(
      Code("crc32", in: "libz.so.1"), "u64(u64 crc, bytes:u32 source)", tool: "unit", usage: "bytes:source"
    ).callable(as: Checksum.self)
    #expect(unsafe checksum(0, "123456789", 9) == 0xcbf4_3926)
    #expect(lastCall() == (.ok, 9_000_000))
    try ledger.expectSettled()
  }
}
