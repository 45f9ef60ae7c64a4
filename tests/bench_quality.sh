#!/bin/sh
# SPDX-License-Identifier: MIT
# The quality tables: fidelity of quantised files against bytes, and what each method contributes.
# usage: bench_quality.sh NIBBLE MODEL_DIR CALIBRATION_TEXT MEASURE_TEXT OUT_DIR [targets|ablation]...
# Each row is made by one quantize command and measured by `nibble kld` on 40 windows of 512 tokens. The formats and
# methods of the target rows were chosen on a held-out part of the calibration text, never on the measured text.
# Environment: CHUNKS (40), THREADS (all), KEEP=1 keeps the files, EXTRA (options added to each quantize).
set -eu
nibble=$1 model=$2 calib=$3 measure=$4 out=$5
shift 5
[ $# -gt 0 ] || set -- targets ablation
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
threads=${THREADS:+--threads $THREADS}
mkdir -p "$out"

# row NAME OPTIONS...: quantises, measures, prints one line of the table
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

printf '| row | MB | linears, bits a weight | time | KL divergence | perplexity | same top token |\n| --- | --- | --- | --- | --- | --- | --- |\n'
for part in "$@"; do
  case $part in
  targets)
    row "linears 4.06, rest 8 bits" --calib "$calib" --embed u8g64 --head u8g64 --linear-bpw 4.06
    row "linears 4.00, embedding 4.1, head 6.2" --calib "$calib" --embed t4g128 --head u6g64 --linear-bpw 4.0
    row "linears 3.72, embedding 4.1, head 6.2" --calib "$calib" --embed t4g128 --head u6g64 --linear-bpw 3.72
    ;;
  ablation)
    base="--group 256 --embed u8g64 --head u8g64"
    # shellcheck disable=SC2086
    {
      row "no calibration, uniform codes" $base --codes uniform
      row "no calibration, tables" $base
      row "weighted search" $base --calib "$calib" --no-gptq --sweeps 0 --no-tables --alpha 0
      row "+ fitted tables" $base --calib "$calib" --no-gptq --sweeps 0 --alpha 0
      row "+ GPTQ" $base --calib "$calib" --sweeps 0 --alpha 0
      row "+ one sweep" $base --calib "$calib" --sweeps 1 --alpha 0
      row "+ two sweeps" $base --calib "$calib" --sweeps 2 --alpha 0
      row "+ asymmetric target 0.25" $base --calib "$calib" --alpha 0.25
      row "asymmetric target 0.5" $base --calib "$calib" --alpha 0.5
      row "inputs sequential in a layer" $base --calib "$calib" --sequential
      row "damping 0.001" $base --calib "$calib" --damp 0.001
      row "bits allocated" --embed u8g64 --head u8g64 --calib "$calib" --linear-bpw 4.05
    }
    ;;
  *) echo "bench_quality.sh: '$part' is neither targets nor ablation" >&2; exit 2 ;;
  esac
done
