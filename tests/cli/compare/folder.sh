# A folder of results against one baseline: one table by size, one chart, the worst verdict. Candidates of any kind.
. "$LIB"
mkdir runs empty
questions q.jsonl 40
nibble quantize -q "$TOY" -o eight.nbl --bits 8 --codes uniform >/dev/null
nibble export "$TOY" --gguf four.gguf --type q4_0 -q
for m in "$TOY" eight.nbl four.gguf "$NBL"; do
  nibble eval "$m" --task custom --data q.jsonl --out "runs/$(basename "$m").json" -q -t 1 >/dev/null 2>&1
done
code=0
nibble compare runs/toy.json runs --html r.html >table || code=$?
[ $code = 0 ] || [ $code = 3 ] || [ $code = 4 ]
[ "$(wc -l <table)" = 6 ]
sed -n 3p table | grep -q 'toy .*baseline'
# the change of each is that of the two alone
for m in eight.nbl four.gguf toy.nbl; do
  alone=$(nibble compare runs/toy.json "runs/$m.json" | sed -n 's/.*, change \([-+0-9.]*\) points.*/\1/p') || :
  grep "$m " table | grep -qF -- " $alone "
  grep -qF "$m" r.html
done
nibble compare runs/toy.json runs --json >j || :
[ "$(grep -o '"verdict"' j | wc -l)" -ge 3 ]
fails [12] '*no result file*' nibble compare runs/toy.json empty
fails 2 '*--also*' nibble compare runs/toy.json runs --also runs/toy.json
