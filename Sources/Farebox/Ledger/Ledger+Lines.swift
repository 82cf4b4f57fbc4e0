internal import FareboxCore
internal import FareboxStore

extension Ledger {
  /// Prices the lines of a capture.
  func price(_ lines: [CaptureLine], _ hold: Hold, at time: Int64) throws(Rejection) -> [PricedLine] {
    guard !lines.isEmpty else {
      throw .failed(Failure(.missingField, field: "lines", "A capture of lines has at least one."))
    }
    guard lines.count <= Limits.captureLines else {
      throw .failed(Failure(.tooLong, field: "lines", "A capture has at most \(Limits.captureLines) lines."))
    }
    var priced: [PricedLine] = []
    for (index, line) in lines.enumerated() {
      do throws(Rejection) {
        try Ledger.checkText(line.description, "description", Limits.description)
        var stored = line.tool.isEmpty && line.amount != nil ? try amount(line, hold) : try price(line, hold, at: time)
        stored.charged = stored.priced
        stored.request = fingerprint(line)
        if stored.price > 0, !(line.usage ?? .oneRequest).isSingleRequest { stored.flags |= StoredLine.Flags.usage }
        priced.append(PricedLine(request: line, stored: stored))
      } catch {
        throw error.inside("lines[\(index)]")
      }
    }
    return priced
  }

  /// A line that is an amount.
  private func amount(_ line: CaptureLine, _ hold: Hold) throws(Rejection) -> StoredLine {
    guard line.usage == nil else {
      throw .failed(
        Failure(
          .invalidArgument, field: "usage", "Give a usage or an amount; with both, name a tool whose price is dynamic.")
      )
    }
    let amount = line.amount ?? 0
    guard amount >= 0 else { throw .failed(Failure(.invalidAmount, field: "amount", "It must not be negative.")) }
    var stored = StoredLine()
    stored.priced = amount
    stored.flags = StoredLine.Flags.explicit
    if line.payee.isEmpty {
      stored.beneficiary = hold.beneficiary
      stored.tool = hold.tool
      return stored
    }
    guard let payee = state.account(line.payee) else {
      throw .failed(state.unknownAccount(line.payee, field: "payee"))
    }
    stored.beneficiary = state.wallet(of: payee)
    return stored
  }

  /// A line that a tool's price decides.
  private func price(_ line: CaptureLine, _ hold: Hold, at time: Int64) throws(Rejection) -> StoredLine {
    guard line.payee.isEmpty else {
      throw .failed(Failure(.invalidArgument, field: "payee", "A tool's price decides it; leave it out."))
    }
    guard !line.tool.isEmpty || line.usage != nil else {
      throw .failed(Failure(.missingField, field: "tool", "A line has a tool, a usage or an amount."))
    }
    var stored = StoredLine()
    if line.tool.isEmpty || names(line.tool, hold) {
      guard hold.price > 0 else {
        throw .failed(
          Failure(.invalidArgument, field: "usage", "The hold has no price; name a tool, or give an amount."))
      }
      stored.tool = hold.tool
      stored.price = hold.price
      stored.beneficiary = hold.beneficiary
    } else {
      let (tool, price) = try pricedTool(line.tool, customer: hold.account, at: time)
      stored.tool = tool + 1
      stored.price = price + 1
      stored.beneficiary = state.catalog.prices[Int(price)].beneficiary
    }
    let version = state.catalog.prices[Int(stored.price) - 1]
    guard version.asset == hold.asset else {
      let codes = (state.catalog.assets[Int(version.asset)].code, state.catalog.assets[Int(hold.asset)].code)
      throw .failed(
        Failure(.assetMismatch, field: "tool", "Tool '\(line.tool.shown)' costs \(codes.0); the hold is in \(codes.1).")
      )
    }
    if line.amount != nil, !version.price.isDynamic {
      throw .failed(
        Failure(.invalidArgument, field: "amount", "The tool has a price; an amount is for a dynamic one."))
    }
    do throws(Failure) {
      let quote = try version.price.quote(line.usage ?? .oneRequest, dynamicAmount: line.amount) { _ in }
      stored.priced = quote.total
      if quote.capped { stored.flags |= StoredLine.Flags.capped }
      if line.amount != nil { stored.flags |= StoredLine.Flags.explicit }
    } catch {
      throw .failed(error)
    }
    return stored
  }

  /// Whether a name is the tool's of a hold, in the version that the hold was priced by.
  private func names(_ tool: BorrowedText, _ hold: Hold) -> Bool {
    guard hold.tool > 0, hold.price > 0, let named = state.catalog.find(tool) else { return false }
    // A plain name that several skills have by now is that of the tool that is called.
    if named.isAmbiguous {
      return state.catalog.identities[Int(hold.tool) - 1].name.withBorrowedText { $0.equals(tool) }
    }
    return named.tool == hold.tool - 1 && (named.price.map { $0 == hold.price - 1 } ?? true)
  }

  /// What all lines cost together, and whether a maximum bound one of them.
  static func total(_ lines: [PricedLine]) throws(Rejection) -> (Int64, Bool) {
    var total: Int64 = 0
    var isCapped = false
    for line in lines {
      let (sum, overflow) = total.addingReportingOverflow(line.stored.charged)
      guard !overflow else {
        throw .failed(Failure(.overflow, field: "lines", "The lines together do not fit into 64 bits of atomic units."))
      }
      total = sum
      isCapped = isCapped || line.stored.flags & StoredLine.Flags.capped != 0
    }
    return (total, isCapped)
  }

