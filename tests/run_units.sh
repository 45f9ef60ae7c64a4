#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs unit test programs one after another, shows their failures, and ends with the sum.
# usage: run_units.sh PROGRAM...
p=0 f=0 s=0
for t in "$@"; do
  out=$("$t" 2>&1)
  rc=$?
  last=$(printf '%s\n' "$out" | grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' | tail -n 1)
  if [ -z "$last" ]; then
    printf '%s\n%s: ended without a result (exit %d)\n' "$out" "$t" "$rc"
    f=$((f + 1))
    continue
  fi
  p=$((p + $(echo "$last" | cut -d' ' -f1)))
  f=$((f + $(echo "$last" | cut -d' ' -f3)))
  s=$((s + $(echo "$last" | cut -d' ' -f5)))
  if [ "$rc" -ne 0 ]; then printf '%s\n' "$out" | grep -v '^ok '; else printf '%s\n' "$out" | grep -A1 '^  skip'; fi
  printf '%-40s %s\n' "$(basename "$t")" "$last"
done
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ]
