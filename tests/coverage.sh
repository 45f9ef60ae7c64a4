#!/bin/sh
# SPDX-License-Identifier: MIT
# Lines of the parsers that the replayed corpus reached, by file, the least first. A parser is a source that reads bytes
# from outside; those whose bytes are checked elsewhere (writers) are no part of it.
# usage: coverage.sh BUILD_DIR (made with VARIANT=coverage, after its replay programs ran)
build=$1
parsers="formats/archive.c formats/calfile.c formats/csv.c formats/hf_config.c formats/json.c formats/jsonl.c formats/nbl.c
formats/safetensors.c formats/tokenizer_json.c eval/dataset.c eval/item.c eval/rows.c eval/rowpath.c eval/task.c
eval/template.c eval/prompt.c eval/gate.c eval/journal.c eval/result_json.c eval/result_other.c eval/sketch.c
lib/text/chat_template.c lib/text/jinja_lex.c lib/text/jinja_parse.c lib/text/jinja_eval.c lib/text/jinja_call.c
lib/text/tokenizer_save.c lib/text/tokenizer_regex.c"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for f in $parsers; do
  [ -f "$f" ] && [ -f "$build/${f%.c}.gcda" ] || continue
  gcov -n -o "$build/$(dirname "$f")" "$build/${f%.c}.o" 2>/dev/null |
    awk -v f="$f" '$0 == "File '"'"'" f "'"'"'" { here = 1; next }
      here && /^Lines executed/ { split($2, a, /[:%]/); print a[2], $4, f; exit }' >>"$work/list"
done
[ -s "$work/list" ] || { echo "no coverage under $build" >&2; exit 1; }
sort -n "$work/list" | awk '{ printf "%6.2f %%  %5d lines  %s\n", $1, $2, $3; lines += $2; hit += $1 * $2 / 100 }
  END { printf "%6.2f %%  %5d lines  all\n", 100 * hit / lines, lines }'
