import FareboxCore
import FareboxReference
import Testing

@testable import Farebox

/// A table of events and what is expected of each, for readers who do not program.
///
///     deposit user:ana 10                 -> OK
///     reserve user:ana 4 as first         -> OK available=6.00
///     capture @first 5                    -> OVER_CAPTURE remaining=4.00
///     balance user:ana                    -> OK balance=10.00 held=4.00
///
/// The first word is one of `shorthand`, or any operation's name; the words after it are its fields in the order given
/// there, then others as `field=value`. `as` keeps the number of what came about, and `@` uses it. After the arrow
/// stands the status, and then fields of the answer, or of the refusal's details. `clock`, `wait`, `reopen`, `seal` and
/// `tick` speak for themselves.
struct Script {
  let ledger: TestLedger
  private var names: [String: Int64] = [:]

  init(_ ledger: TestLedger) {
    self.ledger = ledger
  }

  private static let shorthand: [String: (operation: String, fields: [String])] = [
    "open": ("account.open", ["account"]), "deposit": ("account.deposit", ["account", "amount"]),
    "withdraw": ("account.withdraw", ["account", "amount"]), "freeze": ("account.freeze", ["account"]),
    "unfreeze": ("account.unfreeze", ["account"]), "close": ("account.close", ["account"]),
    "credit": ("account.set_credit_line", ["account", "credit_line"]), "balance": ("balance.get", ["account"]),
    "charge": ("charge.create", ["payer", "amount"]), "call": ("charge.create", ["payer", "tool"]),
    "refund": ("charge.refund", ["id", "amount"]), "reserve": ("hold.reserve", ["payer", "amount"]),
    "reserve_call": ("hold.reserve", ["payer", "tool"]), "capture": ("hold.capture", ["hold", "amount"]),
    "release": ("hold.release", ["hold"]), "increase": ("hold.increase", ["hold", "amount"]),
    "extend": ("hold.extend", ["hold", "expires_in_ms"]),
    "hold": ("hold.get", ["hold"]), "transfer": ("transfer.create", []), "reverse": ("transfer.reverse", ["id"]),
    "entry": ("transfer.get", ["id"]), "budget": ("budget.set", ["account", "window", "amount"]),
    "count": ("budget.set", ["account", "window", "count"]), "unbudget": ("budget.remove", ["account", "name"]),
    "budgets": ("budget.list", ["account"]), "limits": ("limit.set", ["account"]),
    "begin": ("call.begin", ["payer", "tool"]), "finish": ("call.finish", ["hold", "ending"]),
    "quote": ("price.quote", ["tool"]), "skill": ("skill.register", ["manifest"]),
    "card": ("rate_card.publish", ["card"]), "events": ("event.list", ["account"]),
  ]

  /// Plays the lines of a table, and records what turns out otherwise.
  mutating func play(_ table: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    for line in table.split(separator: "\n") where !line.allSatisfy(\.isWhitespace) {
      try play(line: line, sourceLocation)
    }
  }

  private mutating func play(line: Substring, _ sourceLocation: SourceLocation) throws {
    var words = line.split(separator: " ")
    guard let command = words.first, command != "#" else { return }
    var expected: [Substring] = ["OK"]
    if let arrow = words.firstIndex(of: "->") {
      expected = Array(words[(arrow + 1)...])
      words = Array(words[..<arrow])
    }
    var label: String?
    if words.count > 2, words[words.count - 2] == "as" {
      label = String(words[words.count - 1])
      words.removeLast(2)
    }
    words.removeFirst()
    if try playControl(command, words) { return }
    let answer = try run(String(command), words)
    if let label { names[label] = number(in: answer, isHold: command.hasPrefix("reserve") || command == "begin") }
    check(answer, expected, line, sourceLocation)
  }

  /// The answer to one line without an arrow; fails the test where it is a failure.
  func answer(_ line: String) throws -> JSON {
    let words = line.split(separator: " ")
    return try run(String(words[0]), Array(words.dropFirst())).get()
  }

  /// As `answer`, and throws the failure itself.
  func attempt(_ line: String) throws(Failure) -> JSON {
    let words = line.split(separator: " ")
    let answer: Result<JSON, Failure>
    do {
      answer = try run(String(words[0]), Array(words.dropFirst()))
    } catch {
      throw Failure(.internal, "'\(line)' cannot be played: \(error)")
    }
    return try answer.get()
  }

  private func playControl(_ command: Substring, _ words: [Substring]) throws -> Bool {
    switch command {
    case "clock": ledger.clock.now = try NaiveCalendar.parse(words[0])
    case "wait": ledger.clock.advance(try duration(words[0]))
    case "reopen": try ledger.reopen()
    case "seal": try ledger.engine.sealNow()
    case "tick": _ = try ledger.engine.tick()
    default: return false
    }
    return true
  }

