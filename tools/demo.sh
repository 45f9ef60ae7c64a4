#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job from one end to the other: converts a checkpoint to 4 bits, answers a multiple-choice set with both
# forms, and prints one table. `make demo` runs it on the bundled checkpoint and questions.
# usage: demo.sh NIBBLE [MODEL_DIR [DATA]]     environment: EVAL="..." more options for `nibble eval`,
#                                              QUANTIZE="..." for `nibble quantize`
set -eu
nibble=$1
root=$(cd "$(dirname "$0")/.." && pwd)
model=${2:-$root/data/demo}
data=${3:-$root/data/demo/mmlu}
out=${OUT:-build/demo}
mkdir -p "$out"
# The bundled model comes with a text to calibrate on. One's own is calibrated on the texts that come with nibble, unless
# QUANTIZE says otherwise: "--calib text.txt", "--fast".
own=${2:-}
# shellcheck disable=SC2086
set -- ${QUANTIZE:-}
[ -n "$own${QUANTIZE:-}" ] || [ ! -f "$root/data/demo/calibrate.txt" ] || set -- --calib "$root/data/demo/calibrate.txt"

echo "1. nibble quantize $model -o $out/model.nbl $*"
"$nibble" quantize "$model" -o "$out/model.nbl" "$@"
"$nibble" verify -q "$out/model.nbl"
echo "2. nibble eval $model --data $data ${EVAL:-} --out $out/full.json"
# shellcheck disable=SC2086
"$nibble" eval "$model" --data "$data" ${EVAL:-} --out "$out/full.json" >"$out/full.txt"
echo "3. nibble eval $out/model.nbl --data $data ${EVAL:-} --out $out/4bit.json"
# shellcheck disable=SC2086
"$nibble" eval "$out/model.nbl" --data "$data" ${EVAL:-} --out "$out/4bit.json" >"$out/4bit.txt"

# A result file has "total", "model" and "measured" on a line each: that is all the table needs.
summary() {
  awk -v name="$1" '
    function number(key) { return match($0, "\"" key "\": *[-0-9.e+]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0 }
    function size(b) { return b >= 9.995e8 ? sprintf("%.2f GB", b / 1e9) : sprintf("%.2f MB", b / 1e6) }
    /^"model":/ { bytes = number("file_bytes"); bits = number("bits_a_weight") }
    /^"total":/ { n = number("n"); score = number("score"); low = number("low"); high = number("high") }
    /^"measured":/ { s = number("seconds"); t = number("tokens"); file = number("file_backed_bytes")
                     anon = number("anonymous_bytes"); peak = number("peak_bytes") }
    END { printf "%-15s %9s %8.2f %11.1f %%  %5.1f - %4.1f %%  %8.0f %11s %10s %10s\n", name, size(bytes), bits,
                 100 * score, 100 * low, 100 * high, (s > 0 ? t / s : 0), size(file), size(anon), size(peak) }' "$2"
}
questions=$(sed -n 's/^"total": *{"n": *\([0-9]*\).*/\1/p' "$out/full.json")
echo
echo "$questions questions; tables by subject: $out/full.txt, $out/4bit.txt"
printf '%-15s %9s %8s %13s  %14s  %8s %11s %10s %10s\n' "" file "bits/" accuracy "95 % interval" "tokens/s" "memory: of" "its own" peak
printf '%-15s %9s %8s %13s  %14s  %8s %11s %10s %10s\n' "" "" weight "" "" "" files "" ""
summary "full precision" "$out/full.json"
summary "4 bits" "$out/4bit.json"
if "$nibble" help | grep -q '^  compare '; then
  echo
  "$nibble" compare "$out/full.json" "$out/4bit.json" >"$out/compare.txt" 2>&1 || true
  echo "question by question: nibble compare $out/full.json $out/4bit.json"
  sed -n '/^acc/,$p' "$out/compare.txt"
fi
