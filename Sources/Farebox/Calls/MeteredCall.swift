package import FareboxCore

/// What a metered call that is about to run asks for; texts are borrowed for the length of the call to the engine.
package struct BeginRequest {
  package var payer = BorrowedText.empty
  package var tool = BorrowedText.empty
  package var run = BorrowedText.empty
  /// The id that a framework gave the call, of any length; empty where there is none.
  package var call = BorrowedText.empty
  /// The key of the call that this one is made inside.
  package var parent = BorrowedText.empty
  /// What the tool is given, in one form for equal arguments.
  package var arguments = BorrowedText.empty
  /// An idempotency key instead of the derived one.
  package var key = BorrowedText.empty
  /// Counts calls that are alike in all of the above.
  package var ordinal: UInt32 = 0
  /// An estimate of the usage; nil is none.
  package var expected: Tally?
  /// The amount of a dynamic price.
  package var amount: Int64?
  /// The caller's maximum; nil is none.
  package var maxCost: Int64?
  package var expiresInMilliseconds = HoldTerms.defaultMilliseconds
  package var terms = CallTerms()

  package init() {}
}

/// The settings of a metered call; the bits are those of the C header.
package struct CallTerms: OptionSet, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// An amount was given for a dynamic price.
  package static let amountGiven = CallTerms(rawValue: 1)
  /// The maximum counts although it is 0.
  package static let maxCostGiven = CallTerms(rawValue: 2)
  /// A price by usage with neither an estimate nor a maximum is charged afterwards.
  package static let chargesAfterwards = CallTerms(rawValue: 4)
  /// Usage that never comes costs nothing.
  package static let releasesUnreported = CallTerms(rawValue: 8)
  /// There is an estimate; the library's own bit.
  package static let expected = CallTerms(rawValue: 1 << 16)
  /// The key was derived or given, so that a repeat of the call is known as one; the library's own bit.
  package static let named = CallTerms(rawValue: 1 << 17)

  /// Those that a caller may give.
  package static let callers: CallTerms = [.amountGiven, .maxCostGiven, .chargesAfterwards, .releasesUnreported]
  /// Those that say what a call without usage costs.
  package static let settings: CallTerms = [.chargesAfterwards, .releasesUnreported]
  /// Those that the reservation keeps in the journal.
  static let kept: CallTerms = [.releasesUnreported, .expected]
  /// All that the library itself gives out.
  package static let all: CallTerms = [.callers, .expected, .named]
}

/// A metered call that has begun: all that its end needs, so that any process can finish it.
package struct MeteredCall: Sendable {
  package var hold: UInt64 = 0
  package var held: Int64 = 0
  /// What the call can cost at the most; nil where nothing limits it.
  package var maximum: Int64?
  package var priceVersion: UInt64 = 0
  /// The amount of a dynamic price.
  package var amount: Int64 = 0
  package var expected = Usage.oneRequest
  package var terms = CallTerms()
  package var scale: UInt8 = 0
  /// The asset's code padded with zeros.
  package var assetCode = InlineArray<24, UInt8>(repeating: 0)
  /// What calls made inside this one name as their parent; zeros where no call id is known.
  package var key = InlineArray<40, UInt8>(repeating: 0)
  /// An earlier try of the call was charged.
  package var isPaid = false
  /// Another try of the call is under way, and one hold serves both.
  package var isShared = false

  package init() {}
}

/// One line of what a metered call is charged for beside its own usage; texts are borrowed.
package struct CallLine {
  /// Another tool, priced as of the end of the call; empty with an amount.
  package var tool = BorrowedText.empty
  /// Who is credited with an amount; empty is the one whom the call's own price credits.
  package var payee = BorrowedText.empty
  package var description = BorrowedText.empty
  package var recorded = Tally()
  package var amount: Int64?

  package init() {}
}

/// How a metered call ended, and what it used; texts are borrowed.
package struct FinishRequest {
  package var ending = CallEnding.returned
  /// Whether items of a stream reached the consumer.
  package var delivered = false
  package var recorded = Tally()
  /// What is charged beside the call's own usage.
  package var lines: [CallLine] = []
  /// Replaces the amount of a dynamic price.
  package var amount: Int64?
  package var description = BorrowedText.empty
  package var metadata = BorrowedText.empty

  package init() {}

  /// Whether nothing can be charged, whatever the price: then the disk need not be waited for.
  var onlyReleases: Bool {
    PriceKind.allCases.allSatisfy { kind in
      Settlement(ending, delivered: delivered, kind, .recorded, releasesUnreported: false) == .released
    }
  }
}
