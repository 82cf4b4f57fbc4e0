import Farebox
import FareboxCore
import FareboxPlugins
import Glibc
import Testing

/// A ledger in memory with a payer and some tools, and the functions that a test meters on it.
final class MeteredLedger {
  let engine: Engine
  private var functions: [Code] = []

  init(clock: (@Sendable () -> Int64)? = nil) throws {
    var options = EngineOptions()
    options.durability = .normal
    options.clock = clock
    engine = try Engine(url: "memory:", options: options)
    _ = try engine.call("account.deposit", ["account": "user:ana", "amount": "10", "asset": "USD"])
    try register(
      "1.0.0",
      """
      {"name":"flat","pricing":{"cost":"0.02"}},{"name":"unit","pricing":{"cost":"0.001","per":"unit"}},
      {"name":"token","pricing":{"cost":"0.001","per":"token"}},{"name":"dear","pricing":{"cost":"1000"}}
      """)
  }

  deinit {
    for function in functions { try? function.unmeter() }
  }

  func register(_ version: String, _ tools: String) throws {
    let manifest = """
      {"manifest":{"id":"tools","version":"\(version)","owner":"user:author","revenue_share":"1","tools":[\(tools)]}}
      """
    _ = try engine.call("skill.register", JSON.parse(manifest))
  }

  /// Meters a function until the ledger is gone.
  func meter(
    _ function: Code, _ signature: String, tool: String = "flat", payer: String = "user:ana",
    usage: String = "", failure: String = "", refused: (Int64, Double) = (0, 0), maxCost: Int64? = nil,
    call: CallTerms = [], durability: Durability? = nil, isCheckOnly: Bool = false
  ) throws -> Code {
    let terms = try lending(signature, tool, payer, usage, failure) { texts in
      try MeteredTerms(
        signature: texts[0], tool: texts[1], payer: texts[2], usage: texts[3], failure: texts[4], refused: refused,
        maxCost: maxCost, call: call, durability: durability, isCheckOnly: isCheckOnly)
    }
    let made = unsafe Code(try MeteredSlots.meter(function.pointer, terms, on: engine))
    functions.append(made)
    return made
  }

  func unmeter(_ function: Code) throws {
    try function.unmeter()
    functions.removeAll { $0 == function }
  }

  /// What the payer has left, in atomic units.
  var balance: Int64 {
    get throws { try balance(of: "user:ana").balance }
  }

  func balance(of account: String) throws -> Engine.BalanceReport {
    try lending(account) { texts in try engine.balance(of: texts[0]) }
  }

  /// The ledger verifies and no hold is open.
  func expectSettled(sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try engine.call("ledger.verify").object?["valid"] == true, sourceLocation: sourceLocation)
    #expect(try balance(of: "user:ana").held == 0, sourceLocation: sourceLocation)
  }
}

/// The address of a C function.
struct Code: Equatable, Sendable {
  let address: UInt

  /// Of a value of a `@convention(c)` type.
  init<Function>(_ function: Function) {
    address = unsafe unsafeBitCast(function, to: UInt.self)
  }

  /// A function of a library of the system.
  init(_ name: String, in library: String) throws {
    let handle = unsafe dlopen(library, RTLD_NOW)
    address = UInt(bitPattern: unsafe dlsym(handle, name))
    try #require(address != 0, "\(library) is needed, and \(name) in it")
  }

  /// The function as a value of a `@convention(c)` type.
  func callable<Function>(as type: Function.Type = Function.self) -> Function {
    unsafe unsafeBitCast(address, to: type)
  }

  var pointer: UnsafeRawPointer {
    get throws { unsafe try #require(unsafe UnsafeRawPointer(bitPattern: address)) }
  }

  func unmeter() throws {
    try unsafe MeteredSlots.unmeter(UnsafeMutableRawPointer(bitPattern: address))
  }
}

/// Lends some texts for the length of a call.
func lending<Result>(_ texts: String..., body: ([BorrowedText]) throws -> Result) rethrows -> Result {
  let bytes = Array(texts.joined().utf8)
  return try unsafe bytes.withUnsafeBufferPointer { buffer in
    var start = 0
    let borrowed = texts.map { text in
      defer { start += text.utf8.count }
      return unsafe BorrowedText(buffer.baseAddress.map { unsafe $0 + start }, count: text.utf8.count)
    }
    return try body(borrowed)
  }
}

/// The status and the amount of the last metered call on this thread; nil where nothing was charged.
func lastCall() -> (status: Status, amount: Int64?) {
  switch MeteringThread.lastCall {
  case .success(let receipt): (.ok, receipt?.amount)
  case .failure(let failure): (failure.status, nil)
  }
}

/// Names who pays on this thread.
func pay(_ payer: String, run: String = "") throws {
  try lending(payer, run) { texts in try MeteringThread.pay(texts[0], run: texts[1]) }
}