  /// Cuts lines to an amount, from the last to the first.
  static func cut(_ lines: inout [PricedLine], from total: Int64, to amount: Int64) {
    var left = total - amount
    for index in lines.indices.reversed() where left > 0 && lines[index].stored.charged > 0 {
      let part = min(left, lines[index].stored.charged)
      lines[index].stored.charged -= part
      lines[index].stored.flags |= StoredLine.Flags.capped
      left -= part
    }
  }

  /// Refuses lines whose payees cannot be credited.
  func checkCredit(_ lines: [PricedLine], _ hold: Hold, _ amount: Int64) throws(Rejection) {
    for (index, line) in lines.enumerated() {
      var payee = hold.payee
      if line.stored.price > 0 {
        payee = state.catalog.prices[Int(line.stored.price) - 1].payee
      } else if !line.request.payee.isEmpty {
        payee = state.account(line.request.payee) ?? line.stored.beneficiary
      }
      do throws(Rejection) {
        try checkCredit(line.stored.beneficiary, named: payee, hold.asset, amount)
      } catch {
        throw error.inside("lines[\(index)]")
      }
    }
  }

  /// The first field in which lines differ from those of a record, or nil.
  func difference(_ lines: [CaptureLine], _ heap: Heap) -> String? {
    guard let before = try? StoredLine.all(heap[.lines]), before.count == lines.count else { return "lines" }
    for (index, line) in lines.enumerated() where fingerprint(line) != before[index].request {
      return "lines[\(index)]"
    }
    return nil
  }

  /// Stands for a line as it was asked for, whatever its names stand for by now.
  private func fingerprint(_ line: CaptureLine) -> UInt64 {
    var words: [Int64] = []
    for text in [line.tool, line.payee, line.description] {
      let hash = unsafe sipHash128(text.bytes, key: secret)
      words += [Int64(bitPattern: hash.low), Int64(bitPattern: hash.high)]
    }
    words += [line.amount == nil ? 0 : 1, line.amount ?? 0]
    words += (line.usage ?? .oneRequest).words
    return unsafe words.withUnsafeBytes { unsafe sipHash128($0, key: secret).low }
  }

  // MARK: What they say

  /// The lines of a capture as JSON, or nil for a record without.
  ///
  /// - Parameter explains: whether to tell how the price of each came about.
  func linesJSON(_ record: Record, _ heap: Heap, explains: Bool) throws(Failure) -> JSON? {
    guard record.kind == RecordKind.capture.rawValue, record.flags & RecordFlags.lines != 0 else { return nil }
    let asset = state.catalog.assets[Int(record.asset)]
    var rows: [JSON] = []
    for line in try StoredLine.all(heap[.lines]) { rows.append(try json(line, asset, explains: explains)) }
    return .array(rows)
  }

  private func json(_ line: StoredLine, _ asset: Asset, explains: Bool) throws(Failure) -> JSON {
    func text(_ units: Int64) -> JSON {
      .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits))
    }
    var row: JSONObject = ["amount": text(line.charged), "priced": text(line.priced)]
    if line.tool > 0 { for (key, value) in toolMembers(line.tool - 1) { row.append(key, value) } }
    row.append("price_version", Shapes.number(UInt64(line.price)))
    row.append("capped", .bool(line.flags & StoredLine.Flags.capped != 0))
    if line.price > 0, line.price <= state.catalog.prices.count {
      let price = state.catalog.prices[Int(line.price) - 1].price
      let usage = line.usage.isEmpty ? Usage.oneRequest : try Usage(words: line.usage)
      row.append("usage", usage.json(scale: asset.scale))
      if explains, line.flags & StoredLine.Flags.explicit == 0 {
        var lines: [QuoteLine] = []
        _ = try? price.quote(usage) { lines.append($0) }
        row.append("lines", Shapes.lines(lines, asset))
      }
    } else if line.beneficiary & Record.splitBit == 0, line.beneficiary < state.accounts.count {
      row.append("payee", .string(state.accountNames[line.beneficiary]))
    }
    if let text = line.description.string, !text.isEmpty { row.append("description", .string(text)) }
    return .object(row)
  }

  /// What a receipt's JSON says beside its numbers.
  ///
  /// - Parameter store: where the lines are, if there are any.
  func detailed(_ receipt: Receipt, in store: (any Store)? = nil) throws(Rejection) -> ReceiptDetail {
    var lines: JSON?
    if receipt.hasLines, let store {
      do throws(Failure) {
        lines =
          try withRecord(receipt.id, in: store) { record, heap throws(Failure) in
            try linesJSON(record, heap, explains: false)
          } ?? nil
      } catch {
        throw .failed(error)
      }
    }
    return ReceiptDetail(
      asset: state.catalog.assets[Int(receipt.asset)],
      tool: receipt.tool == 0 ? [] : toolMembers(receipt.tool - 1), lines: lines)
  }
}

/// What a receipt's JSON says beside its numbers.
struct ReceiptDetail {
  let asset: Asset
  /// The members that tell the tool; none for an amount.
  let tool: [(String, JSON)]
  let lines: JSON?
}

extension Rejection {
  /// The same of something that stands at a path.
  func inside(_ path: String) -> Rejection {
    guard case .failed(let failure) = self, storeFailure == nil else { return self }
    return .failed(
      Failure(
        failure.status, field: failure.field.isEmpty ? path : "\(path).\(failure.field)", failure.message,
        details: failure.details))
  }
}
