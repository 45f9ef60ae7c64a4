#!/bin/sh
# SPDX-License-Identifier: MIT
# Command-line tests. A case is tests/cli/AREA/CASE.sh; beside it may lie
#   CASE.exit           the expected exit code (0 without it)
#   CASE.stdout.exact   the whole of standard output, byte for byte
#   CASE.stdout.glob, CASE.stderr.glob   line by line, each a shell pattern; a line "..." stands for any lines
# The case runs under `sh -e` in an empty directory with nibble first in PATH, $TESTS (tests/), $DATA (data/),
# $ROOT, and $TOY and $NBL: a tiny checkpoint and its 4-bit file (tests/cli/setup.sh makes them once).
# As many cases run at a time as there are processors, or $AT_ONCE; each is case.sh's.
# A case whose last output line is "SKIP: why" and that exits 77 counts as skipped. One that fails is run once more, to
# show the last commands of its trace. With --set the files of expected output and exit codes that a case has are
# rewritten with what it does now: read the difference before it is committed. (Patterns stay; those that no longer
# match become the line itself.)
# With CPU=SET in the environment every command that takes --cpu is given --cpu SET, unless it has one of its own.
# usage: run.sh [--set] NIBBLE [AREA/CASE] (a shell pattern)
SET_MODE=0
if [ "$1" = --set ]; then SET_MODE=1; shift; fi
here=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$here/../.." && pwd)
TESTS=$ROOT/tests DATA=$ROOT/data
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
only=${2:-}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/nibble-cli.XXXXXX") || exit 1
trap 'chmod -R u+w "$WORK"; rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM
mkdir "$WORK/bin"
if [ -z "${CPU:-}" ]; then
  ln -s "$program" "$WORK/bin/nibble"
else
  takes=" "
  for command in $("$program" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    ! "$program" "$command" --help | grep -q -e '--cpu ' || takes="$takes$command "
  done
  cat >"$WORK/bin/nibble" <<EOF
#!/bin/sh
command=\$1
case "$takes" in
  *" \$1 "*) case " \$* " in *' --cpu '*) ;; *) shift; set -- "\$command" --cpu $CPU "\$@" ;; esac ;;
esac
exec "$program" "\$@"
EOF
  chmod +x "$WORK/bin/nibble"
  unset CPU
fi
PATH=$WORK/bin:$PATH
LC_ALL=C
export ROOT TESTS DATA PATH LC_ALL WORK SET_MODE

. "$here/setup.sh"

: >"$WORK/verdicts"
for case in "$here"/*/*.sh; do
  name=${case#"$here"/}
  name=${name%.sh}
  # shellcheck disable=SC2254
  case $name in ${only:-*}) echo "$name" ;; esac
done >"$WORK/names"
at_once=${AT_ONCE:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
[ ! -s "$WORK/names" ] || xargs -n 1 -P "$at_once" sh "$here/case.sh" <"$WORK/names"
count() { grep -c "$1" "$WORK/verdicts"; }
p=$(count p) s=$(count s)
f=$(($(wc -l <"$WORK/names") - p - s)) # with those that left no verdict
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ] && [ $((p + s)) -gt 0 ]
