#!/bin/sh
# SPDX-License-Identifier: MIT
# Small runs of every command in which one call fails, each call in turn (fault.c): no crash, no leak (under ASan), an
# exit code that is nibble's, a message, no temporary, no half file. A run that succeeds in spite of it has made the
# same files as one that nothing happened to.
# usage: run.sh PROGRAM [MOST]    MOST (20): at most so many calls of a kind in a command, spread over all; 0: every one
here=$(cd "$(dirname "$0")/../.." && pwd)
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
most=${2:-20}
work=$(mktemp -d "${TMPDIR:-/tmp}/nibble-fault.XXXXXX") || exit 1
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
ASAN_OPTIONS=exitcode=99:detect_leaks=1 UBSAN_OPTIONS=exitcode=99 LC_ALL=C
export ASAN_OPTIONS UBSAN_OPTIONS LC_ALL
cd "$work" || exit 1
mkdir toy keep
cp "$here"/tests/golden/model/gqa_f16/config.json "$here"/tests/golden/model/gqa_f16/model.safetensors \
  "$here"/tests/cli/toy/*.json toy
"$program" quantize toy -o toy.nbl -q --fast >log 2>&1 || { cat log; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
i=0
while [ $i -lt 6 ]; do
  i=$((i + 1))
  printf '{"id": "q%s", "subject": "s%s", "question": "the %s?", "choices": ["a", "b"], "answer": "A"}\n' $i $((i % 2)) $i
done >q.jsonl
while [ $i -lt 120 ]; do i=$((i + 1)); echo "a line of text to calibrate on, the number $i, $((i * 7919 % 1000)) in it"; done >text
"$program" eval toy.nbl --task custom --data q.jsonl --out base.json -q -t 1 >log 2>&1 &&
  "$program" eval toy.nbl --task custom --data q.jsonl --shard 1/1 --out part.json -q -t 1 >log 2>&1 &&
  "$program" export toy --gguf toy.gguf -q -t 1 >log 2>&1 && "$program" pack toy.nbl -o toy.nblz -q >log 2>&1 ||
  { cat log; exit 1; }
"$program" split toy.nbl --size 30kB -o part -q >log 2>&1 || { cat log; exit 1; }
set -- part-00001-of-*.nbl
first=$1
mkdir runs
cp base.json runs/one.json
cp base.json runs/two.json
printf 'the ant\n/save out/talk.jsonl\n' >typed

p=0 f=0 s=0
# The outputs as they are without a fault; times differ.
digest() {
  case $1 in
  *.zip) tail -c 22 "$1" | head -c 4 | cksum ;; # whole, when its directory is at the end
  *.md) tr -d '0-9.' <"$1" | cksum ;;
  *) sed -e 's/"measured": *{[^}]*}//g' -e 's/time="[0-9.]*"//' "$1" | cksum ;;
  esac
}
outputs() { for o in out/*; do [ -d "$o" ] || [ ! -e "$o" ] || echo "$o $(digest "$o")"; done; }
fresh() { chmod -R u+w out 2>/dev/null; rm -rf out; mkdir out; }
bad() { f=$((f + 1)); echo "FAIL $name, $kind $n: $*"; head -n 12 err | cut -c 1-200 | sed 's/^/  /'; }

# one KIND N COMMAND...: with that call failing.
one() {
  kind=$1 n=$2 code=0
  shift 2
  fresh
  NB_FAULT=$kind:$n timeout 60 "$program" "$@" >stdout 2>err <typed || code=$?
  case $code in
  0) outputs >now; cmp -s now want || { bad "succeeded with other files: $(diff want now | grep '^[<>]' | head -n 2 | tr '\n' ' ')"; return; } ;;
  1 | 2 | 3 | 4) grep -q '^nibble' err || { bad "exit $code without a message"; return; } ;;
  *) bad "exit $code"; return ;;
  esac
  left=$(ls -A out | grep nibble-)
  [ -z "$left" ] || { bad "left $left"; return; }
  [ "$1" != split ] || [ -z "$(ls -A out)" ] || [ "$(ls -A out | wc -l)" = "$(wc -l <want)" ] ||
    { bad "exit $code and some parts"; return; }
  for o in out/*; do # what is there is whole; what runs go on with may be in any state
    [ -f "$o" ] || continue
    case $o in *.part | *.journal) continue ;; esac
    grep -q -F -x "$o $(digest "$o")" want || { bad "exit $code and another $o"; return; }
  done
  p=$((p + 1))
}

# each COMMAND...: every call in turn.
each() {
  name=$1
  fresh
  code=0
  NB_FAULT_COUNT=counts "$program" "$@" >stdout 2>err <typed || code=$?
  kind=none n=0
  [ $code = 0 ] || { bad "exit $code without a fault"; return; }
  outputs >want
  while read -r count_kind count_n; do
    step=1
    [ "$most" = 0 ] || [ "$count_n" -le "$most" ] || step=$(((count_n + most - 1) / most))
    k=1
    while [ $k -le "$count_n" ]; do
      one "$count_kind" $k "$@"
      k=$((k + step))
    done
  done <counts
}

each quantize toy -o out/m.nbl --fast -t 1
each quantize toy -o out/m.nbl --calib text --tokens 64 --seq 32 --budget 60kB --probe-tokens 16 -t 1
each calibrate toy -o out/stats --calib text --tokens 64 --seq 32 --probe-tokens 16 -t 1
each verify toy.nbl
each inspect toy.nbl --html out/page.html --json
each inspect toy -a
each diff toy toy.nbl -t 1
each export toy.nbl --hf out/hf --tokenizer toy
each generate toy.nbl -p "the ant" -n 3 -t 1 --json
each tokenize toy -p "the ant"
each eval toy.nbl --task custom --data q.jsonl --out out/r.json --journal out/r.journal --html out/r.html --junit out/j.xml \
  --summary out/s.md --min-accuracy 0 -t 1
each eval toy.nbl --task custom --data q.jsonl --against base.json --bundle out/b.zip --margin 99 -t 1 --json
each compare base.json base.json --html out/c.html --json --margin 99 --resamples 100
each merge part.json -o out/merged.json
each kld toy toy.nbl --text text -t 1
each ppl toy.nbl --text text --ctx 64 --windows 2 -t 1 --json
each export toy.nbl --gguf out/m.gguf -t 1
each export toy --gguf out/m.gguf --type q4_0 --calib text --tokens 64 --seq 32 -t 1
each quantize toy.gguf -o out/m.nbl --fast -t 1
each pack toy.nbl -o out/m.nblz -t 1 --json
each unpack toy.nblz -o out/m.nbl --json
each split toy.nbl --size 30kB -o out/p -t 1 --json
each join "$first" -o out/m.nbl -t 1 --json
each generate "$first" -p "the ant" -n 3 -t 1 --json
each reproduce toy.nbl toy -o out/again.nbl -t 1 --json
each compare base.json runs --html out/c.html --margin 99 --resamples 100
each gate toy.nbl --against base.json --data q.jsonl --junit out/j.xml --margin 99 -t 1 --json
each chat toy.nbl --raw -n 3 -t 1
each probe toy --text text -o out/probe.jsonl --lengths 300 --texts 1
echo "$p passed, $f failed, $s skipped"
[ "$f" -eq 0 ]
