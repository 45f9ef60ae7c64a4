// swift-tools-version:5.7
// SPDX-License-Identifier: MIT
// Nibble for iOS and macOS. `sh apps/apple/xcframework.sh` makes CNibble.xcframework first (on a Mac with Xcode).
import PackageDescription

let package = Package(
    name: "Nibble",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Nibble", targets: ["Nibble"])],
    targets: [
        .binaryTarget(name: "CNibble", path: "CNibble.xcframework"),
        .target(name: "Nibble", dependencies: ["CNibble"]),
        .executableTarget(name: "nibble-chat", dependencies: ["Nibble"], path: "Sample"),
    ]
)
