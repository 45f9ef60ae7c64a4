# nibble gate: refuses damage by its first questions, accepts the same build, and says what it took.
. "$LIB"
written=40
. "$TESTS/cli/compare/stages.inc"
g() { nibble gate "$@" --against base.json --data q.jsonl -q; }
g "$NBL" --margin 2 --junit g.xml >text
grep -q '^pass after ' text
grep -q '^divergence  *not refused: .*; 300 questions in ' text
grep -q '^accuracy  *pass: ' text
[ "$(grep -c '<testcase' g.xml)" = 2 ]
g "$NBL" --margin 2 --json >j
[ "$(jsonq verdict <j)" = pass ]
[ "$(jsonq stages.0.stage <j)" = divergence ]
# Too few questions for half a point.
code=0
g "$NBL" --margin 0.5 >text || code=$?
[ $code = 4 ]
grep -q '^undecided after ' text
# A build whose scales are far off: the first 25 or 100 questions show it.
damage_nbl "$NBL" bad.nbl 0 60 1
code=0
g bad.nbl --max-kld 1e-6 >text || code=$?
[ $code = 3 ]
grep -q '^divergence  *fail: .*; \(25\|100\) questions in ' text
grep -q '^accuracy' text && exit 1
# Data that are not the baseline's: fewer, more, or another text under the same names.
head -n 899 q.jsonl >fewer.jsonl
{ cat q.jsonl; sed -n 's/"q1"/"q901"/p' q.jsonl | sed 's/the 1/the 901/'; } >more.jsonl
sed 's/the 7 of/the 8 of/' q.jsonl >other.jsonl
for data in fewer more other; do
  fails 2 "*base.json answered other questions (900, data *) than $data.jsonl holds (*): give the data of that run*" \
    nibble gate "$NBL" --against base.json --data $data.jsonl -q
done
# A written task stands between; what does not belong together is refused.
g "$NBL" --margin 2 --written wbase.json --written-data w.jsonl --written-task ./w.json >text
grep -q '^written  *not refused: .*; 40 questions in ' text
fails 2 '*--written-data*' g "$NBL" --written wbase.json
fails '[12]' '*not of a written task*' g "$NBL" --written base.json --written-data q.jsonl
fails '[12]' '*of a written task*' nibble gate "$NBL" --against wbase.json --data w.jsonl --task ./w.json -q
# Prompts that do not fit are named before the first question, and CI gets a test for them.
{ head -n 500 q.jsonl; echo '{"id": "long", "question": "'"$(printf 'the %.0s' $(seq 80))"'", "choices": ["a", "b"], "answer": "A"}'; } >long.jsonl
sed -e 's/_embeddings": 64/_embeddings": 256/' "$TOY/config.json" >config
toy wide
mv config wide/config.json
nibble eval wide --task custom --data long.jsonl -q --out wide.json >/dev/null
fails 2 '*asked as in wide.json: *1 of 501 prompts do not fit: question long*' \
  nibble gate "$NBL" --against wide.json --data long.jsonl -q --junit long.xml
grep -q 'name="prompts"' long.xml
