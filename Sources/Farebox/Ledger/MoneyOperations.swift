internal import FareboxCore

/// Amounts, splits and assets through the JSON door.
enum MoneyOperations {
  static let all: [Operation] = [parse, shares, openAsset, getAsset, listAssets]

  static let parse = Operation(
    "amount.parse", "Reads decimal text as an amount of an asset, exactly.",
    input: [
      OperationField("amount", .amount, "Decimal text.", required: true),
      OperationField("asset", .text, "A built-in asset, or one of the ledger's.", required: true),
    ],
    output: [
      OperationField("units", .integer, "Atomic units."), OperationField("amount", .amount, "The same, formatted."),
      OperationField("asset", .text, "Its code."),
    ],
    errors: [.invalidAmount, .tooPrecise, .overflow, .assetNotFound]
  ) { engine, input throws(Failure) in
    let asset = try engine.asset(input.text("asset") ?? "")
    let units = try Amount.parse(input.amount("amount") ?? "", scale: asset.scale, field: "amount")
    return [
      "units": .int(units), "amount": .string(Amount.text(units, scale: asset.scale, minorDigits: asset.minorDigits)),
      "asset": .string(asset.code),
    ]
  }

  static let shares = Operation(
    "split.shares", "Divides an amount among recipients, to the last atomic unit.",
    input: [
      OperationField("split", .list, "Recipients: account, and share or remaining.", required: true),
      OperationField("amount", .amount, "What is divided.", required: true),
      OperationField("asset", .text, "Its asset.", required: true),
    ],
    output: [OperationField("shares", .list, "Account and amount of each recipient, in order.")],
    errors: [.invalidAmount, .tooPrecise, .unrepresentable, .assetNotFound]
  ) { engine, input throws(Failure) in
    let asset = try engine.asset(input.text("asset") ?? "")
    let split = try Split.parse(.array(input.list("split")), path: "split")
    let units = try Amount.parse(input.amount("amount") ?? "", scale: asset.scale, field: "amount")
    let shares = split.shares(of: units)
    return [
      "shares": .array(
        zip(split.parts, shares).map { part, share in
          [
            "account": .string(part.account),
            "amount": .string(Amount.text(share, scale: asset.scale, minorDigits: asset.minorDigits)),
          ]
        })
    ]
  }

  private static let assetFields = [
    OperationField("asset", .text, "The code."), OperationField("scale", .integer, "Digits of an atomic unit."),
    OperationField("minor_digits", .integer, "Digits on invoices, by ISO 4217."),
    OperationField("name", .text, "For people."),
  ]

  static let openAsset = Operation(
    "asset.open", "Opens an asset of the ledger's own, or a currency at another scale.",
    input: [
      OperationField("asset", .text, "Capital letters, digits and :_-, beginning with a letter.", required: true),
      OperationField("scale", .integer, "Digits of an atomic unit, from 0 to 18; the built-in scale where absent."),
      OperationField("minor_digits", .integer, "Digits on invoices."), OperationField("name", .text, "For people."),
    ], output: assetFields, errors: [.assetExists]
  ) { engine, input throws(Failure) in
    let code = input.text("asset") ?? ""
    let builtIn = Asset.builtIn(code)
    guard let scale = input.integer("scale") ?? builtIn.map({ Int64($0.scale) }) else {
      throw Failure(.missingField, field: "scale", "An asset that is not built in needs a scale.")
    }
    let digits = input.integer("minor_digits") ?? builtIn.map { Int64($0.minorDigits) } ?? min(2, scale)
    guard let scale = UInt8(exactly: scale), let digits = UInt8(exactly: digits) else {
      throw Failure(.invalidArgument, field: "scale", "A scale is from 0 to \(Asset.highestScale).")
    }
    let asset = try Asset(
      code: code, scale: scale, minorDigits: digits, name: input.text("name") ?? builtIn?.name ?? code)
    try engine.perform(engine.options.durability) { ledger, context throws(Rejection) in
      _ = try ledger.openAsset(asset, at: context.time)
    }
    return json(asset)
  }

  static let getAsset = Operation(
    "asset.get", "Tells an asset's scale.",
    input: [OperationField("asset", .text, "The code.", required: true)], output: assetFields,
    errors: [.assetNotFound]
  ) { engine, input throws(Failure) in json(try engine.asset(input.text("asset") ?? "")) }

  static let listAssets = Operation(
    "asset.list", "Lists the assets that the ledger has used, and with `all` the built-in ones too.",
    input: [OperationField("all", .flag, "Whether to list those that were never used.")],
    output: [OperationField("assets", .list, "Each with code, scale, minor_digits and name.")]
  ) { engine, input throws(Failure) in
    var assets = try engine.read { ledger, _ throws(Rejection) in Array(ledger.state.catalog.assets) }
    if input.flag("all") {
      let used = Set(assets.map(\.code))
      assets += ([Asset.credits] + Asset.iso4217).filter { !used.contains($0.code) }
    }
    return ["assets": .array(assets.map(json))]
  }

  static func json(_ asset: Asset) -> JSON {
    [
      "asset": .string(asset.code), "scale": .int(Int64(asset.scale)), "minor_digits": .int(Int64(asset.minorDigits)),
      "name": .string(asset.name),
    ]
  }
}

extension Engine {
  /// An asset of the ledger, or a built-in one that it has not used yet.
  func asset(_ code: String, field: String = "asset") throws(Failure) -> Asset {
    let used = try read { ledger, _ throws(Rejection) in
      ledger.state.catalog.assetIndex(code).map { ledger.state.catalog.assets[Int($0)] }
    }
    guard let asset = used ?? Asset.builtIn(code) else {
      throw Failure(.assetNotFound, field: field, "There is no asset '\(code.prefix(24))'.")
    }
    return asset
  }
}
