#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs unit test programs, as many at a time as there are processors or $AT_ONCE, shows their failures in the order that
# they were named in, and ends with the sum.
# usage: run_units.sh PROGRAM...     NB_SEED=N: on other random numbers (tests/seed.h)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/nibble-units.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM
export WORK
at_once=${AT_ONCE:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
i=0
for t in "$@"; do
  i=$((i + 1))
  printf '%s\n%s\n' "$i" "$t"
done | tr '\n' '\0' | xargs -0 -n 2 -P "$at_once" sh -c '"$2" >"$WORK/$1.out" 2>&1 </dev/null; echo $? >"$WORK/$1.rc"' run

p=0 f=0 s=0 i=0
for t in "$@"; do
  i=$((i + 1))
  rc=$(cat "$WORK/$i.rc")
  last=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$WORK/$i.out" | tail -n 1)
  if [ -z "$last" ]; then
    cat "$WORK/$i.out"
    printf '%s: ended without a result (exit %s)\n' "$t" "$rc"
    f=$((f + 1))
    continue
  fi
  p=$((p + $(echo "$last" | cut -d' ' -f1)))
  f=$((f + $(echo "$last" | cut -d' ' -f3)))
  s=$((s + $(echo "$last" | cut -d' ' -f5)))
  if [ "$rc" -ne 0 ]; then grep -v '^ok ' "$WORK/$i.out"; else grep -A1 '^  skip' "$WORK/$i.out"; fi
  printf '%-40s %s\n' "$(basename "$t")" "$last"
done
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ]
