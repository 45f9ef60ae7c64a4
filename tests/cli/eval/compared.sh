# Several models in one command, a stored baseline, and the sequential verdict.
. "$LIB"
questions q.jsonl 400
run="nibble eval $NBL --task custom --data q.jsonl -q -t 1"
nibble eval "$NBL" "$TOY" --task custom --data q.jsonl -q -t 1 --out nbl.json --out toy.json --html r.html >out
[ "$(grep -c '^total ' out)" = 2 ]
grep -q "^baseline   $TOY\$" out
grep -q "^candidate  $NBL\$" out
grep -q '</html>' r.html
# Three models, as JSON: every run, and each against the only checkpoint; without a limit the verdict is no exit code.
nibble eval "$NBL" "$NBL" "$TOY" --task custom --data q.jsonl -q -t 1 --json >all.json
[ "$(jsonq runs.2.model.name <all.json)" = "$TOY" ]
for i in 0 1; do [ "$(jsonq verdicts.$i.baseline.model.name <all.json)" = "$TOY" ]; done
[ "$(jsonq verdicts.1.statistics.n <all.json)" = 400 ]
code=0
nibble eval "$NBL" "$TOY" --task custom --data q.jsonl -q -t 1 --max-kld 0 --json >all.json || code=$?
[ "$code" = 3 ]
[ "$(jsonq verdicts.0.gates.1.verdict <all.json)" = fail ]
code=0
$run --against toy.json --margin 0.001 >out || code=$?
[ "$code" = 4 ] || [ "$code" = 3 ]
grep -q '^flips ' out
$run --against nbl.json --margin 30 >out

# Stops when it is certain; its file says so, and compare treats it as what it is.
$run --against nbl.json --margin 30 --sequential --journal j --out early.json >out
[ ! -e j ]
grep -q '^margin: pass after 128 of 400 questions' out
[ "$(jsonq protocol.stopped_at <early.json)" = 128 ]
[ "$(jsonq protocol.questions <early.json)" = 400 ]
[ "$(grep -c '^{"id"' early.json)" = 128 ]
grep '^{"id"' early.json | sed 's/,$//' | while read -r row; do grep -qF "$row" nbl.json || exit 1; done
fails 2 '*the candidate stopped early, after 128 of 400 questions*--common*' nibble compare nbl.json early.json
fails 2 '*the baseline stopped early*' nibble compare early.json nbl.json
nibble compare nbl.json early.json --common --margin 30 >out
grep -q '^pass  *margin:.*by the sequential test' out
grep -q '^the candidate stopped early' out
code=0
nibble compare nbl.json early.json --common --margin 2 >out || code=$? # 128 equal answers: enough for a fixed number, not for this
[ "$code" = 4 ]
sed 's/"stopped_at": 128/"stopped_at": 100/' early.json >wrong.json
fails 1 '*wrong.json: "stopped_at" is 100 with 128 answers*' nibble compare nbl.json wrong.json --common
# One that finds no verdict has asked everything: the file is that of any run.
code=0
$run --against nbl.json --margin 0.1 --sequential --json --out end.json >out || code=$?
[ "$code" = 4 ]
[ "$(jsonq verdicts.0.statistics.n <out)" = 400 ]
[ "$(jsonq verdicts.0.statistics.sequential <out)" = true ]
answers nbl.json >a
answers end.json | cmp a -
fails 2 '*--sequential needs --against*' $run --sequential
fails 2 '*the preset*' $run --preset text --against nbl.json
