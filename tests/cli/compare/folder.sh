# A folder of results against one baseline: one table by size, one chart, the worst verdict. Candidates of any kind.
. "$LIB"
mkdir runs empty
questions q.jsonl 40
nibble quantize -q "$TOY" -o eight.nbl --fast --bits 8 --codes uniform >/dev/null
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

# With parts of the questions each row says how many, and the baseline's score is its own.
mkdir parts
head -n 10 q.jsonl >part.jsonl
nibble eval "$NBL" --task custom --data part.jsonl --out parts/part.json -q >/dev/null
code=0
nibble compare runs/toy.json parts --common >table || code=$?
[ $code = 4 ]
score=$(jsonq total.score <runs/toy.json | awk '{printf "%.2f", 100 * $1}')
sed -n 3p table | grep -qF " 40  $score "
sed -n 4p table | grep -q ' 10  .*undecided$'
