# Long-context probes: texts of the lengths asked for, each with four numbers at their depths; the task reads them, and a text's
# questions share it.
. "$LIB"
calibration_text 400 >text
nibble quantize -q "$DATA/demo" -o demo.nbl --fast >/dev/null
nibble probe demo.nbl --text text --lengths 300,700 --texts 2 -o needle.jsonl
[ "$(wc -l <needle.jsonl)" = 16 ]
[ "$(grep -c '"subject": "700 tokens"' needle.jsonl)" = 8 ]
sed -n 16p needle.jsonl >last
[ "$(jsonq tokens <last)" -le 700 ]
[ "$(jsonq tokens <last)" -ge 680 ]
[ "$(jsonq depth <last)" = 0.875 ]
[ "$(jsonq answer <last)" = 3 ]
name=$(jsonq question <last | sed 's/.* of \(.*\)?/\1/')
jsonq passage <last | grep -q "^The secret number of $name is $(jsonq choices.3 <last)\.$"
nibble probe demo.nbl --text text --lengths 300,700 --texts 2 -o again.jsonl
cmp needle.jsonl again.jsonl
nibble eval demo.nbl -q -t 1 --task needle --data needle.jsonl --out run.json >/dev/null
[ "$(jsonq protocol.questions <run.json)" = 16 ]
# Four questions of four choices read a text once, not sixteen times.
[ "$(jsonq measured.tokens_unshared <run.json)" -gt $((8 * $(jsonq measured.tokens <run.json))) ]
fails 2 '*texts of 10 tokens*' nibble probe demo.nbl --text text --lengths 10 -o x.jsonl
fails 2 '*--lengths 4k: want numbers*' nibble probe demo.nbl --text text --lengths 4k -o x.jsonl
[ ! -e x.jsonl ]
