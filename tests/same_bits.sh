#!/bin/sh
# SPDX-License-Identifier: MIT
# Two builds (with its own threads and with OpenMP, of two compilers) must give the same bytes: a converted and a calibrated
# file, a divergence, the answers to questions, a generated text.
# usage: same_bits.sh NIBBLE NIBBLE
cd "$(dirname "$0")/.." || exit 1
dir=$(mktemp -d "${TMPDIR:-/tmp}/nibble-bits.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/toy"
cp tests/golden/model/gqa_f16/config.json tests/golden/model/gqa_f16/model.safetensors tests/cli/toy/*.json "$dir/toy"
i=0
while [ $i -lt 60 ]; do echo "the ant in the thing $i"; i=$((i + 1)); done >"$dir/text"
while [ $i -lt 66 ]; do
  echo "{\"id\": \"q$i\", \"question\": \"the $i?\", \"choices\": [\"the ant\", \"a thing\"], \"answer\": \"A\"}"
  i=$((i + 1))
done >"$dir/q.jsonl"
k=0
for nibble in "$1" "$2"; do
  k=$((k + 1))
  "$nibble" quantize -q "$dir/toy" -o "$dir/$k.nbl" --fast >/dev/null || exit 1
  "$nibble" quantize -q "$dir/toy" -o "$dir/$k.tuned" --calib "$dir/text" --tokens 512 --seq 64 --tune 2steps \
    --budget 60kB --probe-tokens 64 >/dev/null || exit 1
  "$nibble" kld -q "$dir/toy" "$dir/$k.nbl" --text "$dir/text" --ctx 32 --json 2>/dev/null | grep -v seconds |
    sed "s|$dir/$k|x|" >"$dir/$k.kld" || exit 1
  "$nibble" eval "$dir/$k.nbl" --task custom --data "$dir/q.jsonl" --out "$dir/$k.json" -q >/dev/null || exit 1
  sed -e 's/"measured": *{[^}]*}//g' -e "s|$dir/$k|x|g" "$dir/$k.json" >"$dir/$k.eval"
  if "$nibble" help | grep -q '^  generate '; then
    "$nibble" generate "$dir/$k.nbl" -q -p "the ant" -n 20 >"$dir/$k.text" || exit 1
  fi
done
p=0 f=0
for kind in nbl tuned kld eval text; do
  [ -f "$dir/1.$kind" ] || continue
  if [ -s "$dir/1.$kind" ] && cmp "$dir/1.$kind" "$dir/2.$kind"; then p=$((p + 1)); else f=$((f + 1)); fi
done
echo "$p passed, $f failed, 0 skipped"
[ "$f" -eq 0 ]
