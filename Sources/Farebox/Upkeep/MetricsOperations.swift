internal import FareboxCore
internal import FareboxStore
internal import Synchronization

/// What an operator watches, through the JSON door.
enum MetricsOperations {
  static let all: [Operation] = [describe, metrics]

  static let describe = Operation(
    "engine.describe", "Tells how this engine was opened, without waiting for anybody.",
    output: [
      OperationField(
        "address", .text,
        "Where the ledger is kept: a `sqlite:`, `postgresql:` or `memory:` address without a password."),
      OperationField("exclusive", .flag, "Whether this process holds the ledger alone."),
      OperationField("read_only", .flag, "Whether the ledger can only be read."),
    ]
  ) { engine, _ throws(Failure) in
    [
      "address": .string(engine.store.shownAddress), "exclusive": .bool(engine.isExclusive),
      "read_only": .bool(engine.isReadOnly),
    ]
  }

  static let metrics = Operation(
    "engine.metrics",
    "Tells what this engine has done since it was opened, and how it stands, without waiting for anybody.",
    output: [
      OperationField("uptime_us", .integer, "Microseconds since it was opened."),
      OperationField("calls", .object, "Calls that took a turn, by family of status; each charge of a batch."),
      OperationField("replays", .integer, "Calls answered with the receipt of an earlier one."),
      OperationField("commits", .integer, "Commits."),
      OperationField("flushes", .integer, "Commits, and waits without one, that waited for the disk."),
      OperationField("records", .integer, "Records committed."),
      OperationField("retries", .integer, "Turns tried again because the store's failure might pass."),
      OperationField("reconnects", .integer, "Connections to the store that were lost and made again."),
      OperationField("expired_holds", .integer, "Holds that expired."), OperationField("seals", .integer, "Seals."),
      OperationField("seal_us", .integer, "Microseconds spent in sealing, merges included."),
      OperationField("merges", .integer, "Merges of runs of idempotency keys."),
      OperationField("merge_us", .integer, "Microseconds spent in merging."),
      OperationField("queue_depth", .integer, "Callers that wait for a turn now."),
      OperationField("queue_depth_max", .integer, "The most that ever waited at once."),
      OperationField("group_size", .object, "Callers that shared a turn: count, sum, p50, p99, max and buckets."),
      OperationField("turn_wait", .object, "How long the first caller of a turn waited for it, in microseconds."),
      OperationField("turn_work", .object, "How long turns took, in microseconds, but for relaxed ones."),
      OperationField("commit", .object, "How long commits took, in microseconds."),
      OperationField("ledger_records", .integer, "Records of the ledger, as this engine saw it last."),
      OperationField("sealed_records", .integer, "Of these, records in sealed indexes."),
      OperationField("open_holds", .integer, "Holds that are open."),
      OperationField("key_memory_bytes", .integer, "Memory of the idempotency keys."),
    ]
  ) { engine, _ throws(Failure) in
    let metrics = engine.metrics
    func count(_ counter: borrowing Atomic<Int>) -> JSON { .int(Int64(counter.load(ordering: .relaxed))) }
    let depth = engine.turnstile.depth
    let ledger = engine.withLedger { ledger -> JSONObject in
      [
        "replays": .int(Int64(ledger.replays)), "ledger_records": Shapes.number(ledger.firstUnwritten - 1),
        "sealed_records": Shapes.number(ledger.state.sealedThrough),
        "open_holds": .int(Int64(ledger.state.holds.count)), "key_memory_bytes": .int(Int64(ledger.keys.bytes)),
      ]
    }
    var row: JSONObject = [
      "uptime_us": .int(metrics.uptime), "calls": metrics.callsJSON, "commits": count(metrics.commits),
      "flushes": count(metrics.flushes), "records": count(metrics.records), "retries": count(metrics.retries),
      "reconnects": count(metrics.reconnects), "expired_holds": count(metrics.expired), "seals": count(metrics.seals),
      "seal_us": count(metrics.sealTime), "merges": count(metrics.merges), "merge_us": count(metrics.mergeTime),
      "queue_depth": .int(Int64(depth.now)), "queue_depth_max": .int(Int64(depth.largest)),
      "group_size": metrics.groupSize.json(unit: ""), "turn_wait": metrics.turnWait.json(unit: "_us"),
      "turn_work": metrics.turnWork.json(unit: "_us"), "commit": metrics.commitTime.json(unit: "_us"),
    ]
    for member in ledger.members { row.append(member.key, member.value) }
    return .object(row)
  }
}
