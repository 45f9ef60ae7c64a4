# SPDX-License-Identifier: MIT
# Functions for cases.

skip() {
  echo "SKIP: $*"
  exit 77
}

# fails CODE PATTERN COMMAND...: the command must exit with CODE (1, or [12] for either), print exactly one line beginning "nibble" that the
# shell pattern matches on standard error, and nothing on standard output.
fails() {
  fails_code=$1 fails_pattern=$2 fails_got=0
  shift 2
  "$@" >fails.out 2>fails.err </dev/null || fails_got=$?
  # shellcheck disable=SC2254
  case $fails_got in
  $fails_code) ;;
  *) echo "exit $fails_got, not $fails_code: $*" >&2; cat fails.err >&2; exit 1 ;;
  esac
  grep '^nibble' fails.err | grep -v '^nibble: note:' >fails.line || { echo "no message: $*" >&2; exit 1; }
  [ "$(wc -l <fails.line)" -eq 1 ] || { echo "several messages: $*" >&2; cat fails.err >&2; exit 1; }
  # shellcheck disable=SC2254
  case $(cat fails.line) in
  $fails_pattern) ;;
  *) echo "message: $(cat fails.line); not: $fails_pattern" >&2; exit 1 ;;
  esac
  [ ! -s fails.out ] || { echo "output in spite of failure: $*" >&2; exit 1; }
  rm -f fails.out fails.err fails.line
}

# only NAMES...: the working directory holds these and nothing else (no temporary file).
only() {
  ls -A >"$work_list"
  for only_name in "$@"; do echo "$only_name"; done | LC_ALL=C sort | cmp -s - "$work_list" ||
    { echo "the directory holds: $(tr '\n' ' ' <"$work_list")" >&2; exit 1; }
}
work_list=$(dirname "$NBL")/list.$$

# packs: whether this build can pack files. One without zstd must say so and write nothing.
packs() {
  if nibble pack "$NBL" -o packs.nblz -q >/dev/null 2>packs.err; then
    rm packs.nblz packs.err
    return 0
  fi
  grep -q 'packs.nblz needs zstd.*built without libzstd' packs.err || { cat packs.err >&2; exit 1; }
  [ ! -e packs.nblz ] || exit 1
  rm packs.err
  return 1
}

# calibration_text LINES: a text without much sense, on standard output.
calibration_text() {
  text_i=0
  while [ $text_i -lt "$1" ]; do
    text_i=$((text_i + 1))
    echo "line $text_i of a text to calibrate on, with $((text_i * 7919 % 1000)) and $((text_i * text_i % 97)) in it"
  done
}

# calibrates [OPTIONS]: the toy quantized on the file `text`, with options that take a blink.
calibrates() {
  [ -e text ] || calibration_text 400 >text
  nibble quantize "$TOY" --calib text --tokens 512 --seq 64 --group 32 "$@"
}

# toy NAME: a copy of the checkpoint to damage.
toy() { cp -R "$TOY" "$1"; }

# edit FILE SED-SCRIPT: in place, as no sed -i is portable. Fails when nothing changes.
edit() {
  sed "$2" "$1" >edit.tmp
  cmp -s "$1" edit.tmp && { echo "edit changed nothing: $2" >&2; exit 1; }
  mv edit.tmp "$1"
}

# poke FILE OFFSET OCTAL...: overwrites bytes ("\\377").
poke() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }

size_of() { wc -c <"$1" | tr -d ' '; }

# u64le N: as 8 bytes.
u64le() {
  u64=$1
  for u64_i in 1 2 3 4 5 6 7 8; do
    printf "\\$(printf %o $((u64 % 256)))"
    u64=$((u64 / 256))
  done
}

