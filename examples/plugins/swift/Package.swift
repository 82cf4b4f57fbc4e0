// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "table",
  products: [.library(name: "table", type: .dynamic, targets: ["Table"])],
  targets: [
    // farebox_plugin.h: from an installed Farebox, or wherever -Xcc -I says.
    .systemLibrary(name: "CFareboxPlugin", pkgConfig: "farebox"),
    .target(
      name: "Table",
      dependencies: ["CFareboxPlugin"],
      swiftSettings: [
        .strictMemorySafety(),
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("ExistentialAny"),
      ]
    ),
  ],
  swiftLanguageModes: [.v6]
)
