internal import Farebox
internal import FareboxCore

/// What plugin authors do, through the JSON door: validate, seal, sign.
enum AuthorOperations {
  static let all: [Operation] = [validate, seal, sign]

  private static let path = OperationField("path", .text, "The path of the manifest.", required: true)

  static let validate = Operation(
    "plugin.validate",
    "Puts a plugin through conformance tests and generated inputs, each in a process of its own, and reports as JSON.",
    input: [
      path, OperationField("seed", .integer, "What is generated follows from it; chosen at random where absent."),
      OperationField("rounds", .integer, "Generated inputs for each tool, up to a million; 200 where absent."),
      OperationField("config", .object, "The configuration to start it with."),
    ],
    output: [
      OperationField("plugin", .text, "The id."), OperationField("version", .text, "The version."),
      OperationField("seed", .text, "The seed, to see the same again."),
      OperationField("valid", .flag, "Whether no test has failed."),
      OperationField("passed", .integer, "Tests that passed."),
      OperationField("warned", .integer, "Tests that passed and say what could be better."),
      OperationField("failed", .integer, "Tests that failed."),
      OperationField("skipped", .integer, "Tests that do not apply."),
      OperationField("sandbox", .object, "What the kernel gave of the sandbox."),
      OperationField("tests", .list, "Each with name, outcome, message and reproduction."),
    ], errors: [.pluginsOff]
  ) { _, input throws(Failure) in
    guard let policy = PluginPolicy.current else { throw PluginHost.off }
    let rounds = input.integer("rounds") ?? Int64(PluginValidator.defaultRounds)
    guard (1...Int64(PluginValidator.mostRounds)).contains(rounds) else {
      throw Failure(.invalidArgument, field: "rounds", "It is 1 to \(PluginValidator.mostRounds).")
    }
    let seed: UInt64
    if let given = input.integer("seed") {
      seed = UInt64(bitPattern: given)
    } else {
      // Fits a JSON integer, so that the report's seed can be given back.
      seed = try SecureRandom.word() >> 1
    }
    let validator = PluginValidator(
      path: input.text("path") ?? "", policy: policy, seed: seed, rounds: Int(rounds),
      configuration: input.value("config") ?? .object(JSONObject()))
    return validator.run().json
  }

  static let seal = Operation(
    "plugin.seal", "Writes the SHA-256 of each file that is there into a manifest, and changes nothing else of it.",
    input: [path], output: [OperationField("manifest_sha256", .text, "The digest of the manifest as it is now.")],
    errors: [.pluginNotFound, .pluginManifest]
  ) { _, input throws(Failure) in
    ["manifest_sha256": .string(try PluginSigning.sealManifest(at: input.text("path") ?? "").hex)]
  }

  static let sign = Operation(
    "plugin.sign", "Signs a manifest with an Ed25519 key, into a file beside it.",
    input: [
      path,
      OperationField(
        "key", .text, "The path of a file with the 32-byte seed of the key, in base64; made where there is none.",
        required: true),
    ],
    output: [OperationField("public_key", .text, "The key for policies, in base64.")],
    errors: [.pluginNotFound, .pluginManifest, .secretInvalid]
  ) { _, input throws(Failure) in
    let path = input.text("path") ?? ""
    // First, so that no key is made for a manifest that is none.
    _ = try PluginManifest.read(path)
    let key = try SigningKeyFile.open(input.text("key") ?? "")
    return ["public_key": .string(try PluginSigning.sign(manifestAt: path, seed: key).base64)]
  }
}
