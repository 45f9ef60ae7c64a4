#!/bin/sh
# SPDX-License-Identifier: MIT
# What Emscripten makes of nibble against this machine's program, bit by bit: the kernels and the whole program under node,
# the page's engine under node, the page in a browser; with addresses of 32 bits, and of 64 where Emscripten, node and the
# browser know them. Each skips, and says so, without what it needs.
# usage: run.sh MAKE NIBBLE WASM64 [ARGS]     (of `make wasm-check`; WASM64: 1 where emcc makes it; ARGS: of check_kernels)
cd "$(dirname "$0")/../.." || exit 1
make=$1 nibble=$2 wide=$3 args=${4:-}
skipped() { echo "skip: $*"; echo "0 passed, 0 failed, 1 skipped"; }
skip() { skipped "$@"; exit $bad; }
bad=0
command -v emcc >/dev/null || skip "WebAssembly: there is no emcc"
command -v node >/dev/null || skip "WebAssembly: there is no node"
work=$(mktemp -d "${TMPDIR:-/tmp}/nibble-web.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
"$nibble" quantize data/demo -o "$work/demo.nbl" --fast -q >/dev/null || exit 1

# variant NAME BITS [OPTION of node]
variant() {
  dir=build/$1
  # Not this make's variables, and the objects once.
  { $make VARIANT="$1" web-deps && $make VARIANT="$1" WEB_MODEL= "$dir/check_kernels" "$dir/nibble" "$dir/engine.js"; } >"$work/log" 2>&1 ||
    { tail -n 30 "$work/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
  if [ -n "${3:-}" ] && ! node "$3" -e 0 2>/dev/null; then
    skipped "WebAssembly with $2 bits under node: it has no $3"
    return
  fi
  # shellcheck disable=SC2086
  node ${3:-} "$dir/check_kernels" $args >"$work/kernels" || { bad=1; grep -v '^ok' "$work/kernels"; }
  tail -n 1 "$work/kernels"
  printf '#!/bin/sh\nexec node %s "%s" "$@"\n' "${3:-}" "$PWD/$dir/nibble" >"$dir/run"
  chmod +x "$dir/run"
  sh tests/same_bits.sh "$nibble" "$dir/run" || bad=1
  # shellcheck disable=SC2086
  node ${3:-} tests/web/engine.js "$dir/engine.js" "$nibble" "$work/demo.nbl" "$2" || bad=1
}
variant wasm 32
if [ "$wide" = 1 ]; then
  variant wasm64 64 --experimental-wasm-memory64
else
  skipped "WebAssembly with 64 bits: this emcc does not make it"
fi

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "the page: there is no chromium"
command -v python3 >/dev/null || skip "the page: there is no python3"
$make VARIANT=wasm build/wasm/chat.html >/dev/null || exit 1
# page LARGE ENGINE...     (LARGE: 64 where the page takes files above 2 GB, or "")
page() {
  large=$1
  shift
  sh apps/web/page.sh build/wasm/chat.html "$work/demo.nbl" "$@" >"$work/page.html" || exit 1
  # shellcheck disable=SC2086
  python3 tests/web/page.py "$nibble" "$work/page.html" "$work/demo.nbl" "$browser" $large
  case $? in
  0) echo "1 passed, 0 failed, 0 skipped" ;;
  77) echo "0 passed, 0 failed, 1 skipped" ;;
  *) bad=1; echo "0 passed, 1 failed, 0 skipped" ;;
  esac
}
if [ "$wide" = 1 ]; then
  page 64 build/wasm/engine.js build/wasm64/engine.js
  # The second one alone, so that it answers, too.
  page 64 build/wasm64/engine.js
else
  page "" build/wasm/engine.js
fi
exit $bad
