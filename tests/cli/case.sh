#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one command-line test case for run.sh, in whose environment it stands, and says what fails of it. Its verdict is a
# line of $WORK/verdicts: p, f or s.
# usage: case.sh AREA/CASE
here=$(cd "$(dirname "$0")" && pwd)
name=$1 case=$here/$1.sh base=$here/$1
mine=$(mktemp -d "$WORK/case.XXXXXX") || exit 1
trap 'chmod -R u+rwX "$mine"; rm -rf "$mine"' EXIT

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

# An empty directory to run the case in.
fresh() {
  chmod -R u+rwX "$mine/run" 2>/dev/null
  rm -rf "$mine/run"
  mkdir "$mine/run"
}

# trace CODE: the last commands of another run of it, each with its line.
trace() {
  fresh
  (cd "$mine/run" && PS4='line $LINENO: ' && export PS4 &&
    if bash -c '[ "${BASH_VERSINFO[0]}" -ge 5 ]' 2>/dev/null; then
      exec 9>"$mine/trace" && BASH_XTRACEFD=9 exec bash --posix -ex "$case"
    else exec sh -ex "$case" 2>"$mine/trace"; fi) >/dev/null 2>&1 </dev/null
  [ $? = "$1" ] || echo "  run again it did not fail so: "
  tail -n 8 "$mine/trace" | cut -c 1-400 | sed 's/^/  trace: /'
}

# rewrite PATTERNS OUTPUT: the output, in which lines that a pattern at their place matches are that pattern.
rewrite() {
  if grep -q -x -F ... "$1"; then echo "  $1 leaves lines out: edit it by hand"; return; fi
  exec 3<"$1"
  while IFS= read -r line || [ -n "$line" ]; do
    IFS= read -r pattern <&3 || pattern=$line
    # shellcheck disable=SC2254
    case $line in $pattern) echo "$pattern" ;; *) printf '%s\n' "$line" ;; esac
  done <"$2" >"$mine/rewritten"
  exec 3<&-
  cat "$mine/rewritten" >"$1"
}

# set_expected BASE CODE: what a case has of expected files, with what it did.
set_expected() {
  [ ! -f "$1.exit" ] || echo "$2" >"$1.exit"
  [ ! -f "$1.stdout.exact" ] || cat "$mine/stdout" >"$1.stdout.exact"
  for kind in stdout stderr; do
    [ ! -f "$1.$kind.glob" ] || match "$1.$kind.glob" "$mine/$kind" >/dev/null || rewrite "$1.$kind.glob" "$mine/$kind"
  done
}

# What is wrong with the run that ended with $code; nothing when all is well.
wrong() {
  want=0
  [ ! -f "$base.exit" ] || want=$(tr -d ' \n' <"$base.exit")
  [ "$code" = "$want" ] || { echo "exit code $code, not $want"; return; }
  [ ! -f "$base.stdout.exact" ] || cmp -s "$base.stdout.exact" "$mine/stdout" ||
    { echo "standard output differs: $(diff "$base.stdout.exact" "$mine/stdout" | head -n 6)"; return; }
  for kind in stdout stderr; do
    [ -f "$base.$kind.glob" ] || continue
    why=$(match "$base.$kind.glob" "$mine/$kind") || { echo "$kind: $why"; return; }
  done
}

fresh
(cd "$mine/run" && exec sh -e "$case") >"$mine/stdout" 2>"$mine/stderr" </dev/null
code=$?
[ "${SET_MODE:-0}" = 0 ] || set_expected "$base" "$code"
if [ "$code" = 77 ] && tail -n 1 "$mine/stdout" | grep -q '^SKIP: '; then
  echo "skip $name: $(tail -n 1 "$mine/stdout" | cut -c 7-)"
  echo s >>"$WORK/verdicts"
  exit
fi
why=$(wrong)
if [ -z "$why" ]; then
  echo p >>"$WORK/verdicts"
  exit
fi
echo f >>"$WORK/verdicts"
{
  echo "FAIL $name: $why"
  sed 's/^/  stdout: /' "$mine/stdout" | tail -n 5
  sed 's/^/  stderr: /' "$mine/stderr" | tail -n 5
  trace "$code"
} >"$mine/report"
cat "$mine/report" # at once, since other cases end at the same time
