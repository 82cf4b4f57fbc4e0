// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "walkthrough",
  dependencies: [.package(name: "farebox", path: "../..")],
  targets: [
    .executableTarget(name: "Walkthrough", dependencies: [.product(name: "Farebox", package: "farebox")])
  ],
  swiftLanguageModes: [.v6]
)