  /// Reads `90us`, `15ms`, `10s`, `15m`, `2h` or `31d`.
  private func duration(_ text: Substring) throws -> Int64 {
    let units: [(String, Int64)] = [
      ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
    ]
    let unit = try #require(units.first { text.hasSuffix($0.0) })
    return try #require(Int64(text.dropLast(unit.0.count))) * unit.1
  }

  private func run(_ command: String, _ words: [Substring]) throws -> Result<JSON, Failure> {
    let (name, fields) = Script.shorthand[command] ?? (command, [])
    let operation = try #require(OperationTable.engine.find(name), "There is no operation '\(name)'.")
    var input: JSONObject = [:]
    var postings: [JSON] = []
    var position = 0
    for word in words {
      if let equals = word.firstIndex(of: "="), word[..<equals].allSatisfy({ $0.isLetter || "_:/.".contains($0) }) {
        let key = String(word[..<equals])
        let value = word[word.index(after: equals)...]
        if name == "transfer.create", key.contains(":") || key == "platform" || key == "external" {
          postings.append(posting(key, value))
        } else {
          input.append(key, try json(value, try kind(key, operation)))
        }
      } else {
        try #require(position < fields.count, "'\(word)' is a word too many.")
        input.append(fields[position], try json(word, try kind(fields[position], operation)))
        position += 1
      }
    }
    if name == "transfer.create" { input.append("postings", .array(postings)) }
    do throws(Failure) {
      return .success(try ledger.engine.call(name, .object(input)))
    } catch {
      return .failure(error)
    }
  }

  /// `-5` or `-5@EUR`.
  private func posting(_ account: String, _ value: Substring) -> JSON {
    let parts = value.split(separator: "@")
    var posting: JSONObject = ["account": .string(account), "amount": .string(String(parts[0]))]
    if parts.count > 1 { posting.append("asset", .string(String(parts[1]))) }
    return .object(posting)
  }

  private func kind(_ field: String, _ operation: Farebox.Operation) throws -> OperationField.Kind {
    try #require(operation.input.first { $0.name == field }, "'\(operation.name)' has no field '\(field)'.").kind
  }

  private func json(_ text: Substring, _ kind: OperationField.Kind) throws -> JSON {
    if text.hasPrefix("@") { return .int(try #require(names[String(text.dropFirst())], "Nothing is named '\(text)'.")) }
    switch kind {
    case .text, .amount: return .string(String(text))
    case .flag: return .bool(text == "true")
    case .integer: return .number(String(text))
    case .object, .list, .any: return try JSON.parse(String(text))
    }
  }

  private func number(in answer: Result<JSON, Failure>, isHold: Bool) -> Int64? {
    guard case .success(let json) = answer else { return nil }
    return json.object?[isHold ? "hold" : "id"]?.int64
  }

  private func check(
    _ answer: Result<JSON, Failure>, _ expected: [Substring], _ line: Substring, _ sourceLocation: SourceLocation
  ) {
    let found: String
    let facts: JSON
    switch answer {
    case .success(let json): (found, facts) = ("OK", json)
    case .failure(let failure):
      found = failure.status.entry?.name ?? "?"
      facts = failure.details
      if found != expected[0] { print(failure) }
    }
    #expect(found == expected[0], "\(line)", sourceLocation: sourceLocation)
    guard found == expected[0] else { return }
    for word in expected.dropFirst() {
      guard let equals = word.firstIndex(of: "=") else { continue }
      let path = word[..<equals]
      var value = text(at: path, facts)
      if path == "field", case .failure(let failure) = answer { value = failure.field }
      let wanted = word[word.index(after: equals)...]
      #expect(value == String(wanted), "\(path) of: \(line)", sourceLocation: sourceLocation)
    }
  }

  /// The text of `held_by.0.amount` and the like; `count` is the length of a list.
  private func text(at path: Substring, _ json: JSON) -> String {
    var json: JSON? = json
    for step in path.split(separator: ".") {
      if step == "count", let elements = json?.array {
        json = .int(Int64(elements.count))
      } else if let index = Int(step) {
        json = (json?.array).flatMap { $0.indices.contains(index) ? $0[index] : nil }
      } else {
        json = json?.object?[String(step)]
      }
    }
    switch json {
    case nil: return "absent"
    case .null: return "null"
    case .bool(let flag): return String(flag)
    case .number(let text), .string(let text): return text
    case .array, .object: return json?.serialized() ?? ""
    }
  }
}
