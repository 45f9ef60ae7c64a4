. "$LIB"
questions q.jsonl 12
nibble eval "$NBL" --task custom --data q.jsonl -q --out r.json >/dev/null
[ -e /dev/full ] || skip "no /dev/full"
code=0
nibble compare r.json r.json --margin 0.001 --github >/dev/full 2>err || code=$?
[ $code = 1 ] # not the verdict
