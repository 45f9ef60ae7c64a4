# A run as one zip: the result file, predictions, subjects, and the report where the run was compared.
. "$LIB"
questions q.jsonl 30
run="nibble eval $NBL --task custom --data q.jsonl -q -t 1"
code=0
nibble eval nowhere.nbl --data nowhere.jsonl --bundle r.zip >out 2>err || code=$?
if grep -q 'built without libzip' err; then
  [ $code = 2 ] # before any work
  skip "built without libzip"
fi
code=0
$run --out r.json --bundle r.zip >out 2>err || code=$?
[ $code = 0 ]
command -v unzip >/dev/null || skip "no unzip"
unzip -q r.zip -d alone
[ "$(cd alone && echo *)" = "predictions.jsonl report.html result.json subjects.csv" ]
grep -v '^"measured"' r.json >a
grep -v '^"measured"' alone/result.json | cmp a -
[ "$(wc -l <alone/predictions.jsonl)" -eq 30 ]
while read -r line; do echo "$line" | jsonq pick; done <alone/predictions.jsonl >picks
[ "$(wc -l <picks)" -eq 30 ]
[ "$(wc -l <alone/subjects.csv)" -eq 2 ]
grep -q '^"","",30,0\.' alone/subjects.csv
nibble compare r.json alone/result.json --margin 60 --max-kld 0 >/dev/null
$run --against r.json --texts --bundle r.zip >/dev/null
unzip -q r.zip -d compared
grep -q '</html>' compared/report.html
head -n 1 compared/predictions.jsonl | jsonq question | grep -q 'the 0?'
fails 2 '*2 times --bundle for 1*' $run --bundle a.zip --bundle b.zip
fails 1 '*nowhere*' sh -c "$run --bundle nowhere/b.zip >/dev/null"
rm -r alone compared a out err picks r.json r.zip q.jsonl
only
