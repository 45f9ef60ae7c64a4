#!/bin/sh
# SPDX-License-Identifier: MIT
# The Swift package's classes and sample, compiled by this machine's swiftc (Debian 13 has one: swiftlang) with this machine's
# library in place of the XCFramework, and run. Skips without swiftc.
# usage: swift.sh BUILD LIBS...   (of `make apple-check`)
cd "$(dirname "$0")/../.." || exit 1
build=$1
shift
command -v swiftc >/dev/null || { echo "skip: the Swift package: there is no swiftc"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
work=$(mktemp -d "${TMPDIR:-/tmp}/nibble-swift.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/CNibble"
cp api/nibble.h apps/apple/module.modulemap "$work/CNibble"
# link OUT SOURCE LIBS...
link() {
  out=$1 source=$2
  shift 2
  swiftc -O -I "$work/CNibble" -I "$work" -o "$work/$out" "$source" "$work/libNibble.a" "$build/libnibble.a" "$@" 2>"$work/log"
}
cp tests/apps/SwiftTest.swift "$work/main.swift"
{ swiftc -O -warnings-as-errors -I "$work/CNibble" -emit-module -emit-module-path "$work/Nibble.swiftmodule" -module-name Nibble \
  -emit-library -static -o "$work/libNibble.a" apps/apple/Sources/Nibble/Nibble.swift 2>"$work/log" &&
  link nibble-chat apps/apple/Sample/main.swift "$@" && link check "$work/main.swift" "$@"; } ||
  { cat "$work/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
"$build/nibble" quantize data/demo -o "$work/m.nbl" --fast -q >/dev/null || exit 1
question="The answer to question 7 is"
expected=$("$build/nibble" generate "$work/m.nbl" -q -p "$question" -n 24; echo .)
bad=0
"$work/check" "$work/m.nbl" "$question" "${expected%??}" "$work" || bad=1
# The sample: an answer to a line, and a message in place of a crash.
said=$(echo "$question" | "$work/nibble-chat" "$work/m.nbl" | sed -n 2p)
told=$("$work/nibble-chat" "$work/none.nbl" 2>&1)
if [ -n "$said" ] && echo "$told" | grep -q 'none.nbl'; then echo "1 passed, 0 failed, 0 skipped"
else bad=1; echo "the sample said '$said' and '$told'"; echo "0 passed, 1 failed, 0 skipped"; fi
exit $bad
