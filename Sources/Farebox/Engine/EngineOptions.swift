/// When a receipt is returned.
public enum Durability: Int32, Sendable {
  /// After fsync: survives a power loss.
  case full = 1
  /// After commit: survives a crash of the process, and every process sees it.
  case normal = 2
  /// Before commit; only where the process holds the ledger alone.
  case relaxed = 3
}

/// How a ledger is opened.
public struct EngineOptions: Sendable {
  /// This process holds the ledger alone until it closes.
  public var isExclusive = false
  /// Fail rather than make a new ledger.
  public var mustExist = false
  /// Of charges and captures.
  public var durability = Durability.full
  /// Of reserve, release and extend; nil is `normal`, or `relaxed` where `durability` is.
  ///
  /// A hold that is lost with the power costs nobody anything: no money has moved. A capture that is lost does, so it
  /// is the capture that waits for the disk.
  public var holdDurability: Durability?
  /// Bound on the memory of idempotency keys.
  public var keyMemoryBytes = 64 << 20
  /// How long to wait for another process.
  public var busyTimeoutMilliseconds: UInt32 = 10_000
  /// Relaxed records are committed after this many at the latest.
  public var relaxedRecords = 4_096
  /// And after this time, at the next call or tick.
  public var relaxedMilliseconds: Int64 = 10
  /// The asset of amounts that name none.
  public var defaultAsset = "USD"
  /// Where a payer can add credit, for the sentence of a refusal; empty is nowhere.
  public var paymentURL = ""
  /// Microseconds since 1970; nil is the system's clock.
  public var clock: (@Sendable () -> Int64)?
  /// Where the names of writers and the secret of a new ledger come from, nil where there is no more; a simulation gives
  /// its own.
  package var randomWord: @Sendable () -> UInt64? = { try? SecureRandom.word() }
  /// Seal after this many records; nil follows from the memory of keys. A simulation seals young ledgers.
  package var sealRecords: Int?

  public init() {}
}
