internal import FareboxCore

/// What a name stands for: a tool at the price that applies, or at the one that a version of its skill declared.
struct NamedTool: Equatable {
  let tool: UInt32
  /// Index of the version's price + 1, or 0.
  private let pin: UInt32

  init(_ tool: UInt32, pinned price: UInt32? = nil) {
    self.tool = tool
    pin = price.map { $0 + 1 } ?? 0
  }

  /// Stands for a plain name that several tools have.
  static let ambiguous = NamedTool(.max)

  var isAmbiguous: Bool { tool == .max }

  /// The price of the version that was named, or nil where none was.
  var price: UInt32? { pin == 0 ? nil : pin - 1 }
}

/// The names that tools go by: plain, full and pinned to a version. Each is found by one look into a table.
struct ToolNames: ~Copyable {
  private var table = NameTable()
  /// What each name of the table stands for.
  private var targets: ContiguousArray<NamedTool> = []
  /// The tools of plain names that more than one tool has, by the name's place in the table.
  private var shared: [UInt32: SharedName] = [:]

  private struct SharedName {
    var tools: [UInt32]
    /// Those that are for sale.
    var offered: Set<UInt32>

    /// The only tool that is for sale has the name to itself.
    var target: NamedTool { offered.count == 1 ? NamedTool(offered.first ?? .max) : .ambiguous }
  }

  /// What a name stands for, `ambiguous` where that cannot be told, or nil for an unknown one.
  func find(_ name: BorrowedText) -> NamedTool? {
    guard let known = table.find(name) else { return nil }
    return targets[Int(known)]
  }

  func find(_ name: String) -> NamedTool? {
    name.withBorrowedText { find($0) }
  }

  /// Makes a full or pinned name stand for a tool.
  mutating func set(_ name: String, _ target: NamedTool) {
    if let known = table.find(name) {
      targets[Int(known)] = target
    } else {
      _ = table.add(name)
      targets.append(target)
    }
  }

  /// Gives a tool a plain name, which other tools may have too.
  ///
  /// - Parameter isOffered: whether a tool is for sale.
  mutating func addPlain(_ name: String, _ tool: UInt32, isOffered: (UInt32) -> Bool) {
    guard let known = table.find(name) else {
      _ = table.add(name)
      targets.append(NamedTool(tool))
      return
    }
    var entry = shared.removeValue(forKey: known) ?? SharedName(tools: [targets[Int(known)].tool], offered: [])
    if entry.tools.count == 1 { entry.offered = Set(entry.tools.filter(isOffered)) }
    entry.tools.append(tool)
    if isOffered(tool) { entry.offered.insert(tool) }
    targets[Int(known)] = entry.target
    shared[known] = entry
  }

  /// Notes that a tool of a plain name is for sale from now on, or no longer.
  mutating func offer(_ name: String, _ tool: UInt32, _ isOffered: Bool) {
    guard let known = table.find(name), shared[known] != nil else { return }
    if isOffered {
      shared[known]?.offered.insert(tool)
    } else {
      shared[known]?.offered.remove(tool)
    }
    if let target = shared[known]?.target { targets[Int(known)] = target }
  }

  /// The tools that have a plain name, for sale or not.
  func all(_ name: String) -> [UInt32] {
    guard let known = table.find(name) else { return [] }
    return shared[known]?.tools ?? [targets[Int(known)].tool]
  }

  /// The tools among which a plain name does not decide: those for sale, or where none is all of them.
  func candidates(_ name: String) -> [UInt32] {
    guard let known = table.find(name), let entry = shared[known] else { return all(name) }
    return entry.offered.isEmpty ? entry.tools : entry.tools.filter(entry.offered.contains)
  }
}
