# Suites: one table of several tasks, in every form; what is missing is named; shards, journals, baselines and limits work
# as for a task.
. "$LIB"
mkdir -p sets/one sets/deep/two
questions sets/one/test.jsonl 30
questions sets/one/dev.jsonl 3
questions sets/deep/two/test.jsonl 20
cat >w.json <<'E2'
{"task": "w", "data": {"splits": {"test": ["w.jsonl"]}, "question": "q", "targets": "a"}, "prompt": "{{q}} ",
 "score": "generate", "generate": {"stop": ["\n"], "max_tokens": 8}, "extract": {"letter": [{"regex": "[a-z]"}]}}
E2
mkdir sets/w
for i in $(seq 1 12); do echo "{\"q\": \"a b c $i\", \"a\": \"e\"}"; done >sets/w/w.jsonl
cat >mine.json <<'E2'
{"suite": "mine", "published": "phi3-report", "rows": [
 {"name": "MMLU", "task": "custom", "shots": 2, "data": ["absent", "one"], "examples": ["train", "dev"]},
 {"name": "Two things", "task": "custom", "data": ["two"], "shots": 1, "examples": ["train", "test"],
  "with": {"shots": {"select": "first"}, "prompt": "{{question}} "}},
 {"name": "Written", "task": "./w.json", "data": ["w"]},
 {"name": "None", "task": "custom", "data": ["nowhere"]},
 {"name": "Code", "needs": "a sandbox"}]}
E2
ev() { nibble eval "$NBL" --suite ./mine.json --data sets -q --overlong truncate "$@"; }
edit mine.json 's/"train", "dev"/"val", "dev"/'
edit mine.json 's/"train", "test"/"val", "test"/'
ev --out runs --html s.html --summary s.md --junit s.xml >text
grep -q '^mine: .*, 3 of 5 rows run$' text
grep -q '^MMLU  *2 (dev)  *30  *[0-9.]* ' text
grep -q ' 68.8  *75.7 ' text
grep -q '^Two things  *1 (test)  *20 ' text
grep -q '^Written  *0  *12 ' text
grep -q 'not run: None: no data' text
grep -q 'not run: Code: it needs a sandbox' text
grep -q '^| Two things | 1 (test) | 20 |' s.md
grep -q '^Not run: Code: it needs a sandbox' s.md
[ "$(grep -c '<skipped ' s.xml)" = 2 ]
grep -q '<title>nibble suite' s.html
grep -q '"published_models": \["phi-3-mini"' s.html
(cd runs && ls) | tr '\n' ' ' | grep -q '^mmlu.json suite.json two_things.json written.json $'
[ "$(jsonq run <runs/suite.json)" = 3 ]
[ "$(jsonq not_run <runs/suite.json)" = 2 ]
ev --json | cmp - runs/suite.json
[ "$(jsonq rows.0.published.3 <runs/suite.json)" = 56.3 ]
sed -e 's/"MMLU"/"BoolQ"/' mine.json >null.json # phi-2 has no published BoolQ
nibble eval "$NBL" --suite ./null.json --data sets -q --overlong truncate --json >null
nibble eval "$NBL" --suite ./null.json --data sets -q --overlong truncate --summary null.md >nulltext
[ "$(jsonq rows.0.published.3 <null)" = null ]
# Published numbers that no source confirms are marked in every form of the table, the others are not.
grep -q '^BoolQ .* 77\.2?  *84\.8 ' nulltext
grep -q 'A ? marks numbers' nulltext
grep -q 'A ? marks numbers' s.md
grep -q '^| BoolQ .*| 77\.2? | 84\.8 |' null.md
[ "$(jsonq rows.0.published_unconfirmed.0 <null)" = phi-3-mini ]
grep -q '?  ' text && exit 1
# A question is none of its own examples.
ev --texts --out texts >/dev/null
# Each row's file is that of a run of its task: shards join, a baseline is compared with, limits hold.
ev --shard 1/2 --out a >/dev/null
ev --shard 2/2 --out b >/dev/null
for row in mmlu two_things written; do
  nibble merge a/$row.json b/$row.json -o joined.json --force >/dev/null
  grep -v '^"measured"' joined.json >j
  grep -v '^"measured"' runs/$row.json | cmp - j
done
ev --against runs --margin 40 --junit g.xml >text
grep -q 'pass .*Written, margin' text
[ "$(grep -c '<testcase' g.xml)" = 5 ]
ev --against runs --margin 40 --sequential >text || [ $? = 4 ]
grep -q "Two things, margin" text
code=0
ev --min-accuracy 100 >text || code=$?
[ $code = 3 ]
# A row that the baseline ran and this run cannot is no part of a pass.
mv sets/w w.away
code=0
ev --against runs --margin 40 --junit g.xml >text || code=$?
[ $code = 4 ]
grep -q '^undecided  Written, run: not run, as the baseline.s was: no data' text
grep -q 'classname="nibble.written" name="run"' g.xml
[ "$(grep -c '<skipped ' g.xml)" = 2 ]
mv w.away sets/w
# A run that ended goes on from its journals; they are gone when all is done.
mkdir jr
ev --journal jr --out c >/dev/null
[ -z "$(ls jr)" ]
grep -v '^"measured"' c/written.json >j
grep -v '^"measured"' runs/written.json | cmp - j
# No file of a row, nor the table, is written over the suite, a task, a model, or each other.
mkdir here there
cp mine.json here/suite.json
cp w.json there/mmlu.json
fails 2 '*--out would write over here/suite.json (--suite), which is read*' \
  nibble eval "$NBL" --suite here/suite.json --data sets --out here -q --overlong truncate
fails 2 '*there/mmlu.json is there already and not a result of nibble eval*' ev --out there
cmp mine.json here/suite.json
cmp w.json there/mmlu.json
sed 's/"Two things"/"Suite"/' mine.json >collides.json
fails 2 '*--out and --out would both write new/suite.json*' \
  nibble eval "$NBL" --suite ./collides.json --data sets --out new -q --overlong truncate
mkdir new
fails 2 '*--html and --out would both write new/written.json*' ev --out new --html new/written.json
[ -z "$(ls new)" ]
ev --out runs >/dev/null # one of its own is replaced
# What makes no sense.
fails 2 '*--suite*' ev --task custom
fails '[12]' '*none of the suite*' nibble eval "$NBL" --suite ./mine.json --data jr -q
fails '[12]' '*no suite "nosuch"; there are phi3-report*' nibble eval "$NBL" --suite nosuch --data sets -q
sed 's/"Two things"/"mmlu"/' mine.json >twice.json
fails '[12]' '*that of another row*' nibble eval "$NBL" --suite ./twice.json --data sets -q
sed 's/"needs"/"wants"/' mine.json >wants.json
fails '[12]' '*row 5: unknown key "wants"*' nibble eval "$NBL" --suite ./wants.json --data sets -q
sed 's/"prompt"/"promt"/' mine.json >promt.json
fails '[12]' '*unknown key "promt"*' nibble eval "$NBL" --suite ./promt.json --data sets -q
echo '{"question": "?", "choices": ["a", "b"], "answer": "Z"}' >>sets/deep/two/test.jsonl
fails '[12]' '*Two things*test.jsonl:21*' ev
