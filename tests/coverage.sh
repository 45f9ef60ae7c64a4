#!/bin/sh
# SPDX-License-Identifier: MIT
# Which lines of each file the tests reached, the least first: what gcov says of a build with VARIANT=coverage.
# usage: coverage.sh BUILD           one line a file
#        coverage.sh BUILD REPLAY    then the parsers, with what stood in REPLAY (this, after the replayed corpus alone) and now
command -v gcov >/dev/null || { echo "there is no gcov here" >&2; exit 1; }
files=$(mktemp) || exit 1
trap 'rm -f "$files"' EXIT
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
  }' | sort -n | tee "$files"
[ $# -eq 2 ] || exit 0
echo
echo "parsers of bytes from outside: by the replayed corpus, by all of these suites"
# Everything of formats and text but what writes, prints messages or asks the system; what eval, calibration and the
# server read; how a file says that it was made; unfinished runs.
awk 'function parses(f) {
    if (f ~ /^formats\/.*(write|out|outfile|lockfile|oserror|paths|mapfile|open)\.c$/) return 0
    return f ~ /^(formats|lib\/text)\// || f ~ /^lib\/base\/(utf8|ggml)\.c$/ ||
      f ~ /^convert\/(calib_source|reproduce|resume)\.c$/ || f ~ /^tools\/(messages|serve\/request)\.c$/ ||
      f ~ /^eval\/(dataset|filter|gate|item|journal|lmeval|pattern|result_json|rowpath|rows)\.c$/ ||
      f ~ /^eval\/(sketch|suite|task|template|written)\.c$/
  }
  !parses($7) { next }
  NR == FNR { replay[$7] = $3; next }
  {
    printf "%6.1f %%  %6.1f %%  %5d lines  %s\n", 100 * replay[$7] / $5, 100 * $3 / $5, $5, $7
    all += $5; first += replay[$7]; now += $3
  }
  END { if (all) printf "%6.1f %%  %6.1f %%  %5d lines  all parsers\n", 100 * first / all, 100 * now / all, all }' "$2" "$files" |
  sort -n
