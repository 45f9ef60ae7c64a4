#!/bin/sh
# SPDX-License-Identifier: MIT
# Every test suite that `make test` runs, one after another, and the sum of their sums.
# usage: check.sh MAKE
make=${1:-make}
log=${TMPDIR:-/tmp}/nibble-check.$$
trap 'rm -f "$log"' EXIT
trap 'exit 1' INT TERM
p=0 f=0 s=0
suites="lint unit check-kernels replay cli install-check"
[ "$(uname -s)" != Linux ] || suites="$suites fault" # its shim needs GNU ld
for suite in $suites; do
  [ "$suite" != check-kernels ] || ls tests/kernels/*.c >/dev/null 2>&1 || continue
  echo "== $suite"
  { $make --no-print-directory "$suite"; echo "exit $?"; } >"$log" 2>&1
  grep -v '^exit [0-9]*$' "$log"
  rc=$(sed -n 's/^exit \([0-9]*\)$/\1/p' "$log" | tail -n 1)
  last=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
  if [ -n "$last" ]; then
    p=$((p + $(echo "$last" | cut -d' ' -f1)))
    f=$((f + $(echo "$last" | cut -d' ' -f3)))
    more=$(echo "$last" | cut -d' ' -f5)
    s=$((s + ${more:-0}))
    # A suite that counted no failure and yet failed (a build error) is one.
    case $last in *' 0 failed'*) [ "$rc" = 0 ] || f=$((f + 1)) ;; esac
  else
    echo "$suite ended without a result (exit $rc)"
    f=$((f + 1))
  fi
done
echo
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ]
