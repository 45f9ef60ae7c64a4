# A run that is killed goes on from its journal and ends with the same answers.
. "$LIB"
questions q.jsonl 60
nibble eval "$NBL" --task custom --data q.jsonl -q --out whole.json >/dev/null
nibble eval "$NBL" --task custom --data q.jsonl -q --alone -t 1 --journal j --out a.json >/dev/null &
pid=$!
grown j 0 $pid
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
[ -s j ] || skip "the run ended before it could be killed"
cp j kept
nibble eval "$NBL" --task custom --data q.jsonl -q --alone --journal j --out a.json >/dev/null
answers whole.json >w
answers a.json | cmp w -
[ ! -e j ]
# A journal of another run, and a damaged one, are refused.
questions other.jsonl 10
fails '[12]' '*kept*' nibble eval "$NBL" --task custom --data other.jsonl -q --journal kept
poke kept 20 '\377\377'
fails '[12]' '*kept*' nibble eval "$NBL" --task custom --data q.jsonl -q --journal kept
[ "$(jsonq measured.from_journal <whole.json)" = 0 ]
