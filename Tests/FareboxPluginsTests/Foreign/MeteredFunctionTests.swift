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

  // MARK: Who pays in the caller's context

  /// Sets a resolver for the length of `body`; it is given the tool and the digest of the arguments.
  private func resolving(
    _ answer: @escaping @Sendable (String, String) -> ContextPayer?, _ body: () throws -> Void
  ) rethrows {
    PayerContext.setResolver { tool, arguments in .success(answer(tool.string ?? "?", arguments.string ?? "?")) }
    defer { PayerContext.setResolver(nil) }
    try body()
  }

  private static func context(
    _ payer: String, run: String = "", call: String = "", parent: String = "", ordinal: UInt32 = 0,
    engine: Engine? = nil
  ) -> ContextPayer {
    lending(payer, run, call, parent) { texts in
      ContextPayer(
        payer: texts[0], run: texts[1], call: texts[2], parent: texts[3], ordinal: ordinal, engine: engine)
    }
  }

  private static let turn = Atomic(0)

  @Test func `the context pays, also between two calls of one thread`() throws {
    let ledger = try MeteredLedger()
    _ = try ledger.engine.call("account.deposit", ["account": "user:bob", "amount": "1", "asset": "USD"])
    let charged = callable(try ledger.meter(negate, "i32(i32)", payer: ""))
    let checked = callable(try ledger.meter(negate, "i32(i32)", payer: "", isCheckOnly: true))
    let own = callable(try ledger.meter(negate, "i32(i32)"))
    // A price that was kept for the thread's payer must not let another one through.
    try pay("user:ana")
    #expect(checked(5) == -5)
    #expect(checked(5) == -5)
    let payers = ["user:bob", "", "user:ana", "user:bob", "user:nobody"]
    resolving { _, _ in
      MeteredFunctionTests.context(payers[MeteredFunctionTests.turn.load(ordering: .relaxed)], run: "run-1")
    } _: {
      for (turn, payer) in payers.enumerated() {
        MeteredFunctionTests.turn.store(turn, ordering: .relaxed)
        for function in [charged, checked] {
          switch payer {
          case "": expectRefused(function, .missingField)
          case "user:nobody": expectRefused(function, .accountNotFound)
          default: #expect(function(5) == -5)
          }
        }
        // A payer of the function's own is not asked for.
        #expect(own(5) == -5)
      }
    }
    #expect(try ledger.balance(of: "user:bob").balance == 1_000_000_000 - 2 * 20_000_000)
    #expect(try ledger.balance == 10_000_000_000 - (1 + 5) * 20_000_000)
    // And the thread's again.
    #expect(charged(5) == -5)
    #expect(try ledger.balance == 10_000_000_000 - (1 + 5 + 1) * 20_000_000)
    try pay("")
    try ledger.expectSettled()
  }

  @Test func `the thread pays where the context cannot tell, and nobody for another ledger`() throws {
    let (ledger, other) = (try MeteredLedger(), try MeteredLedger())
    let charged = callable(try ledger.meter(negate, "i32(i32)", payer: ""))
    try pay("user:ana")
    resolving { _, _ in
      nil
    } _: {
      #expect(charged(5) == -5)
      #expect(lastCall() == (.ok, 20_000_000))
    }
    let (engine, stranger) = (ledger.engine, other.engine)
    resolving { _, _ in
      MeteredFunctionTests.context("user:ana", engine: stranger)
    } _: {
      expectRefused(charged, .missingField)
    }
    resolving { _, _ in
      MeteredFunctionTests.context("user:ana", engine: engine)
    } _: {
      #expect(charged(5) == -5)
    }
    PayerContext.setResolver { _, _ in .failure(Failure(.tooLong, field: "run", "It is too long.")) }
    expectRefused(charged, .tooLong)
    PayerContext.setResolver(nil)
    try pay("")
    try ledger.expectSettled()
  }

  private enum Asked {
    static let questions = Mutex<[(tool: String, arguments: String)]>([])
    static let ordinals = Mutex<[String: UInt32]>([:])

    static func answer(_ tool: String, _ arguments: String) -> ContextPayer {
      questions.withLock { $0.append((tool, arguments)) }
      guard !arguments.isEmpty else { return MeteredFunctionTests.context("user:ana", run: "run-1", call: "call-1") }
      let ordinal = ordinals.withLock { ordinals in
        let number = ordinals[tool + arguments, default: 0]
        ordinals[tool + arguments] = number + 1
        return number
      }
      return MeteredFunctionTests.context("user:ana", run: "run-1", call: "call-1", ordinal: ordinal)
    }
  }

  @Test func `a repeat of a call that the context names is charged once, in any order`() throws {
    let ledger = try MeteredLedger()
    let charged = callable(try ledger.meter(negate, "i32(i32)", payer: ""))
    Asked.questions.withLock { $0 = [] }
    resolving(Asked.answer) {
      for (numbers, calls) in [([5, 6, 5], 3), ([6, 5, 5], 3), ([5, 5, 5], 4)] as [([Int32], Int64)] {
        Asked.ordinals.withLock { $0 = [:] }
        for number in numbers { #expect(charged(number) == -number) }
        #expect((try? ledger.balance) == 10_000_000_000 - calls * 20_000_000)
      }
    }
    let questions = Asked.questions.withLock { $0 }
    #expect(questions.count == 18 && questions.allSatisfy { $0.tool == "flat" })
    #expect(questions.enumerated().allSatisfy { ($0.offset % 2 == 0) == $0.element.arguments.isEmpty })
    let rows = try ledger.engine.call("transfer.list", ["run": "run-1"]).object?["transfers"]?.array ?? []
    #expect(rows.contains { $0.object?["call"]?.string == "call-1" })
    try ledger.expectSettled()
  }

  @Test func `the digest of a call is of what the function is given, and not of addresses`() throws {
    let ledger = try MeteredLedger()
    // Pointers as numbers, which C passes alike.
    typealias Length = @convention(c) (UInt, UInt, UInt32, UInt) -> UInt64
    let length: Length = { _, _, count, _ in UInt64(count) }
    let metered = try ledger.meter(Code(length), "u64(string text, bytes:u32 source, pointer rest)", payer: "")
    let call = metered.callable(as: Length.self)
    Asked.questions.withLock { $0 = [] }
    resolving(Asked.answer) {
      let copies = (Array("hello".utf8CString), Array("hello".utf8CString))
      unsafe copies.0.withUnsafeBufferPointer { first in
        unsafe copies.1.withUnsafeBufferPointer { second in
          let (first, second) = (UInt(bitPattern: first.baseAddress), UInt(bitPattern: second.baseAddress))
          #expect(call(first, first, 3, first) == 3)
          #expect(call(second, second, 3, second) == 3)
          #expect(call(second, second, 4, 0) == 4)
          #expect(call(second, second, 2, 0) == 2)
        }
      }
      #expect(call(0, 0, 0, 0) == 0)
    }
    let digests = Asked.questions.withLock { $0.map(\.arguments).filter { !$0.isEmpty } }
    #expect(digests.count == 5 && digests[0] == digests[1] && Set(digests).count == 4)
  }

  private static let nested = Atomic<UInt>(0)
  private static let nestedStatus = Atomic<Int32>(-1)

  @Test func `a resolver that calls a metered function is not asked again`() throws {
    let ledger = try MeteredLedger()
    let code = try ledger.meter(negate, "i32(i32)", payer: "")
    MeteredFunctionTests.nested.store(code.address, ordering: .relaxed)
    resolving { _, _ in
      let address = MeteredFunctionTests.nested.load(ordering: .relaxed)
      _ = unsafe unsafeBitCast(address, to: Negate.self)(9)
      MeteredFunctionTests.nestedStatus.store(lastCall().status.rawValue, ordering: .relaxed)
      return MeteredFunctionTests.context("user:ana")
    } _: {
      #expect(callable(code)(5) == -5)
      #expect(lastCall() == (.ok, 20_000_000))
    }
    #expect(MeteredFunctionTests.nestedStatus.load(ordering: .relaxed) == Status.reentrant.rawValue)
  }

  @Test func `a call priced by usage that is not counted needs a maximum, and is charged it`() throws {
    let ledger = try MeteredLedger()
    expectRefused(callable(try ledger.meter(negate, "i32(i32)", tool: "unit")), .missingField)
    let bounded = callable(try ledger.meter(negate, "i32(i32)", tool: "unit", maxCost: 3_000_000))
    #expect(bounded(5) == -5)
    guard case .success(let receipt?) = MeteringThread.lastCall else {
      Issue.record("There is no receipt.")
      return
    }
    #expect(receipt.amount == 3_000_000 && receipt.isUnreported)
    let lenient = callable(
      try ledger.meter(negate, "i32(i32)", tool: "unit", maxCost: 3_000_000, call: .releasesUnreported))
    #expect(lenient(5) == -5)
    #expect(lastCall() == (.ok, nil))
    let nothing = callable(try ledger.meter(negate, "i32(i32)", tool: "unit", usage: "value:0", maxCost: 0))
    #expect(nothing(5) == -5)
    #expect(lastCall() == (.ok, 0))
    try ledger.expectSettled()
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

  private static let time = Atomic<Int64>(1_800_000_000_000_000)

  @Test func `a call that outlasts its hold is charged when it ends`() throws {
    let ledger = try MeteredLedger(clock: { MeteredFunctionTests.time.load(ordering: .relaxed) })
    let sleep: Negate = { minutes in
      MeteredFunctionTests.time.add(Int64(minutes) * 60_000_000, ordering: .relaxed)
      // The outer call's payer is another by the time it ends.
      try? pay("user:nobody")
      return minutes
    }
    let metered = callable(
      try ledger.meter(Code(sleep), "i32(i32)", tool: "unit", payer: "", usage: "value:0", maxCost: 10_000_000))
    let before = try ledger.balance
    for minutes in [10, 16] as [Int32] {
      try pay("user:ana", run: "run-1")
      #expect(metered(minutes) == minutes)
      #expect(lastCall() == (.ok, 10_000_000))
    }
    try pay("")
    let failing = callable(try ledger.meter(Code(sleep), "i32(i32)", failure: "nonzero"))
    #expect(failing(16) == 16)
    #expect(lastCall() == (.ok, nil))
    #expect(try ledger.balance == before - 20_000_000)
    try ledger.expectSettled()
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
