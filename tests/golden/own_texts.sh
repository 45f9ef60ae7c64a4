#!/bin/sh
# SPDX-License-Identifier: MIT
# Not a golden: has a model write 100 answers to each written task and lm-evaluation-harness mark them.
# usage: own_texts.sh NIBBLE MODEL ../shared/data/eval OUT [TOKENS [PYTHON]]
# TOKENS: at most so many of each text (128). What is in OUT already is not written again; a run that was ended goes on.
set -eu
nibble=$1 model=$2 data=$3 out=$4 tokens=${5:-128} python=${6:-python3}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
for pair in gsm8k:gsm8k gsm8k_cot:gsm8k triviaqa:triviaqa bbh_cot_zeroshot:bbh bbh_cot_fewshot:bbh mmlu_pro_cot:mmlu_pro \
  minerva_math:math500 ifeval:ifeval; do
  task=${pair%:*} set=$data/${pair#*:}
  [ -e "$set" ] || { echo "$task: no $set"; continue; }
  [ -s "$out/$task.json" ] && continue
  shots=
  [ $task = mmlu_pro_cot ] && shots="--shots 0"
  sed "s/\"max_tokens\": [0-9]*/\"max_tokens\": $tokens/" "$here/../../data/tasks/$task.json" >"$out/$task.task.json"
  "$nibble" eval "$model" --task "$out/$task.task.json" --data "$set" --sample 100 --seed 1 $shots -q --overlong truncate \
    --journal "$out/$task.journal" --out "$out/$task.json" >/dev/null
done
set --
for task in gsm8k gsm8k_cot triviaqa bbh_cot_zeroshot bbh_cot_fewshot mmlu_pro_cot minerva_math ifeval; do
  [ ! -s "$out/$task.json" ] || set -- "$@" "$out/$task.json"
done
exec "$python" "$here/check_own_texts.py" "$@" "$data"
