#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into a scratch folder, compiles the example against what was installed (shared and static), runs it, checks
# which symbols the library shows, and uninstalls without a rest.
# usage: run.sh MAKE
make=${1:-make}
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d "${TMPDIR:-/tmp}/nibble-install.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
p=0 f=0 s=0
check() { # NAME COMMAND...
  name=$1
  shift
  if "$@" >"$dir/log" 2>&1; then
    p=$((p + 1))
  else
    f=$((f + 1))
    echo "FAIL $name"
    tail -n 15 "$dir/log"
  fi
}

pkg_config=${PKG_CONFIG:-pkg-config}
PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH # and no LD_LIBRARY_PATH: programs find the library by what pkg-config says
cc=${CC:-cc}
here=tests/install
toy=$dir/toy

symbols() {
  nm -D --defined-only "$dir"/usr/lib/libnibble.so >"$dir/symbols" || return 1
  # Everything shown is in the public header, and all of the header is shown. (A: the name of a version, not a function.)
  awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' "$dir/symbols" | grep -v '^_' | sort >"$dir/shown"
  grep -o 'nibble_[a-z_]*(' api/nibble.h | tr -d '(' | sort -u >"$dir/declared"
  diff "$dir/declared" "$dir/shown"
}
shared() {
  # shellcheck disable=SC2046
  $cc -std=c99 -pedantic -Wall -Wextra -Werror $here/example.c $($pkg_config --cflags --libs nibble) -o "$dir/shared" &&
    "$dir/shared" "$toy" "the ant" >"$dir/shared.out"
}
static() {
  libs=$($pkg_config --static --libs nibble | sed "s|-lnibble|$dir/usr/lib/libnibble.a|")
  # shellcheck disable=SC2046,SC2086
  $cc -std=c99 $here/example.c $($pkg_config --cflags nibble) $libs -o "$dir/static" &&
    "$dir/static" "$toy" "the ant" >"$dir/static.out"
}
same_text() { [ -s "$dir/shared.out" ] && cmp "$dir/shared.out" "$dir/static.out"; }
bad_model() {
  "$dir/shared" nowhere x 2>"$dir/err"
  [ $? = 1 ] && grep -q '^example: .*nowhere' "$dir/err"
}
cxx() { # The header is C++ as well.
  printf '#include <nibble.h>\nint main() { return nibble_version() == 0; }\n' >"$dir/x.cc"
  # shellcheck disable=SC2046
  c++ -Wall -Wextra -Werror "$dir/x.cc" $($pkg_config --cflags --libs nibble) -o "$dir/x" && "$dir/x"
}
stripped() { ! nm "$dir/usr/bin/nibble" >"$dir/names" 2>/dev/null || [ ! -s "$dir/names" ]; }
dist() { # twice, and from a copy of the repository elsewhere: the same bytes
  $make dist && cp build/dist/nibble-*.tar.gz "$dir/a" && touch build/dist && $make dist && cmp "$dir/a" build/dist/nibble-*.tar.gz &&
    git clone -q . "$dir/clone" && (cd "$dir/clone" && TZ=Asia/Tokyo $make dist) && cmp "$dir/a" "$dir"/clone/build/dist/nibble-*.tar.gz
}
rest() { [ -z "$(find "$dir/usr" -type f -o -type l)" ]; }

mkdir "$toy"
cp tests/golden/model/gqa_f16/config.json tests/golden/model/gqa_f16/model.safetensors tests/cli/toy/*.json "$toy"
check install $make install PREFIX="$dir/usr"
check program "$dir/usr/bin/nibble" --version
check shared shared
check static static
check "same text from both" same_text
check "a missing model" bad_model
check stripped stripped
if git rev-parse HEAD >/dev/null 2>&1; then check "make dist" dist; else s=$((s + 1)) && echo "skip make dist: no repository"; fi
if command -v c++ >/dev/null; then check c++ cxx; else s=$((s + 1)) && echo "skip c++: no compiler"; fi
if nm -D "$dir"/usr/lib/libnibble.so >/dev/null 2>&1; then
  check symbols symbols
else
  s=$((s + 1)) && echo "skip symbols: nm -D cannot read it"
fi
check uninstall $make uninstall PREFIX="$dir/usr"
check "nothing left" rest
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ]
