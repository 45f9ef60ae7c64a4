# Both forms, as table, JSON and file; the same answers for any number of threads, batch size and without sharing.
. "$LIB"
questions q.jsonl 12
nibble eval "$TOY" --task custom --data q.jsonl >table 2>/dev/null
grep -q '^total  *12 ' table
nibble eval "$NBL" --task custom --data q.jsonl --json -q >one.json
jsonq <one.json
[ "$(jsonq total.n <one.json)" = 12 ]
[ "$(jsonq answers.11.logprobs.3 <one.json | cut -c 1)" = - ]
[ "$(jsonq measured.file_backed_bytes <one.json)" -gt 0 ]
answers one.json >one
for how in "-t 1" "-t 2" "--batch 16" --alone "--cpu ref"; do
  # shellcheck disable=SC2086
  nibble eval "$NBL" --task custom --data q.jsonl -q --out out.json $how >/dev/null
  answers out.json | cmp one -
done
nibble eval "$TOY" "$NBL" --task custom --data q.jsonl -q >both
[ "$(grep -c '^total ' both)" = 2 ]
