#!/bin/sh
# SPDX-License-Identifier: MIT
# The rules of CONTRIBUTING.md that a script can check: layers, file lengths, licence lines, unique names,
# no printing or exiting below tools/. Every finding is one line; ends with the sum.
cd "$(dirname "$0")/.." || exit 1
p=0 f=0
bad() { echo "lint: $*"; f=$((f + 1)); }

# Which headers of ours each layer may include. formats knows only the types and helpers of lib.
headers() { ls "$@" 2>/dev/null | sed 's|.*/||'; }
LIB=$(headers lib/*.h lib/kernels/*.h)
FORMATS=$(headers formats/*.h)
EVAL=$(headers eval/*.h)
TOOLS=$(headers tools/*.h)

# layer FILES... -- FORBIDDEN HEADERS...
layer() {
  files=""
  while [ "$1" != -- ]; do files="$files $1"; shift; done
  shift
  for h in "$@"; do
    for hit in $(grep -l -E "^ *# *include +\"([a-z_./]*/)?$(echo "$h" | sed 's/\./\\./g')\"" $files 2>/dev/null); do
      bad "$hit includes $h, which is in a layer above it or closed to it"
    done
  done
  p=$((p + 1))
}
NOT_FOR_FORMATS=$(echo "$LIB" | grep -v -x -E \
  '(status|mem|f16|tensor|config|qmat|tokenizer|tokenizer_build|progress|weights|model_types|parallel|nibble)\.h')
# libnibble.c implements the public interface over everything below it.
layer $(ls lib/*.[ch] lib/kernels/*.[ch]) -- $FORMATS $EVAL $TOOLS
[ -z "$FORMATS" ] || layer $(ls formats/*.[ch]) -- $NOT_FOR_FORMATS $EVAL $TOOLS
[ -z "$EVAL" ] || layer $(ls eval/*.[ch]) -- $TOOLS

for file in lib/*.[ch] lib/kernels/*.[ch] formats/*.[ch] eval/*.[ch] tools/*.[ch] tests/*.h tests/*/*.[ch]; do
  [ -f "$file" ] || continue
  p=$((p + 1))
  before=$f
  n=$(wc -l <"$file" | tr -d ' ')
  [ "$n" -le 620 ] || [ "${file#tests/golden}" != "$file" ] || bad "$file has $n lines (600 at most: split it)"
  head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' || bad "$file does not begin with its SPDX line"
  long=$(case $file in tests/golden*|tests/hostile*) ;; *) awk "length(\$0) > 121 {print FNR; exit}" "$file" ;; esac)
  [ -z "$long" ] || bad "$file:$long is longer than 120 columns"
  [ "$f" = "$before" ] || p=$((p - 1))
done

# Only tools print and end the process.
for file in lib/*.c lib/kernels/*.c formats/*.c eval/*.c; do
  [ -f "$file" ] || continue
  hit=$(grep -n -E '(^|[^a-z_])(printf|puts|putchar|perror|exit|abort|_exit) *\(|fprintf *\( *(stderr|stdout)' "$file" |
    grep -v -E '^[0-9]+: *(/?\*|//)' | head -n 1)
  [ -z "$hit" ] || bad "$file:$hit: only tools/ prints or exits"
done

twice=$(ls lib/*.[ch] lib/kernels/*.[ch] formats/*.[ch] eval/*.[ch] tools/*.[ch] 2>/dev/null | sed "s|.*/||" | sort | uniq -d)
[ -z "$twice" ] || bad "file names used twice:" $twice
p=$((p + 2))
echo "$p passed, $f failed, 0 skipped"
[ "$f" -eq 0 ]
