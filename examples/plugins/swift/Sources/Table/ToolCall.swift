import CFareboxPlugin

/// The statuses of the header that this plugin answers.
enum Answer {
  static let ok = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_OK)
  static let failed = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_FAILED)
  static let invalidInput = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_INVALID_INPUT)
  static let unknownTool = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_UNKNOWN_TOOL)
  static let unavailable = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_UNAVAILABLE)
  static let cancelled = farebox_plugin_status(FAREBOX_PLUGIN_STATUS_CANCELLED)
}

/// Why a function of the plugin does not succeed: a status, and a sentence for a person.
struct Refusal: Error {
  let status: farebox_plugin_status
  let sentence: String

  init(_ status: farebox_plugin_status, _ sentence: String = "") {
    self.status = status
    self.sentence = sentence
  }
}

/// The bytes of borrowed text, as the plugin's own.
func bytes(_ text: farebox_plugin_str) -> [UInt8] {
  guard let start = unsafe text.ptr else { return [] }
  return unsafe Array(UnsafeRawBufferPointer(start: start, count: text.len))
}

/// What this plugin uses of its host, which lives longer than the plugin.
@safe struct Services {
  fileprivate let meter: UnsafePointer<farebox_plugin_meter>?
  fileprivate let cancel: UnsafePointer<farebox_plugin_cancel>?

  init(of host: UnsafePointer<farebox_plugin_host>) {
    unsafe meter = Self.find(FAREBOX_PLUGIN_METER, of: host)?.assumingMemoryBound(to: farebox_plugin_meter.self)
    unsafe cancel = Self.find(FAREBOX_PLUGIN_CANCEL, of: host)?.assumingMemoryBound(to: farebox_plugin_cancel.self)
  }

  private static func find(_ id: String, of host: UnsafePointer<farebox_plugin_host>) -> UnsafeRawPointer? {
    unsafe withText(id) { unsafe host.pointee.service(host, $0) }
  }
}

/// Gives text to C for as long as `body` runs.
private func withText<Result>(_ text: String, _ body: (farebox_plugin_str) -> Result) -> Result {
  var text = text
  return text.withUTF8 { buffer in
    unsafe buffer.withMemoryRebound(to: CChar.self) { characters in
      unsafe body(farebox_plugin_str(ptr: characters.baseAddress, len: characters.count))
    }
  }
}

/// One call of a tool. It must not outlive the function that was given it, which is why it cannot be copied.
@safe struct ToolCall: ~Copyable {
  private let raw: UnsafePointer<farebox_plugin_call>
  private let services: Services

  init(_ raw: UnsafePointer<farebox_plugin_call>, services: Services) {
    unsafe self.raw = raw
    self.services = services
  }

  var tool: [UInt8] { unsafe bytes(raw.pointee.tool) }
  var input: [UInt8] { unsafe bytes(raw.pointee.input) }

  /// Whether to stop: the caller gave up, or the deadline is near.
  var isCancelled: Bool {
    guard let cancel = unsafe services.cancel else { return false }
    return unsafe cancel.pointee.cancelled(raw) != 0
  }

  /// Writes output.
  func write(_ text: String) throws(Refusal) {
    let status = unsafe withText(text) { text in
      unsafe raw.pointee.output.pointee.write(raw.pointee.output, text.ptr, text.len)
    }
    guard status == Answer.ok else { throw Refusal(status) }
  }

  /// Says why the call fails. A sentence that is too long is lost, and the status tells.
  func explain(_ sentence: String) {
    _ = unsafe withText(sentence) { text in
      unsafe raw.pointee.error.pointee.write(raw.pointee.error, text.ptr, text.len)
    }
  }

  /// Adds to the units that the call is charged for.
  func addUnits(_ count: Int) throws(Refusal) {
    guard let meter = unsafe services.meter else {
      throw Refusal(Answer.unavailable, "this host meters nothing")
    }
    let status = unsafe withText("units") { unsafe meter.pointee.add(raw, $0, Int64(count), 0) }
    guard status == Answer.ok else { throw Refusal(status, "the rows could not be metered") }
  }
}
