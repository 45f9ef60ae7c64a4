#!/bin/sh
# SPDX-License-Identifier: MIT
# Fidelity by kind of text: files calibrated on the calib_* texts of a folder, measured on its held_* texts, beside
# llama.cpp's Q4_K_M of the same checkpoint (peers.tsv there). Defaults are decided on this table.
# usage: bench_domains.sh NIBBLE MODEL_DIR DOMAINS_DIR OUT_DIR
# MODEL_DIR: what peers.tsv was measured on, SmolLM2 in Phi-3 form, seed 0 (make_smollm2_phi3.py).
# Environment: DRAWS ("1 2 1-code-multi-stories"): seeds of the draw, with kinds that are left out of it; FILES ("q4km
# 4.00 3.72"): rows of the issue's target table, or "bundled", or "flat", or any name with OPTIONS_name (the options of
# nibble quantize, dots in the name as _); KINDS (all): what is measured; CHUNKS (20) windows; EXTRA options of every
# quantize; THREADS; KEEP=1 keeps the files. What was measured is kept in OUT_DIR, and a run that was stopped goes on.
set -eu
nibble=$1 model=$2 domains=$3 out=$4
threads=${THREADS:+--threads $THREADS}
all="wiki chat code math stories web multi"
kinds=${KINDS:-$all}
mkdir -p "$out"
[ -f "$model/config.json" ] || { echo "bench_domains.sh: $model is no checkpoint (MODEL=)" >&2; exit 2; }

options() {
  case $1 in
  q4km) echo "--budget 144686592" ;;
  4.00 | 3.72) echo "--linear-bpw $1 --embed t4g128 --head u6g64" ;;
  flat) echo "--group 128 --embed t4g128 --head u6g64" ;;
  bundled) echo "--budget 144686592" ;;
  *) eval "echo \"\${OPTIONS_$(echo "$1" | tr . _):?the options of $1}\"" ;;
  esac
}

# The --calib options of a draw: "1", or "1-code-math" without these kinds.
texts() {
  left=-${1#*-}-
  for kind in $all; do
    case $1 in *-*) case $left in *-$kind-*) continue ;; esac ;; esac
    printf ' --calib %s' "$domains/calib_$kind.txt"
  done
}

make_file() { # FILE DRAW NBL
  calib=
  [ "$1" = bundled ] || calib=$(texts "$2")
  # shellcheck disable=SC2046,SC2086
  "$nibble" quantize "$model" -o "$3" -q $threads --seed "${2%%-*}" $calib $(options "$1") ${EXTRA:-} --json \
    >"$3.json.tmp" || exit 1
  mv "$3.json.tmp" "$3.json"
}

number() { sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\([-0-9.e]*\).*/\1/p" "$1" | head -n 1; }
q4km() { awk -F '\t' -v kind="$1" '/^type/ {for (i = 1; i <= NF; i++) if ($i == kind) at = i} /^Q4_K_M/ {split($at, x, " "); print x[1]}' "$domains/peers.tsv"; }

row() { # FILE DRAW
  id=$out/$1.$2
  for kind in $kinds; do
    [ ! -s "$id.$kind.json" ] || continue
    [ -s "$id.nbl" ] || make_file "$1" "$2" "$id.nbl"
    # shellcheck disable=SC2086
    "$nibble" kld "$model" "$id.nbl" --text "$domains/held_$kind.txt" --chunks "${CHUNKS:-20}" -q $threads --json \
      >"$id.$kind.tmp"
    mv "$id.$kind.tmp" "$id.$kind.json"
  done
  for kind in $kinds; do
    case -$2- in *-$kind-*) mark='*' ;; *) mark= ;; esac
    echo "$kind$mark $(number "$id.$kind.json" kl_mean) $(number "$id.$kind.json" kl_mean_se) $(q4km "$kind")"
  done | awk -v name="$1, draw $2" -v bytes="$(number "$id.nbl.json" bytes)" -v s="$(number "$id.nbl.json" seconds)" '
    { r = $2 / $4; sum += log(r); if (r > worst) worst = r
      cells = cells sprintf(" | %.4f +- %.4f (%.2f%s)", $2, $3, r, $1 ~ /\*/ ? ", left out" : "") }
    END { printf "| %s | %.1f | %.0f%s | **%.3f** | %.3f |\n", name, bytes / 1e6, s / 60, cells, exp(sum / NR), worst }'
  [ "${KEEP:-}" ] || rm -f "$id.nbl"
}

printf '| file | MB | minutes'
for kind in $kinds; do printf ' | %s' "$kind"; done
printf ' | geometric mean | worst |\n| --- | --- | ---'
for kind in $kinds; do printf ' | ---'; done
printf ' | --- | --- |\n'
for file in ${FILES:-q4km 4.00 3.72}; do
  for draw in ${DRAWS:-1 2 1-code-multi-stories}; do row "$file" "$draw"; done
done
echo
echo "KL divergence +- standard error (ratio to Q4_K_M, $(awk -F '\t' '/^Q4_K_M/ {print $2}' "$domains/peers.tsv") bytes)"
