# Questions that share text with the calibration text are named by eval and kld, in words and in JSON; others are not.
. "$LIB"
toy m
edit m/config.json 's/_position_embeddings": 64/_position_embeddings": 256/'
i=0
while [ $i -lt 60 ]; do
  i=$((i + 1))
  echo "Number $i: what do $((i * 7919 % 1000)) ants and $((i * i % 97)) bees make when they meet in house $((i * 31 % 57)) of the town $i?"
done >text
: >q.jsonl
for i in 1 2 30 90; do # the last is not in the text
  line=$(sed -n "${i}p" text)
  [ -n "$line" ] || line="How does the grass in garden $i grow if no one at all of this street ever looks after it"
  printf '{"id": "q%s", "question": "%s", "choices": ["a", "the"], "answer": "A"}\n' "$i" "$line" >>q.jsonl
done
sed 's/ants/owls/; s/bees/cats/; s/when/if/; s/house/barn/; s/town/city/' text >other
nibble quantize m -o c.nbl -q --calib text --tokens 8192 --seq 64 --group 32 >/dev/null
nibble eval c.nbl --task custom --data q.jsonl -q --json --out c.json >printed 2>err
grep -q '^nibble: warning: c.nbl .* 3 of the 4 questions' err
[ "$(wc -l <err)" -eq 1 ]
grep -v '^"measured"' printed >a
grep -v '^"measured"' c.json | cmp a -
[ "$(jsonq calibrated_on <c.json)" = 3 ]
[ "$(jsonq answers.2.calibrated_on <c.json)" = true ]
if jsonq answers.3.calibrated_on <c.json >/dev/null 2>&1; then exit 1; fi
nibble quantize m -o plain.nbl -q >/dev/null
nibble eval plain.nbl --task custom --data q.jsonl -q --json >n.json 2>err
[ ! -s err ]
[ "$(jsonq calibrated_on <n.json)" = 0 ]
# Shards keep it.
for s in 1 2; do nibble eval c.nbl --task custom --data q.jsonl -q --shard $s/2 --out s$s.json >/dev/null 2>&1; done
nibble merge s1.json s2.json --out joined.json >/dev/null
grep -v '^"measured"' joined.json | cmp a -
# kld
nibble kld m c.nbl --text text --ctx 64 --chunks 6 -q --json >k.json 2>err
grep -q '^nibble: warning: c.nbl .* 6 of the 6 windows' err
[ "$(jsonq calibrated_on <k.json)" = 6 ]
[ "$(jsonq ref_calibrated_on <k.json)" = 0 ]
nibble kld c.nbl plain.nbl --text text --ctx 64 --chunks 6 -q --json >k.json 2>err
[ "$(jsonq calibrated_on <k.json)" = 0 ]
[ "$(jsonq ref_calibrated_on <k.json)" = 6 ]
nibble kld m c.nbl --text other --ctx 64 --chunks 6 -q --json >k.json 2>err
[ ! -s err ]
[ "$(jsonq calibrated_on <k.json)" = 0 ]
nibble kld m plain.nbl --text text --ctx 64 --chunks 6 -q >/dev/null 2>err
[ ! -s err ]
