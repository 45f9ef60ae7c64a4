# A gate that is killed goes on from its journals and ends with the answers and the verdict of one that was left alone;
# --out is a run that `nibble compare` takes.
. "$LIB"
written=300
. "$TESTS/cli/compare/stages.inc"
# With exec=exec, in the background, the program itself is what is killed.
exec=
g() {
  $exec nibble gate "$NBL" --against base.json --data q.jsonl -q --margin 2 -t 1 --written wbase.json --written-data w.jsonl \
    --written-task ./w.json "$@"
}
g --out whole.json --out wwhole.json >text
# What was decided, without times and journals.
verdict() { sed 's/ in [0-9.]* [a-z]*.*//; s/ after .*//' text; }
verdict >verdict
answers whole.json >a
answers wwhole.json >wa
# The answers are those of a run of all questions, and stand in the data's order.
answers base.json >all
grep '^{' a | sed 's/,$//' >lines
[ "$(wc -l <lines)" = "$(jsonq protocol.stopped_at <whole.json)" ]
[ "$(wc -l <lines)" -gt 300 ]
sed 's/,$//' all | grep -F -x -f lines | cmp - lines
nibble compare base.json whole.json --common --margin 2 -q >/dev/null
[ "$(jsonq protocol.stopped_at <wwhole.json)" = 200 ]
i=0 kills=0
while :; do
  i=$((i + 1))
  exec=exec
  g --journal j --out out.json --out wout.json >text 2>err &
  pid=$! exec=
  sleep $((i / 8)).$(((i * 37) % 60 + 10)) # longer and longer: a sanitizer's program is slow to begin
  kill -9 $pid 2>/dev/null || true
  if wait $pid; then break; fi
  kills=$((kills + 1))
  [ "$i" -lt 200 ]
done
echo "$kills kills"
verdict | cmp - verdict
answers out.json | cmp - a
answers wout.json | cmp - wa
[ -d j ]
[ -z "$(ls j)" ]
# A verdict that could not be written is not lost: its journals stay, and the same gate ends with them at once.
fails 1 '*nowhere*' g --journal kept --junit nowhere/g.xml
g --journal k --junit nowhere/g.xml >/dev/null 2>&1 && exit 1
g --journal k --json >json
for s in 0 1 2; do [ "$(jsonq stages.$s.from_journal <json)" = "$(jsonq stages.$s.questions <json)" ]; done
# What belongs to another gate is refused and kept: other questions' order, another candidate, another stage.
rm -r k
cp -R kept k
fails 2 '*divergence.journal: the journal of another run*' g --journal k --seed 2
damage_nbl "$NBL" bad.nbl 0 60 1
fails 2 '*divergence.journal: the journal of another run*' nibble gate bad.nbl --against base.json --data q.jsonl -q \
  --journal k
cmp k/divergence.journal kept/divergence.journal
cp kept/divergence.journal k/written.journal
fails 2 '*written.journal: the journal of another run*' g --journal k
# Nothing that is read, or is something else, is written over.
fails 2 '*base.json*' g --out base.json
fails 2 '*q.jsonl*' g --journal q.jsonl
fails 2 '*--out*' g --out 1.json --out 2.json --out 3.json
fails 2 '*--out*' nibble gate "$NBL" --against base.json --data q.jsonl --out 1.json --out 2.json
echo text >j/divergence.journal
fails 2 '*divergence.journal*' g --journal j
grep -q text j/divergence.journal
