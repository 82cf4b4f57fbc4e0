import Testing

/// Plays a table on a new ledger, and has the ledger verified at the end.
func play(
  inFile: Bool = false, startingAt time: Int64 = ManualClock.start, _ table: String,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let ledger = try TestLedger(inFile: inFile, startingAt: time)
  var script = Script(ledger)
  try script.play(table, sourceLocation: sourceLocation)
  try ledger.engine.expectSound(sourceLocation: sourceLocation)
}
