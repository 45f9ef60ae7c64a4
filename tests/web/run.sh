#!/bin/sh
# SPDX-License-Identifier: MIT
# What Emscripten makes of nibble against this machine's program, bit by bit: the kernels and the whole program under node,
# the page's engine under node, the page in a browser. Each skips, and says so, without what it needs.
# usage: run.sh MAKE NIBBLE [ARGS]     (of `make wasm-check`; ARGS: of check_kernels)
cd "$(dirname "$0")/../.." || exit 1
make=$1 nibble=$2 args=${3:-}
skip() { echo "skip: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
command -v emcc >/dev/null || skip "WebAssembly: there is no emcc"
command -v node >/dev/null || skip "WebAssembly: there is no node"
work=$(mktemp -d "${TMPDIR:-/tmp}/nibble-web.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
bad=0
sh apps/deps.sh build/wasm/deps emcc emar || exit 1
# Not this make's variables, and the objects once.
$make VARIANT=wasm WEB_MODEL= build/wasm/check_kernels build/wasm/nibble build/wasm/engine.js build/wasm/chat.html >"$work/log" 2>&1 ||
  { tail -n 30 "$work/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# shellcheck disable=SC2086
node build/wasm/check_kernels $args >"$work/kernels" || { bad=1; grep -v '^ok' "$work/kernels"; }
tail -n 1 "$work/kernels"
printf '#!/bin/sh\nexec node "%s" "$@"\n' "$PWD/build/wasm/nibble" >build/wasm/run
chmod +x build/wasm/run
sh tests/same_bits.sh "$nibble" build/wasm/run || bad=1
"$nibble" quantize data/demo -o "$work/demo.nbl" --fast -q >/dev/null || exit 1
node tests/web/engine.js build/wasm/engine.js "$nibble" "$work/demo.nbl" || bad=1

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "the page: there is no chromium"
command -v python3 >/dev/null || skip "the page: there is no python3"
sh apps/web/page.sh build/wasm/chat.html build/wasm/engine.js "$work/demo.nbl" >"$work/page.html" || exit 1
python3 tests/web/page.py "$nibble" "$work/page.html" "$work/demo.nbl" "$browser"
case $? in
0) echo "1 passed, 0 failed, 0 skipped" ;;
77) echo "0 passed, 0 failed, 1 skipped" ;;
*) bad=1; echo "0 passed, 1 failed, 0 skipped" ;;
esac
exit $bad
