#!/bin/sh
# SPDX-License-Identifier: MIT
# The quality tables: fidelity of quantized files against bytes, and what each method contributes.
# Fidelity by kind of text is in bench_domains.sh.
# usage: bench_quality.sh NIBBLE MODEL_DIR CALIBRATION_TEXT MEASURE_TEXT OUT_DIR [targets|ablation|texts]...
# targets: each row is made by one quantize command and measured by `nibble kld` on 40 windows of 512 tokens.
# ablation: one method at a time against the defaults, with the same formats, measured on the end of the calibration
# text, which no row is calibrated on; defaults are chosen by it, never on the measured text. Its rows are kept in
# OUT_DIR, and a run that was stopped goes on.
# texts: what decides defaults: four disjoint quarters of the first 80 % of the calibration text, each measured on the
# last 20 %; a change that pays does so on all four.
# Environment: CHUNKS (40, ablation 10, texts 20), THREADS (all), KEEP=1 keeps the files, EXTRA (options added to each
# quantize), ROWS (a regular expression: these rows of the ablation only; several runs may then share OUT_DIR).
set -eu
nibble=$1 model=$2 calib=$3 measure=$4 out=$5
shift 5
[ $# -gt 0 ] || set -- targets ablation
threads=${THREADS:+--threads $THREADS}
mkdir -p "$out"

# row NAME OPTIONS...: quantizes, measures, prints one line of the table
row() {
  name=$1
  shift
  file=$out/$(printf %s "$name" | tr -c 'A-Za-z0-9.\n' _).nbl
  # shellcheck disable=SC2086
  "$nibble" quantize "$model" -o "$file" -q $threads ${EXTRA:-} "$@" >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
  bits=$(sed -n 's/.*linears at \([0-9.]*\) bits.*in \(.*\)/\1 | \2/p' "$out/log")
  # shellcheck disable=SC2086
  "$nibble" kld "$model" "$file" --text "$measure" --chunks "${CHUNKS:-40}" -q $threads >"$out/kld"
  printf '| %s | %s | %s | %s | %s | %s |\n' "$name" "$(wc -c <"$file" | awk '{printf "%.1f", $1 / 1e6}')" "$bits" \
    "$(awk '/^KL/ {print $4, $5, $6}' "$out/kld")" "$(awk '/^perplexity/ {print $5}' "$out/kld")" \
    "$(awk '/^same/ {print $4, $5}' "$out/kld")"
  [ "${KEEP:-}" ] || rm -f "$file"
}

# ---- ablation ----

# The formats of a file's slices as --set options.
formats() {
  "$nibble" inspect "$1" --json | tr -d '\n\t ' | sed 's/{"name"/\
&/g' | sed -n 's/^{"name":"layers\.\([0-9]*\)\.\([a-z]*\)","type":"\([tu][0-9]*g[0-9]*\)".*/--set \1.\2=\3/p'
}

window_kl() { { tr -d '\n\t ' <"$1"; echo; } | sed -n 's/.*"window_kl":\[\([^]]*\)\].*/\1/p'; }

# ablate NAME OPTIONS...: quantizes with the formats in $fixed, unless that was done; prints one line of the table
ablate() {
  name=$1 id=$(printf %s "$1" | tr -c 'A-Za-z0-9.' _)
  shift
  printf '%s\n' "$name" | grep -Eqx "$rows" || return 0
  if [ ! -s "$out/$id.json" ]; then
    # shellcheck disable=SC2086
    [ -s "$out/$id.nbl" ] || "$nibble" quantize "$model" -o "$out/$id.nbl" -q $threads --calib "$out/calibrate.txt" \
      --tokens 8192 --embed t4g128 --head u6g64 $fixed "$@" ${EXTRA:-} >"$out/$id.log" 2>&1 || { cat "$out/$id.log" >&2; exit 1; }
    # shellcheck disable=SC2086
    "$nibble" kld "$model" "$out/$id.nbl" --text "$out/held.txt" --chunks "$windows" -q $threads --json >"$out/$id.tmp"
    mv "$out/$id.tmp" "$out/$id.json"
    [ "${KEEP:-}" ] || [ "$id" = defaults ] || rm -f "$out/$id.nbl"
  fi
  { window_kl "$out/defaults.json"; window_kl "$out/$id.json"; } | awk -F, -v name="$name" '
    NR == 1 { for (i = 1; i <= NF; i++) base[i] = $i; next }
    { for (i = 1; i <= NF; i++) { mean += $i / NF; diff += ($i - base[i]) / NF; from += base[i] / NF }
      for (i = 1; i <= NF; i++) { a += ($i - mean) ^ 2; d += ($i - base[i] - diff) ^ 2 }
      n = NF * (NF - 1)
      printf "| %s | %.4f +- %.4f | %+.4f +- %.4f | %+.1f %% |\n", name, mean, sqrt(a / n), diff, sqrt(d / n), 100 * diff / from }'
}

ablation() {
  cut=$(($(wc -c <"$calib") * 7 / 10))
  head -c "$cut" "$calib" >"$out/calibrate.txt"
  tail -c +$((cut + 1)) "$calib" >"$out/held.txt"
  printf '| row | KL divergence | against the defaults, paired | |\n| --- | --- | --- | --- |\n'
  fixed="--linear-bpw 4.0"
  rows=.* windows=${CHUNKS:-10}
  ablate "defaults"
  fixed=$(formats "$out/defaults.nbl") rows=${ROWS:-.*}
  ablate "not calibrated" --fast
  ablate "search weighted by inputs, fitted tables, folds" --no-gptq --sweeps 0
  ablate "the same, scales not folded" --no-gptq --sweeps 0 --no-fold
  ablate "no GPTQ" --no-gptq
  ablate "no sweeps" --sweeps 0
  ablate "1 sweep" --sweeps 1
  ablate "4 sweeps" --sweeps 4
  ablate "no fitted tables" --no-tables
  ablate "damping 0.001" --damp 0.001
  ablate "damping 0.1" --damp 0.1
  ablate "sequential in a layer" --sequential
  ablate "scales not folded" --no-fold
  ablate "tuned, 12 steps" --tune 12steps
  ablate "head not calibrated" --no-head
  ablate "16384 tokens" --tokens 16384
  ablate "4096 tokens" --tokens 4096
  uniform=$(printf %s "$fixed" | sed 's/=t/=u/g')
  all=$fixed fixed=$uniform
  ablate "uniform codes"
  fixed="--group 128"
  ablate "t4g128 everywhere (4.08 bits)"
  fixed=$all
}

texts() {
  all=$out fixed="--linear-bpw 4.0" from=1 rows=.* windows=${CHUNKS:-20}
  cut=$(($(wc -c <"$calib") / 5))
  for i in 1 2 3 4; do
    out=$all/text$i
    mkdir -p "$out"
    tail -c "+$from" "$calib" | head -c "$cut" >"$out/calibrate.txt"
    tail -c "+$((4 * cut + 1))" "$calib" >"$out/held.txt"
    from=$((from + cut))
    printf '| row, text %s | KL divergence | against the defaults, paired | |\n| --- | --- | --- | --- |\n' "$i"
    ablate "defaults"
    fixed=$(formats "$all/text1/defaults.nbl")
    ablate "scales not folded" --no-fold
    ablate "no sweeps" --sweeps 0
    ablate "no fitted tables" --no-tables
  done
  out=$all
}

# ---- the tables ----

targets() {
  printf '| row | MB | linears, bits a weight | time | KL divergence | perplexity | same top token |\n| --- | --- | --- | --- | --- | --- | --- |\n'
  row "linears 4.06, rest 8 bits" --calib "$calib" --embed u8g64 --head u8g64 --linear-bpw 4.06
  row "linears 4.00, embedding 4.1, head 6.2" --calib "$calib" --embed t4g128 --head u6g64 --linear-bpw 4.0
  row "linears 3.72, embedding 4.1, head 6.2" --calib "$calib" --embed t4g128 --head u6g64 --linear-bpw 3.72
}

for part in "$@"; do
  case $part in
  targets | ablation | texts) "$part" ;;
  *) echo "bench_quality.sh: '$part' is none of targets, ablation, texts" >&2; exit 2 ;;
  esac
done
