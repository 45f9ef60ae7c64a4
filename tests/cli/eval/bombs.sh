# Small files that would cost much are refused with a message, in little time and memory.
. "$LIB"
python=$(command -v python3) || skip "no python3"
questions q.jsonl 3
nibble eval "$NBL" --task custom --data q.jsonl -q --out a.json >/dev/null
"$python" - <<'P'
open("fields.csv", "w").write("question," + "," * 20000 + "\n")
open("text.jsonl", "w").write('{"id": "x", "question": "%s", "choices": ["a", "b"], "answer": 0}\n' % ("a" * 1100000))
open("values.json", "w").write('{"format": "nibble-result", "x": [' + "0," * (1 << 25) + "0]}")
P
run="nibble eval $NBL --task custom -q --data"
# A sanitizer's build does not start with so little.
if (ulimit -v 8000000 && nibble --version >/dev/null 2>&1); then ulimit -v 8000000; fi
fails 1 '*fields.csv:1: more than 10000 fields' $run fields.csv
fails 1 '*text.jsonl:1: a field of 1100000 bytes, at most 1048576 are read' $run text.jsonl
fails 1 '*values.json*more than 33554432 values' nibble compare a.json values.json
