// swift-tools-version: 6.2
import PackageDescription

/// One set of rules for every Swift target: a warning is an error, and unsafe code is marked where it stands.
let strict: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "farebox",
  products: [
    .library(name: "farebox", type: .dynamic, targets: ["FareboxABI"]),
    .library(name: "Farebox", targets: ["Farebox", "FareboxCore"]),
  ],
  targets: [
    .systemLibrary(name: "CFarebox", path: "Include"),
    .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CPostgres", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CCrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CFFI", providers: [.apt(["libffi-dev"])]),
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CWorker"),
    .target(name: "FareboxCore", swiftSettings: strict),
    .target(name: "FareboxStore", dependencies: ["FareboxCore", "CSQLite", "CPostgres"], swiftSettings: strict),
    .target(
      name: "Farebox", dependencies: ["FareboxCore", "FareboxStore", "CCrypto", "CLinux"],
      swiftSettings: strict),
    .target(
      name: "FareboxPlugins", dependencies: ["Farebox", "FareboxCore", "CFarebox", "CFFI", "CWorker"],
      swiftSettings: strict),
    .target(
      name: "FareboxABI", dependencies: ["Farebox", "FareboxCore", "FareboxPlugins", "CFarebox"],
      swiftSettings: strict),
    .executableTarget(
      name: "farebox-worker", dependencies: ["FareboxABI"], path: "Sources/FareboxWorker",
      cSettings: [.headerSearchPath("../../Include")]),
    .testTarget(
      name: "FareboxCoreTests", dependencies: ["FareboxCore", "FareboxReference"],
      swiftSettings: strict),
    .target(
      name: "FareboxReference", dependencies: ["Farebox", "FareboxCore"], path: "Tests/Support",
      swiftSettings: strict),
    .executableTarget(
      name: "FareboxSimulator", dependencies: ["Farebox", "FareboxCore", "FareboxReference", "FareboxStore"],
      path: "Tests/Simulator", exclude: ["README.md", "run"], swiftSettings: strict),
    .executableTarget(
      name: "FareboxPeer", dependencies: ["FareboxCore", "FareboxPlugins"], path: "Tests/Fuzz/Peer",
      swiftSettings: strict),
    .testTarget(
      name: "FareboxTests", dependencies: ["Farebox", "FareboxCore", "FareboxReference", "FareboxStore"],
      swiftSettings: strict),
    .testTarget(
      name: "FareboxPluginsTests", dependencies: ["Farebox", "FareboxCore", "FareboxPlugins"],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
