# SPDX-License-Identifier: MIT
# Sourced by the scripts beside it, in the root of the tree: checks that are counted, a scratch folder $dir, the sum.
p=0 f=0 s=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/nibble-packages.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
check() { # NAME COMMAND...
  name=$1
  shift
  if "$@" >"$dir/log" 2>&1; then
    p=$((p + 1))
  else
    f=$((f + 1))
    echo "FAIL $name"
    tail -n "${LINES_OF_LOG:-25}" "$dir/log"
    return 1
  fi
}
skip() { # NAME WHY
  s=$((s + 1))
  echo "skip $1: $2"
}
end() {
  echo "$p passed, $f failed, $s skipped"
  [ "$f" -eq 0 ]
  exit
}
