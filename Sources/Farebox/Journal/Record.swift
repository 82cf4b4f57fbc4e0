/// What a record did. Numbers are written to disk and never change.
enum RecordKind: UInt8, CaseIterable {
  /// Balanced postings, listed in the heap.
  case transfer = 1
  /// A payer's wallet is debited; a payee or a split is credited.
  case charge = 2
  /// Money is set aside for a call.
  case reserve = 3
  /// A hold, or a part of it, becomes a charge.
  case capture = 4
  /// What is left of a hold returns.
  case release = 5
  /// What is left of a hold returns because its time is over.
  case expire = 6
  /// A hold's expiry moves.
  case extend = 7
  /// A charge or capture returns to its payer, in part or as a whole.
  case refund = 8
  /// More money is set aside for a hold.
  case increase = 9

  case asset = 20
  case account = 21
  case accountState = 22
  case skill = 23
  case toolState = 24
  case rateCard = 25
  case budget = 26
  case limits = 27
  /// A webhook was seen: only its key matters.
  case webhook = 28
  /// Something an operator should hear of.
  case event = 29
  /// Records up to `reference` are in sealed indexes.
  case seal = 30
  /// A customer has a price of its own for a tool.
  case customerPrice = 31
  /// A tool or skill may, or may not, be used by an account.
  case access = 32
  /// A value that a skill keeps under a key.
  case value = 33

  /// Whether another price may apply to a tool after the record.
  var changesPrices: Bool {
    switch self {
    case .skill, .toolState, .rateCard, .customerPrice, .access: true
    case .transfer, .charge, .reserve, .capture, .release, .expire, .extend, .refund, .increase, .asset, .account,
      .accountState,
      .budget, .limits, .webhook, .event, .seal, .value:
      false
    }
  }

  /// Whether the record moves money between accounts.
  var movesMoney: Bool {
    switch self {
    case .transfer, .charge, .capture, .refund: true
    case .reserve, .increase, .release, .expire, .extend: false
    case .asset, .account, .accountState, .skill, .toolState, .rateCard, .budget, .limits, .webhook, .event, .seal,
      .customerPrice, .access, .value:
      false
    }
  }
}

/// One line of the journal, as it is decided, applied and read back; `Record+Encoding` says how it is written.
///
/// Everything of variable length is in its fields (see `HeapField`). Names are indices given out by earlier records, so
/// a journal can be read from its beginning without anything else.
struct Record {
  var kind: UInt8
  /// `RecordFlags`.
  var flags: UInt8 = 0
  var asset: UInt16 = 0
  /// The payer, or the account that is defined.
  var account: UInt32 = 0
  /// Microseconds since 1970; never less than the record's before it.
  var time: Int64 = 0
  /// Atomic units.
  var amount: Int64 = 0
  /// Index of the tool + 1, or 0.
  var tool: UInt32 = 0
  /// Who is credited: the index of an account, or of a split with `splitBit`; of a transfer what `Ledger.transfer` calls
  /// `named`.
  var beneficiary: UInt32 = 0
  /// Index of the price version + 1, or 0.
  var price: UInt32 = 0
  /// A small number whose meaning the kind decides.
  var detail: UInt32 = 0
  /// Tells which runs and calls the record cannot belong to, where their ids are in a record that it refers to; see
  /// `OriginTag`.
  var origin: UInt32 = 0
  /// The record that this one is about: the hold captured, the charge refunded.
  var reference: UInt64 = 0
  /// Expiry of a hold; the part of a capture beyond its hold; when a refunded charge was made; the sender of a webhook.
  var extra: Int64 = 0
  /// Left on the hold, or of the charge, after this record.
  var remaining: Int64 = 0
  /// The paying wallet's balance after this record.
  var balance: Int64 = 0
  /// And what of it was available.
  var available: Int64 = 0

  static let splitBit: UInt32 = 1 << 31

  init(_ kind: RecordKind, time: Int64) {
    self.kind = kind.rawValue
    self.time = time
  }
}

enum RecordFlags {
  /// A capture that closes its hold.
  static let final: UInt8 = 1
  /// The amount was bound by a cap.
  static let capped: UInt8 = 2
  /// The amount was given, not priced.
  static let explicit: UInt8 = 4
  /// A metered call was charged what was held, because its usage never came.
  static let unreported: UInt8 = 16
  /// A capture of several lines, or a refund of one; they are in the fields.
  static let lines: UInt8 = 8
  /// The asset, or that of a posting, was not named: it is what was the ledger's default then.
  static let unnamedAsset: UInt8 = 32
}

/// A field of variable length: tag, 24-bit length, bytes.
enum HeapField: UInt8 {
  case key = 1
  case run = 2
  case call = 3
  case description = 4
  case metadata = 5
  case usage = 6
  case postings = 7
  case name = 8
  case definition = 9
  /// The amount that was asked for, where another one was taken or held; what had been refunded before a refund.
  case requested = 10
  /// The caller's max_cost, where there was one.
  case maxCost = 11
  /// What tells the arguments of metered calls under one given key apart.
  case arguments = 16
  /// Which try of a metered call a reservation is, counted from 0; absent for the first.
  case attempt = 17
  /// The part of a metered call's price that its payer could not pay.
  case shortfall = 18
  /// What a metered call's end must know of its beginning: `CallTerms.kept`.
  case terms = 19
  /// The lines of a capture; see `StoredLine`.
  case lines = 12
  /// The account that was named to be credited, where another one's wallet is.
  case payee = 20
  /// The name by which the tool was asked for, where it is not the tool's own.
  case toolName = 21
  /// The accounts that a transfer named, posting by posting, where the wallets of others are debited or credited.
  case named = 22
}

/// One leg of a transfer as it stands in its field: 16 bytes.
struct Posting {
  var account: UInt32
  var asset: UInt16
  var reserved: UInt16 = 0
  var amount: Int64
}

/// The fields of one record.
@safe
struct Heap {
  private let bytes: UnsafeRawBufferPointer

  @unsafe
  init(_ bytes: UnsafeRawBufferPointer) {
    unsafe self.bytes = bytes
  }

  /// The bytes of a field, empty where the record has none.
  subscript(_ field: HeapField) -> BorrowedText {
    var offset = 0
    while unsafe offset + 4 <= bytes.count {
      let head = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
      let length = Int(head >> 8)
      guard unsafe offset + 4 + length <= bytes.count else { return .empty }
      if UInt8(truncatingIfNeeded: head) == field.rawValue {
        let start = unsafe bytes.baseAddress.map { unsafe $0.advanced(by: offset + 4) }
        return unsafe BorrowedText(start?.assumingMemoryBound(to: UInt8.self), count: length)
      }
      offset += 4 + length
    }
    return .empty
  }

  var all: UnsafeRawBufferPointer { unsafe bytes }

  /// The accounts that a transfer named, posting by posting.
  var parties: [UInt32] {
    let named = self[.named]
    return postings.enumerated().map { index, posting in
      named.word(at: index).flatMap { UInt32(exactly: $0) } ?? posting.account
    }
  }

  /// The postings of a transfer.
  var postings: [Posting] {
    let field = unsafe self[.postings].bytes
    return (0..<field.count / 16).map { index in
      Posting(
        account: unsafe field.loadUnaligned(fromByteOffset: index * 16, as: UInt32.self),
        asset: unsafe field.loadUnaligned(fromByteOffset: index * 16 + 4, as: UInt16.self),
        amount: unsafe field.loadUnaligned(fromByteOffset: index * 16 + 8, as: Int64.self))
    }
  }
}
