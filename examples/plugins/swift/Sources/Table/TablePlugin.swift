/// An instance of the plugin: its configuration, and the tools. The host calls one function of it at a time.
final class TablePlugin {
  typealias Tool = (TablePlugin) -> (borrowing ToolCall, [String: JSON]) throws(Refusal) -> Void

  /// All tools, by the names that the manifest gives them.
  static var tools: [(name: StaticString, run: Tool)] {
    [("table.rows", TablePlugin.rows), ("table.summary", TablePlugin.summary)]
  }

  let services: Services
  private var separator = UInt8(ascii: ",")

  init(services: Services) {
    self.services = services
  }

  /// Takes a configuration that the host has checked against the manifest's schema.
  func configure(_ config: [UInt8]) throws(Refusal) {
    guard case .object(let members) = JSON(config) else {
      throw Refusal(Answer.invalidInput)
    }
    guard case .string(let text)? = members["separator"], let first = text.utf8.first else {
      separator = UInt8(ascii: ",")
      return
    }
    separator = first
  }

  func run(_ call: borrowing ToolCall) throws(Refusal) {
    let name = call.tool
    for tool in Self.tools where name.elementsEqual(tool.name.description.utf8) {
      guard case .object(let input) = JSON(call.input) else {
        throw Refusal(Answer.invalidInput, "the input is not a JSON object")
      }
      return try tool.run(self)(call, input)
    }
    throw Refusal(Answer.unknownTool)
  }

  /// The columns and the rows below them. Each row is a unit.
  private func read(_ call: borrowing ToolCall, _ input: [String: JSON]) throws(Refusal) -> (
    columns: [String], rows: [[String]]
  ) {
    guard case .string(let csv)? = input["csv"] else {
      throw Refusal(Answer.invalidInput, "input.csv is not a text")
    }
    var reader = CSVReader(csv, separator: separator)
    guard let columns = reader.next() else {
      throw Refusal(Answer.invalidInput, "input.csv has no line that names the columns")
    }
    var rows: [[String]] = []
    while let row = reader.next() {
      guard row.count == columns.count else {
        throw Refusal(Answer.invalidInput, "row \(rows.count + 1) has \(row.count) cells for \(columns.count) columns")
      }
      rows.append(row)
      if rows.count.isMultiple(of: 256), call.isCancelled { throw Refusal(Answer.cancelled) }
    }
    try call.addUnits(rows.count)
    return (columns, rows)
  }

  private func rows(_ call: borrowing ToolCall, _ input: [String: JSON]) throws(Refusal) {
    let (columns, rows) = try read(call, input)
    try call.write("{\"columns\":\(Self.list(columns)),\"rows\":[")
    for (place, row) in rows.enumerated() {
      try call.write((place == 0 ? "" : ",") + Self.list(row))
    }
    try call.write("]}")
  }

  private static func list(_ texts: [String]) -> String {
    "[" + texts.map(JSON.quoted).joined(separator: ",") + "]"
  }

  private func summary(_ call: borrowing ToolCall, _ input: [String: JSON]) throws(Refusal) {
    let (columns, rows) = try read(call, input)
    guard case .string(let name)? = input["column"], let column = columns.firstIndex(of: name) else {
      throw Refusal(Answer.invalidInput, "input.column names no column")
    }
    let numbers = rows.compactMap { Double($0[column]) }.filter(\.isFinite)
    let counts = "\"count\":\(numbers.count),\"skipped\":\(rows.count - numbers.count)"
    guard let least = numbers.min(), let greatest = numbers.max() else {
      return try call.write("{\(counts)}")
    }
    let sum = numbers.reduce(0, +)
    guard sum.isFinite else {
      throw Refusal(Answer.failed, "the sum of the column is beyond a double")
    }
    let mean = sum / Double(numbers.count)
    try call.write("{\(counts),\"sum\":\(sum),\"mean\":\(mean),\"least\":\(least),\"greatest\":\(greatest)}")
  }
}
