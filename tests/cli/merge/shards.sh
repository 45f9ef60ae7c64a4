# Three shards joined are the unsharded run; a missing one and one given twice are refused.
. "$LIB"
questions q.jsonl 14
nibble eval "$NBL" --task custom --data q.jsonl -q --out whole.json >/dev/null
for i in 1 2 3; do nibble eval "$NBL" --task custom --data q.jsonl -q --shard $i/3 --out $i.json >/dev/null; done
nibble merge 3.json 1.json 2.json -o joined.json >/dev/null
answers whole.json >a
answers joined.json | cmp a -
nibble compare whole.json joined.json --margin 60 --max-kld 0 >/dev/null
fails '[12]' '*' nibble merge 1.json 2.json -o no.json
fails '[12]' '*' nibble merge 1.json 2.json 2.json -o no.json
[ ! -e no.json ]
fails 2 '*whole.json: this run is no shard' nibble merge whole.json
fails 2 'nibble: shard 1 of 99 has no question' nibble eval "$NBL" --task custom --data q.jsonl --shard 1/99
