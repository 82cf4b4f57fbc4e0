/// A deliberate fault at a seam, which the simulator has to find; one that it does not find says that it is blind there.
enum Canary: String, CaseIterable, Sendable {
  /// The store says that a commit is on the disk when it is not.
  case lyingFlush = "lying-flush"
  /// The store keeps what was rolled back.
  case lostRollback = "lost-rollback"
  /// A server forgets the last commit that it acknowledged to a connection when that connection breaks.
  case droppedCommit = "dropped-commit"
  /// The store lets two writers in at once, and the second overwrites the first.
  case openDoor = "open-door"
  /// The store loses a row of a seal.
  case lostRow = "lost-row"
  /// The store gives back a segment with one bit changed.
  case flippedBit = "flipped-bit"
  /// A caller tries again without its key.
  case keylessRetry = "keyless-retry"
  /// The store says that a commit has failed although it has not.
  case falseAlarm = "false-alarm"
  /// The reference forgets the budgets when a process ends.
  case forgetfulReference = "forgetful-reference"
  /// The reference returns what a hold was not used for a microsecond too late.
  case lateReference = "late-reference"
  // The reference gets a rule of metered calls wrong; see `CallMistake`.
  case freeReturn = "free-return"
  case freeStream = "free-stream"
  case paidReport = "paid-report"
  case paidReportAfterItems = "paid-report-after-items"
  case paidFailure = "paid-failure"
  case freeFailureAfterItems = "free-failure-after-items"
  case paidLeaving = "paid-leaving"
  case freeLeavingAfterItems = "free-leaving-after-items"
  case freeUnreported = "free-unreported"
  case ignoredEstimate = "ignored-estimate"
  case ignoredRecord = "ignored-record"
  case ignoredMaximum = "ignored-maximum"
  case droppedShortfall = "dropped-shortfall"
  case paidTwice = "paid-twice"
  case freeLate = "free-late"
}
