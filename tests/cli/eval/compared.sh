# Several models in one command, a stored baseline, and the sequential verdict.
. "$LIB"
questions q.jsonl 400
nibble eval "$NBL" "$TOY" --task custom --data q.jsonl -q -t 1 --out nbl.json --out toy.json >out
[ "$(grep -c '^total ' out)" = 2 ]
grep -q "^baseline   $TOY\$" out
grep -q "^candidate  $NBL\$" out
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q -t 1 --against toy.json --margin 0.001 >out || code=$?
[ "$code" = 4 ] || [ "$code" = 3 ]
grep -q '^flips ' out
nibble eval "$NBL" --task custom --data q.jsonl -q -t 1 --against nbl.json --margin 30 >out
nibble eval "$NBL" --task custom --data q.jsonl -q -t 1 --against nbl.json --margin 30 --sequential >out
grep -q '^pass after 128 of 400 questions' out
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q -t 1 --against nbl.json --margin 0.1 --sequential --json >out || code=$?
[ "$code" = 4 ]
[ "$(jsonq questions <out)" = 400 ]
fails 2 '*--sequential needs --against*' nibble eval "$NBL" --task custom --data q.jsonl --sequential
fails 2 '*the preset*' nibble eval "$NBL" --task custom --preset text --data q.jsonl -q --against nbl.json