# big DIR LAYERS: a checkpoint of zeros in a sparse file, large enough that converting takes a while.
big() {
  mkdir "$1"
  cp "$TOY"/tokenizer*.json "$1"
  sed -e 's/"hidden_size": [0-9]*/"hidden_size": 2048/' -e 's/"intermediate_size": [0-9]*/"intermediate_size": 4096/' \
    -e 's/"num_hidden_layers": [0-9]*/"num_hidden_layers": '"$2"'/' -e 's/"num_attention_heads": [0-9]*/"num_attention_heads": 16/' \
    -e 's/"num_key_value_heads": [0-9]*/"num_key_value_heads": 16/' "$TOY/config.json" >"$1/config.json"
  big_at=0 big_sep="{"
  tensor() { # NAME ROWS COLS
    big_n=$(($2 * ${3:-1} * 2))
    printf '%s"%s":{"dtype":"F16","shape":[%s%s],"data_offsets":[%s,%s]}' "$big_sep" "$1" "$2" "${3:+,$3}" "$big_at" \
      $((big_at + big_n))
    big_at=$((big_at + big_n)) big_sep=,
  }
  {
    tensor model.embed_tokens.weight 128 2048
    tensor lm_head.weight 128 2048
    tensor model.norm.weight 2048
    big_l=0
    while [ "$big_l" -lt "$2" ]; do
      tensor model.layers.$big_l.input_layernorm.weight 2048
      tensor model.layers.$big_l.post_attention_layernorm.weight 2048
      tensor model.layers.$big_l.self_attn.qkv_proj.weight 6144 2048
      tensor model.layers.$big_l.self_attn.o_proj.weight 2048 2048
      tensor model.layers.$big_l.mlp.gate_up_proj.weight 8192 2048
      tensor model.layers.$big_l.mlp.down_proj.weight 2048 4096
      big_l=$((big_l + 1))
    done
    printf '}'
  } >big.header
  big_n=$(size_of big.header)
  { u64le "$big_n"; cat big.header; } >"$1/model.safetensors"
  dd if=/dev/zero of="$1/model.safetensors" bs=1 count=0 seek=$((8 + big_n + big_at)) 2>/dev/null
  rm big.header
}

# questions FILE N: N short questions with four choices, of three subjects.
questions() {
  q_i=0
  while [ "$q_i" -lt "$2" ]; do
    printf '{"id": "q%s", "subject": "s%s", "question": "the %s?", "choices": ["a", "b", "in", "the"], "answer": "%s"}\n' \
      "$q_i" $((q_i % 3)) "$q_i" "$(echo ABCD | cut -c $((q_i % 4 + 1)))"
    q_i=$((q_i + 1))
  done >"$1"
}

# answers FILE: the lines of a result that must not depend on how the run was made.
answers() { grep -E '^\{"id"|^"(total|macro)"' "$1"; }

# grown FILE BYTES PID: waits until the file has more than so many bytes, or the process has ended.
grown() {
  until [ -e "$1" ] && [ "$(size_of "$1")" -gt "$2" ] || ! kill -0 "$3" 2>/dev/null; do sleep 0.01; done
}

# find_browser: $browser is a Chromium, or empty.
find_browser() {
  browser=
  for b in chromium chromium-browser google-chrome; do
    [ -n "$browser" ] || ! command -v $b >/dev/null || browser=$b
  done
}

# catching PAGE: the page with a first script that lists its errors in `failed`.
catching() {
  sed 's|<meta charset="utf-8">|&<script>var failed = []; addEventListener("error", e => failed.push(e.message));</script>|' "$1"
}

# in_browser WIDTH: test.html, whose title its script makes "all is well". What it printed is left in log. Fails when the
# browser does not run.
in_browser() {
  timeout 60 $browser --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/profile" --window-size="$1",900 \
    --virtual-time-budget=5000 --enable-logging=stderr --dump-dom "file://$PWD/test.html" >dom 2>log || return 1
  grep -q '<title>all is well</title>' dom || { grep -o '<title>.*</title>' dom >&2; grep CONSOLE log >&2; exit 1; }
}
