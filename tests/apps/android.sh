#!/bin/sh
# SPDX-License-Identifier: MIT
# The Android module's code as far as it runs without an NDK: the JNI code against this machine's JDK, called by a Java
# program with the same native methods, with CheckJNI; the Kotlin API compiled where a Kotlin compiler is; the module's own
# native build (CMake, as Gradle runs it) for AArch64 by a cross compiler, whose library is to have segments of 16 KiB and
# no names but those of JNI and nibble.h. What needs the Android SDK (Gradle, the sample app) is not compiled here, and
# docs/phone.md says so.
# usage: android.sh BUILD CC LIBS...   (of `make android-check`)
cd "$(dirname "$0")/../.." || exit 1
build=$1 cc=$2
shift 2
skip() { echo "skip: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
command -v javac >/dev/null || skip "the JNI code: there is no javac"
jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
[ -f "$jdk/include/jni.h" ] || skip "the JNI code: $jdk has no jni.h"
work=$(mktemp -d "${TMPDIR:-/tmp}/nibble-jni.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
module=apps/android/nibble/src/main
$cc -std=c11 -D_DEFAULT_SOURCE -O1 -g -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -Iapi -I"$jdk/include" -I"$jdk/include/linux" \
  $module/cpp/nibble_jni.c "$build/libnibble.a" -o "$work/libnibble_jni.so" "$@" || exit 1
mkdir "$work/classes"
javac -Xlint:all -d "$work/classes" $module/java/nibble/*.java tests/apps/JniTest.java || exit 1
"$build/nibble" quantize data/demo -o "$work/m.nbl" --fast -q >/dev/null &&
  "$build/nibble" split "$work/m.nbl" --size 700kB -o "$work/p" -q >/dev/null || exit 1
java -Xcheck:jni -Xmx256m --add-opens java.base/java.io=ALL-UNNAMED -cp "$work/classes" nibble.JniTest "$work/m.nbl" \
  "$work/p-00001-of-00002.nbl" "$work/p-00002-of-00002.nbl" "$work" "$work/libnibble_jni.so" >"$work/out" 2>&1
code=$?
grep -v -e '^[0-9]* passed' -e '^ok ' "$work/out" | head -n 40
grep '^[0-9]* passed' "$work/out" || echo "0 passed, 1 failed, 0 skipped"
[ $code = 0 ] || exit 1
if command -v kotlinc >/dev/null; then
  kotlinc -cp "$work/classes" -d "$work/kotlin" $module/kotlin/nibble/*.kt >"$work/kt" 2>&1 || { cat "$work/kt"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
  echo "1 passed, 0 failed, 0 skipped"
else
  echo "skip: the Kotlin API: there is no kotlinc"
  echo "0 passed, 0 failed, 1 skipped"
fi

skip_native() { echo "skip: the module's native build: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
failed() { echo "the module's native build: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
cross=aarch64-linux-gnu
command -v cmake >/dev/null || skip_native "there is no cmake"
command -v $cross-gcc >/dev/null || skip_native "there is no $cross-gcc"
sh apps/deps.sh build/android-deps >/dev/null 2>&1 || skip_native "the libraries' sources cannot be fetched"
{ cmake -S $module/cpp -B build/android -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_COMPILER=$cross-gcc "-DCMAKE_C_FLAGS=-I$jdk/include -I$jdk/include/linux" &&
  cmake --build build/android -j "$(getconf _NPROCESSORS_ONLN)"; } >"$work/native" 2>&1 || { tail -n 20 "$work/native"; failed "it does not compile"; }
library=build/android/libnibble_jni.so
[ "$($cross-readelf -lW $library | awk '$1 == "LOAD" {print $NF}' | sort -u)" = 0x4000 ] || failed "segments of another size than 16 KiB"
names=$($cross-nm -D --defined-only $library | awk '$3 !~ /^(Java_|JNI_|nibble_)/ {print $3}')
[ -z "$names" ] || failed "its library shows names that are neither JNI's nor of nibble.h: $names"
echo "1 passed, 0 failed, 0 skipped"
