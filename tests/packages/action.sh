#!/bin/sh
# SPDX-License-Identifier: MIT
# action.yml's own steps on the demo model: built and cached; taken from the cache; a gate that fails; no baseline.
# usage: action.sh MAKE BUILD
make=${1:-make} build=${2:-build/release}
cd "$(dirname "$0")/../.." || exit 1
. tests/packages/lib.sh
root=$PWD
for python in ${PYTHON:-python3} /usr/bin/python3 none; do
  [ "$python" = none ] || { "$python" -c 'import yaml' 2>/dev/null && break; }
done
[ "$python" != none ] || { skip action "no Python with yaml (package python3-yaml)"; end; }
nibble=$root/$build/nibble

prepare() {
  mkdir "$dir/checkout" && cd "$dir/checkout" && cp -r "$root/data/demo/mmlu" questions &&
    "$nibble" quantize -q "$root/data/demo" -o model.nbl >/dev/null && "$nibble" quantize -q "$root/data/demo" -b 3 -o bad.nbl >/dev/null &&
    "$nibble" eval model.nbl --data questions --limit 20 -q --out baseline.json >/dev/null &&
    echo '{"margin": 20, "max_kld": 0.001}' >gate.json
}
# action CODE INPUT...: runs it; the folder of its state is $dir/state.
action() {
  want=$1
  shift
  rm -rf "$dir/checkout/nibble-run" "$dir/state/artifacts" "$dir/state/summary.md"
  (cd "$dir/checkout" && "$python" "$root/tests/packages/run_action.py" "$root/action.yml" "$dir/state" data=questions \
    'eval-args=--limit 20 --quiet' "$@") >"$dir/out" 2>&1
  code=$?
  cat "$dir/out"
  [ "$code" = "$want" ]
}
verdict() { grep -q "\"verdict\": \"$1\"" "$dir/state/outputs.json"; }
kept() { for file; do [ -s "$dir/state/artifacts/nibble-run/$file" ] || return 1; done; }

passes() {
  MAKE=$make action 0 model=model.nbl baseline=baseline.json gate=gate.json && verdict pass &&
    kept run.json report.html gate.xml summary.md && grep -q -i pass "$dir/state/summary.md" && [ -d "$dir"/state/cache/nibble-* ]
}
cached() { # nothing is built: a make that is called fails
  mkdir -p "$dir/shims" && printf '#!/bin/sh\necho "make was called" >&2\nexit 9\n' >"$dir/shims/make" && chmod +x "$dir/shims/make" &&
    PATH=$dir/shims:$PATH action 0 model=model.nbl baseline=baseline.json gate=gate.json && verdict pass
}
fails() {
  action 3 model=bad.nbl baseline=baseline.json gate=gate.json && verdict fail && kept run.json summary.md &&
    grep -q '^::error' "$dir/out" && grep -q -i fail "$dir/state/summary.md"
}
alone() {
  action 0 model=model.nbl && kept run.json && action 3 model=model.nbl 'eval-args=--limit 2 --min-accuracy 99.9' &&
    grep -q '^::error' "$dir/out" && [ -s "$dir/state/summary.md" ]
}
refused() { action 1 model=nowhere.nbl && grep -q 'nibble: nowhere.nbl' "$dir/out"; }
injected() { # inputs are data, never commands
  action 2 model=model.nbl 'eval-args=--limit 2 $(touch pwned) ; touch pwned' || [ "$code" != 0 ] || return 1
  [ ! -e "$dir/checkout/pwned" ]
}

check "a checkout" prepare && check "built, passes" passes && check "from the cache" cached
check "a gate that fails" fails
check "without a baseline" alone
check "no such model" refused
check "no commands in inputs" injected
end
