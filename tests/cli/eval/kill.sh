# Killed at any moment and started again until it ends, a run gives the bytes of one that was left alone.
. "$LIB"
questions q.jsonl 1500
nibble eval "$NBL" --task custom --data q.jsonl -q -t 1 --out whole.json >/dev/null
answers whole.json >a
i=0 kills=0
while :; do
  i=$((i + 1))
  nibble eval "$NBL" --task custom --data q.jsonl -q -t 1 --journal j --out out.json >/dev/null &
  pid=$!
  sleep $((i / 8)).$(((i * 37) % 60 + 10)) # longer and longer: a sanitizer's program is slow to begin
  kill -9 $pid 2>/dev/null || true
  if wait $pid; then break; fi
  kills=$((kills + 1))
  [ ! -e out.json ] || answers out.json | cmp a -
  [ "$i" -lt 200 ]
done
echo "$kills kills"
answers out.json | cmp a -
[ "$(grep '^"protocol"' whole.json)" = "$(grep '^"protocol"' out.json)" ]
[ ! -e j ]
# Another run's journal is refused and kept; a file that is no journal too.
nibble eval "$NBL" --task custom --data q.jsonl -q -t 1 --journal j >/dev/null &
pid=$!
grown j 0 $pid
kill -9 $pid 2>/dev/null || true
if ! wait $pid 2>/dev/null; then
  cp j kept
  fails 2 '*another run*' nibble eval "$NBL" --task custom --data q.jsonl --limit 5 --journal j
  cmp j kept
fi
echo hello there, this is a text >text
fails 2 '*not a journal*' nibble eval "$NBL" --task custom --data q.jsonl --journal text
grep -q hello text
