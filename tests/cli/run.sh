#!/bin/sh
# SPDX-License-Identifier: MIT
# Command-line tests. A case is tests/cli/AREA/CASE.sh; beside it may lie
#   CASE.exit           the expected exit code (0 without it)
#   CASE.stdout.exact   the whole of standard output, byte for byte
#   CASE.stdout.glob, CASE.stderr.glob   line by line, each a shell pattern; a line "..." stands for any lines
# The case runs under `sh -e` in an empty directory with nibble first in PATH, $TESTS (tests/), $DATA (data/),
# $ROOT, and $TOY and $NBL: a tiny checkpoint and its 4-bit file (tests/cli/setup.sh makes them once).
# A case whose last output line is "SKIP: why" and that exits 77 counts as skipped. One that fails is run once more, to
# show the last commands of its trace. With --set the files of expected output and exit codes that a case has are
# rewritten with what it does now: read the difference before it is committed. (Patterns stay; those that no longer
# match become the line itself.)
# With CPU=SET in the environment every command that takes --cpu is given --cpu SET, unless it has one of its own.
# usage: run.sh [--set] NIBBLE [AREA/CASE] (a shell pattern)
set_mode=0
if [ "$1" = --set ]; then set_mode=1; shift; fi
here=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$here/../.." && pwd)
TESTS=$ROOT/tests DATA=$ROOT/data
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
only=${2:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/nibble-cli.XXXXXX") || exit 1
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir "$work/bin"
if [ -z "${CPU:-}" ]; then
  ln -s "$program" "$work/bin/nibble"
else
  takes=" "
  for command in $("$program" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    ! "$program" "$command" --help | grep -q -e '--cpu ' || takes="$takes$command "
  done
  cat >"$work/bin/nibble" <<EOF
#!/bin/sh
command=\$1
case "$takes" in
  *" \$1 "*) case " \$* " in *' --cpu '*) ;; *) shift; set -- "\$command" --cpu $CPU "\$@" ;; esac ;;
esac
exec "$program" "\$@"
EOF
  chmod +x "$work/bin/nibble"
  unset CPU
fi
PATH=$work/bin:$PATH
LC_ALL=C
export ROOT TESTS DATA PATH LC_ALL

# match PATTERNS OUTPUT: says the first line that does not match.
match() {
  exec 3<"$1" 4<"$2"
  skip=0 number=0 bad=""
  while IFS= read -r pattern <&3 || [ -n "$pattern" ]; do
    if [ "$pattern" = ... ]; then skip=1; continue; fi
    while :; do
      if ! IFS= read -r line <&4 && [ -z "$line" ]; then bad="no line matches: $pattern"; break 2; fi
      number=$((number + 1))
      # shellcheck disable=SC2254
      case $line in $pattern) break ;; esac
      if [ "$skip" = 0 ]; then bad="line $number is '$line', not: $pattern"; break 2; fi
    done
    skip=0
  done
  if [ -z "$bad" ] && [ "$skip" = 0 ] && { IFS= read -r line <&4 || [ -n "$line" ]; }; then
    bad="more lines than expected: $line"
  fi
  exec 3<&- 4<&-
  [ -z "$bad" ] || { echo "$bad"; return 1; }
}

# fresh CASE: an empty directory to run it in.
fresh() {
  chmod -R u+rwX "$work/run" 2>/dev/null
  rm -rf "$work/run"
  mkdir "$work/run"
}

# trace CASE: the last commands of another run of it, each with its line.
trace() {
  fresh
  (cd "$work/run" && PS4='line $LINENO: ' && export PS4 &&
    if bash -c '[ "${BASH_VERSINFO[0]}" -ge 5 ]' 2>/dev/null; then
      exec 9>"$work/trace" && BASH_XTRACEFD=9 exec bash --posix -ex "$1"
    else exec sh -ex "$1" 2>"$work/trace"; fi) >/dev/null 2>&1 </dev/null
  [ $? = "$2" ] || echo "  run again it did not fail so: "
  tail -n 8 "$work/trace" | cut -c 1-400 | sed 's/^/  trace: /'
}

# rewrite PATTERNS OUTPUT: the output, in which lines that a pattern at their place matches are that pattern.
rewrite() {
  if grep -q -x -F ... "$1"; then echo "  $1 leaves lines out: edit it by hand"; return; fi
  exec 3<"$1"
  while IFS= read -r line || [ -n "$line" ]; do
    IFS= read -r pattern <&3 || pattern=$line
    # shellcheck disable=SC2254
    case $line in $pattern) echo "$pattern" ;; *) printf '%s\n' "$line" ;; esac
  done <"$2" >"$work/rewritten"
  exec 3<&-
  cat "$work/rewritten" >"$1"
}

# set_expected BASE CODE: what a case has of expected files, with what it did.
set_expected() {
  [ ! -f "$1.exit" ] || echo "$2" >"$1.exit"
  [ ! -f "$1.stdout.exact" ] || cat "$work/stdout" >"$1.stdout.exact"
  for kind in stdout stderr; do
    [ ! -f "$1.$kind.glob" ] || match "$1.$kind.glob" "$work/$kind" >/dev/null || rewrite "$1.$kind.glob" "$work/$kind"
  done
}

. "$here/setup.sh"

p=0 f=0 s=0
for case in "$here"/*/*.sh; do
  name=${case#"$here"/}
  name=${name%.sh}
  case $name in ${only:-*}) ;; *) continue ;; esac
  base=${case%.sh}
  fresh
  (cd "$work/run" && exec sh -e "$case") >"$work/stdout" 2>"$work/stderr" </dev/null
  code=$?
  [ "$set_mode" = 0 ] || set_expected "$base" "$code"
  want=0
  [ ! -f "$base.exit" ] || want=$(tr -d ' \n' <"$base.exit")
  why=""
  if [ "$code" = 77 ] && tail -n 1 "$work/stdout" | grep -q '^SKIP: '; then
    echo "skip $name: $(tail -n 1 "$work/stdout" | cut -c 7-)"
    s=$((s + 1))
    continue
  fi
  [ "$code" = "$want" ] || why="exit code $code, not $want"
  [ -n "$why" ] || [ ! -f "$base.stdout.exact" ] || cmp -s "$base.stdout.exact" "$work/stdout" ||
    why="standard output differs: $(diff "$base.stdout.exact" "$work/stdout" | head -n 6)"
  for kind in stdout stderr; do
    [ -z "$why" ] && [ -f "$base.$kind.glob" ] || continue
    why=$(match "$base.$kind.glob" "$work/$kind") || why="$kind: $why"
  done
  if [ -z "$why" ]; then
    p=$((p + 1))
  else
    f=$((f + 1))
    echo "FAIL $name: $why"
    sed 's/^/  stdout: /' "$work/stdout" | tail -n 5
    sed 's/^/  stderr: /' "$work/stderr" | tail -n 5
    trace "$case" "$code"
  fi
done
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ] && [ $((p + s)) -gt 0 ]
