#!/bin/sh
# SPDX-License-Identifier: MIT
# CNibble.xcframework: the static library and its header for iOS, its simulator and macOS, all arm64. Needs a Mac with
# Xcode.
set -eu
cd "$(dirname "$0")/../.."
out=apps/apple/CNibble.xcframework
args=
for target in iphoneos:arm64-apple-ios15.0 iphonesimulator:arm64-apple-ios15.0-simulator macosx:arm64-apple-macos12.0; do
  sdk=${target%%:*}
  sh apps/apple/build.sh "build/apple-$sdk" "xcrun -sdk $sdk clang -target ${target#*:}" "xcrun -sdk $sdk ar" \
    "xcrun -sdk $sdk libtool -static -o"
  headers=build/apple-$sdk/headers
  mkdir -p "$headers"
  cp api/nibble.h apps/apple/module.modulemap "$headers"
  args="$args -library build/apple-$sdk/libCNibble.a -headers $headers"
done
rm -rf "$out"
# shellcheck disable=SC2086
xcodebuild -create-xcframework $args -output "$out"
