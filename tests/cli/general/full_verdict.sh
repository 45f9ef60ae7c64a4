# A verdict that could not be written is no verdict: exit 1, whatever it was.
[ -c /dev/full ] || { echo "SKIP: no /dev/full here"; exit 77; }
. "$LIB"
questions q.jsonl 12
nibble eval "$NBL" --task custom --data q.jsonl -q --out a.json >/dev/null
code=0
nibble compare a.json a.json --margin 1 >/dev/full 2>err || code=$?
[ "$code" = 1 ]
grep -q '^nibble: cannot write to standard output' err
# A text that goes nowhere is not written to its end.
fails 1 '*standard output: cannot write*' sh -c 'nibble generate "$NBL" -p the -n 20 >/dev/full'
