#!/bin/sh
# SPDX-License-Identifier: MIT
# What programs built against libnibble rely on, on 64-bit systems: every function with its version, every structure's
# size and where its fields are, every constant. api/nibble.abi has it as it was promised: a line of it that changes or
# goes breaks programs that were built before, and needs another soname, but for the size of a structure that begins with
# its own size: it may grow. Lines that are added are fine, and wanted there.
# usage: sh tests/abi.sh LIBRARY CC          compares
#        sh tests/abi.sh --set LIBRARY CC    writes the list
set -eu
cd "$(dirname "$0")/.."
set_mode=0
[ "$1" != --set ] || { set_mode=1; shift; }
library=$1 cc=$2 list=api/nibble.abi
work=$(mktemp -d "${TMPDIR:-/tmp}/nibble-abi.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The header without comments, a declaration a line.
sed -e 's|/\*.*\*/||' api/nibble.h | awk '/\/\*/ {c = 1} !c {print} /\*\// {c = 0}' | grep -v '^#' |
  tr '\n' ' ' | sed -e 's/}/\n}/g' -e 's/[;{]/&\n/g' >"$work/flat"

# A program that prints the layouts.
awk '
  /typedef (struct|enum) [a-z_]+ *\{/ {
    kind = $2; name = $3; sub(/\{.*/, "", name); inside = 1
    if (kind == "struct") printf "  printf(\"struct %s: %%zu\\n\", sizeof(%s));\n", name, name
    next
  }
  inside && /^ *}/ { inside = 0 }
  inside && kind == "enum" {
    n = split($0, part, ",")
    for (i = 1; i <= n; i++) {
      value = part[i]; sub(/=.*/, "", value); gsub(/[ \t]/, "", value)
      if (value ~ /^NIBBLE_/) printf "  printf(\"%s = %%d\\n\", (int)%s);\n", value, value
    }
  }
  inside && kind == "struct" && /;/ {
    line = $0; sub(/;.*/, "", line)
    if (match(line, /\(\*[a-z_]+\)/)) line = substr(line, RSTART + 2, RLENGTH - 3)
    n = split(line, part, ",")
    for (i = 1; i <= n; i++) {
      field = part[i]; sub(/\[.*/, "", field); sub(/[ \t]+$/, "", field); sub(/.*[ \t*]/, "", field)
      if (field != "")
        printf "  printf(\"  %s.%s: %%zu, %%zu bytes\\n\", offsetof(%s, %s), sizeof(((%s *)0)->%s));\n",
          name, field, name, field, name, field
    }
  }' "$work/flat" >"$work/body"
{
  echo '#include "api/nibble.h"'
  echo '#include <stdio.h>'
  echo 'int main(void) {'
  cat "$work/body"
  echo '  return 0; }'
} >"$work/layout.c"
$cc -std=c11 -I. "$work/layout.c" -o "$work/layout"
{
  nm -D --defined-only "$library" | sed -n 's/.* T \(nibble_.*\)/\1/p' | sort
  "$work/layout"
} >"$work/now"

# The map and the header name the same functions.
grep -o -E '\bnibble_[a-z_]+\(' "$work/flat" | tr -d '(' | sort -u >"$work/declared"
sed -n 's/^ *\(nibble_[a-z_]*\);/\1/p' api/libnibble.map | sort >"$work/mapped"
sed -n 's/^\(nibble_[a-z_]*\)@.*/\1/p' "$work/now" >"$work/exported"
cmp -s "$work/declared" "$work/mapped" && cmp -s "$work/mapped" "$work/exported" || {
  echo "FAIL: api/nibble.h, api/libnibble.map and the library name different functions:"
  diff "$work/declared" "$work/mapped" || diff "$work/mapped" "$work/exported" || :
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}
if [ $set_mode = 1 ]; then
  cp "$work/now" "$list"
  echo "$list: $(wc -l <"$list") lines"
  exit 0
fi
diff "$list" "$work/now" >"$work/diff" || {
  if grep -q '^<' "$work/diff"; then echo "FAIL: the ABI changed:"
  else echo "FAIL: the ABI grew; that is allowed: sh tests/abi.sh --set LIBRARY CC"; fi
  cat "$work/diff"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}
echo "$(wc -l <"$list" | tr -d ' ') passed, 0 failed, 0 skipped"
