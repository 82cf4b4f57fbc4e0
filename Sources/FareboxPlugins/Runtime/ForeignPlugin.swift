internal import FareboxCore

/// A library that knows nothing of Farebox, in this process: its tools are functions, called by their signatures.
@safe
final class ForeignPlugin: LocalPlugin, @unchecked Sendable {
  // Sound because whoever uses the slot has entered `state`, and the functions are mapped for ever.
  @safe
  private struct Tool {
    let name: [UInt8]
    let function: ForeignFunction
    let frame: CallFrame
    let address: UnsafeRawPointer
  }

  private let tools: [Tool]
  private let slot = CallSlot(store: nil)
  private let state = InstanceState()

  /// Maps an image and finds the manifest's functions in it.
  ///
  /// - Parameter image: a descriptor, which may be closed afterwards.
  /// - Throws: `pluginBroken`.
  init(image: Int32, manifest: PluginManifest) throws(Failure) {
    let library = try SharedObject(image: image)
    var tools: [Tool] = []
    for tool in manifest.tools {
      guard let function = tool.foreign else {
        throw Failure(.pluginBroken, "The tool '\(tool.name)' names no function.")
      }
      guard let address = unsafe library.symbol(function.symbol) else {
        throw Failure(.pluginBroken, "The library has no function '\(function.symbol)' for the tool '\(tool.name)'.")
      }
      let frame = try CallFrame(function.signature)
      unsafe tools.append(
        Tool(name: Array(tool.name.utf8), function: function, frame: frame, address: UnsafeRawPointer(address)))
    }
    self.tools = tools
  }

  // MARK: Life, which such a library has none of

  func initialise(config: String) throws(Failure) {
    try state.pass(from: .loaded, to: .initialised, failed: .ended) { () throws(Failure) in }
  }

  func activate() throws(Failure) {
    try state.pass(from: .initialised, to: .active, failed: .initialised) { () throws(Failure) in }
  }

  func health() throws(Failure) {
    try state.pass(from: .active, to: .active, failed: .active) { () throws(Failure) in }
  }

  func configure(_ config: String) throws(Failure) {
    try state.pass(from: .active, to: .active, failed: .active) { () throws(Failure) in }
  }

  func deactivate() {
    guard state.enter(.active) else { return }
    state.leave(.initialised)
  }

  func shutdown() {
    guard state.enter(.initialised) else { return }
    state.leave(.ended)
  }

  // MARK: Calls

  func run<Result>(
    _ request: borrowing BorrowedCall, fetch: ((String) -> [UInt8]?)?, whenFull: (() -> Void)?,
    _ body: (CallSlot) -> Result
  ) throws(Failure) -> Result {
    guard state.enter(.active) else { throw state.refusal(.active) }
    defer { state.leave(.active) }
    let name = unsafe request.tool
    guard let tool = tools.first(where: { unsafe name.bytes.elementsEqual($0.name) }) else {
      throw Failure(.pluginBroken, "The plugin does not know a tool that it lists.")
    }
    let input = unsafe request.input.bytes.isEmpty ? [] : Array(request.input.bytes)
    let arguments: ForeignArguments
    do throws(Failure) {
      arguments = try ForeignArguments(input.isEmpty ? .object([:]) : JSON.parse(input), of: tool.function)
    } catch {
      throw Failure(.pluginInput, field: error.field, error.message)
    }
    unsafe slot.open(request, measured: MeterSet())
    defer { slot.close() }
    let output = try call(tool, arguments)
    unsafe Array(output.utf8).withUnsafeBytes { unsafe _ = slot.output.write($0) }
    guard !slot.output.isFull else {
      throw Failure(.pluginOutputLimit, unsafe "The call wrote more than \(request.outputLimit) bytes.")
    }
    let result = body(slot)
    slot.output.close()
    return result
  }

  private func call(_ tool: Tool, _ arguments: ForeignArguments) throws(Failure) -> String {
    let result = unsafe tool.frame.invoke(tool.address, arguments.values)
    if let success = tool.function.success, unsafe !success.holds(result.integer) {
      throw Failure(.pluginFailed, unsafe "The function \(tool.function.symbol) returned \(result.integer).")
    }
    return try unsafe arguments.output(result).serialized()
  }
}

extension ForeignFunction.Success {
  /// Whether a result means that the call has worked.
  func holds(_ result: Int64) -> Bool {
    switch self {
    case .equal(let value): result == value
    case .unequal(let value): result != value
    case .minimum(let value): result >= value
    }
  }
}
