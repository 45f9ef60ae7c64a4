#!/bin/sh
# SPDX-License-Identifier: MIT
# Which lines of each file the tests reached, the least first: what gcov says of a build with VARIANT=coverage.
# usage: coverage.sh BUILD
command -v gcov >/dev/null || { echo "there is no gcov here" >&2; exit 1; }
find "$1" -name '*.gcda' -exec gcov -n {} + 2>/dev/null | awk '
  /^File / { file = substr($2, 2, length($2) - 2) }
  /^Lines executed:/ && file ~ /^(lib|formats|eval|convert|api|tools)\/.*\.c$/ {
    split($0, part, /[:%]| of /)
    hit = part[2] * part[4] / 100
    if (hit > most[file] + 0) most[file] = hit
    lines[file] = part[4]
    file = ""
  }
  END {
    for (f in lines) {
      printf "%6.1f %%  %5d of %5d lines  %s\n", 100 * most[f] / lines[f], most[f] + 0.5, lines[f], f
      all += lines[f]; reached += most[f]
    }
    if (all) printf "%6.1f %%  %5d of %5d lines  all\n", 100 * reached / all, reached + 0.5, all
  }' | sort -n
