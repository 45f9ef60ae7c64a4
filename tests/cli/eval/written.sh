# Answers that are written: alone, in batches, in little memory, in shards, resumed; gates, reports, chats.
. "$LIB"
cat >t.json <<'E2'
{"task": "t", "version": 2, "data": {"splits": {"test": ["q.jsonl"]}, "subject": "s", "question": "q", "targets": "a[]"},
 "shots": {"count": 1, "examples": [{"q": "bc", "a": ["d"]}]}, "header": "ab\n", "prompt": "{{q}} ",
 "score": "generate", "generate": {"stop": ["zz", "\n"], "max_tokens": 24, "samples": 3, "temperature": 0.7},
 "extract": {"first": [{"regex": "[a-m]"}, {"take": "majority"}], "last": [{"regex": "[a-z]", "match": -1}]},
 "compare": {"ignore_case": true}}
E2
for i in $(seq 1 40); do
  echo "{\"s\": \"s$((i % 3))\", \"q\": \"a b c $i\", \"a\": [\"$(printf "\\$(printf %o $((97 + i % 12)))")\", \"e\"]}"
done >q.jsonl
ev() { nibble eval "$NBL" --task ./t.json --data q.jsonl -q "$@"; }
ev --texts --out a.json --html r.html --junit r.xml --summary s.md --min-accuracy 0 --json >both.json
grep -v '^"measured"' a.json >a
grep -q '"marks": \["first", "last"\]' a.json
[ "$(jsonq measured.new_tokens <a.json)" -gt 100 ]
grep -q 'name="min_accuracy">' r.xml
grep -q '>first [0-9.]* %, at least 0 asked for' r.xml
grep -q '^| first | ' s.md
grep -q '"texts": \[' r.html
grep -q '<testcase' r.xml
grep -q '40 questions' s.md
for how in --alone "--batch 16" "--kv-memory 1K" "-t 1 --batch 700"; do
  # shellcheck disable=SC2086
  ev --texts $how --out b.json >/dev/null
  grep -v '^"measured"' b.json | cmp a -
done
# Another seed samples other texts, and so do chats; those are other protocols.
ev --texts --seed 5 --out other.json >/dev/null
! grep -v '^"measured"' other.json | cmp -s a -
ev --chat --texts --out chat.json >text
ev --chat multiturn --overlong truncate --texts --out turns.json >/dev/null
grep -q ', chat$' text
grep -q '"chat": "single"' chat.json
grep -q '"chat": "multiturn"' turns.json
fails 2 '*chat template*' nibble compare a.json chat.json
fails 2 '*chat template*' nibble compare chat.json turns.json
questions mc.jsonl 10
nibble eval "$NBL" --task custom --data mc.jsonl -q --chat --out mcchat.json >/dev/null
# Shards, and a run that goes on.
for i in 1 2 3; do ev --texts --shard $i/3 --out part$i.json >/dev/null; done
nibble merge part1.json part2.json part3.json --out joined.json >/dev/null
grep -v '^"measured"' joined.json | cmp a -
nibble eval "$NBL" --task ./t.json --data q.jsonl -q --texts --alone -t 1 --journal j --out c.json >/dev/null &
pid=$!
grown j 2000 $pid
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
if [ -s j ]; then
  ev --texts --journal j --out c.json >/dev/null
  grep -v '^"measured"' c.json | cmp a -
fi
# Compared with itself; what written answers do not have is undecided; other protocols are refused.
nibble compare a.json joined.json --margin 50 >text
grep -q 'the same pick on 100.00' text
code=0
nibble compare a.json joined.json --max-kld 1 >text || code=$?
[ $code = 4 ]
grep -q 'no distribution' text
ev --system Hm --out sys.json >/dev/null
fails 2 '*system text*' nibble compare a.json sys.json
nibble eval "$NBL" --task custom --data mc.jsonl -q --out mc.json >/dev/null
fails 2 '*chat template*' nibble compare mc.json mcchat.json
fails 2 '*not comparable*' nibble compare a.json mc.json
# A sequential run of a written task: the same answers pass as soon as that is certain, and compare says the same.
for i in $(seq 1 600); do echo "{\"s\": \"s$((i % 3))\", \"q\": \"a b $i\", \"a\": [\"e\"]}"; done >many.jsonl
sed -e 's/"samples": 3, "temperature": 0.7/"samples": 1/' -e 's/"max_tokens": 24/"max_tokens": 4/' t.json >one.json
sev() { nibble eval "$NBL" --task ./one.json --data many.jsonl -q "$@"; }
sev --out base.json >/dev/null
sev --against base.json --margin 5 --sequential --seed 3 --out seq.json >text
grep -q '^margin: pass after \(256\|384\|512\) of 600 questions' text
nibble compare base.json seq.json --common --margin 5 >text
grep -q '^pass .*by the sequential test' text
# Texts in the form of lm-evaluation-harness's samples, one a mark; as a baseline they are refused with the reason.
ev --out-format lm-eval --out samples_t_x.jsonl >/dev/null
[ "$(wc -l <samples_t_x.jsonl)" = 80 ]
[ "$(grep -c '"filter": "first", "metrics": \["exact_match"\]' samples_t_x.jsonl)" = 40 ]
grep -q '"arg_1": {"until": \["zz", "\\n"\], "do_sample": true' samples_t_x.jsonl
grep -q '"exact_match": [01]' samples_t_x.jsonl
fails '[12]' '*samples_t_x.jsonl:1*written answers*' nibble compare -q samples_t_x.jsonl a.json
fails '[12]' '*written answers*' nibble compare -q a.json samples_t_x.jsonl
# A journal is of one model: of all that decides how its texts end and read, too.
toy ck
nibble eval ck --task ./t.json --data q.jsonl -q --alone -t 1 --journal j >/dev/null 2>&1 & pid=$!
grown j 2000 $pid
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
if [ -s j ]; then
  echo '{"eos_token_id": [2, 5]}' >ck/generation_config.json
  fails 2 '*j: the journal of another run*' nibble eval ck --task ./t.json --data q.jsonl -q --journal j
  rm ck/generation_config.json
  edit ck/tokenizer_config.json 's/<|end|>/<|enx|>/'
  fails 2 '*j: the journal of another run*' nibble eval ck --task ./t.json --data q.jsonl -q --journal j
fi
# A task whose rows have choices, too, that its prompts show.
mkdir pro
for i in 1 2 3; do
  echo "{\"question\": \"q $i\", \"options\": [\"a\", \"b\"], \"answer\": \"B\", \"category\": \"law\", \"cot_content\": \"A: x\"}"
done >pro/test.jsonl
cp pro/test.jsonl pro/validation.jsonl
nibble eval "$TOY" --task mmlu_pro_cot --data pro -q --limit 1 --shots 1 --overlong truncate --texts --out pro.json >/dev/null
nibble compare pro.json pro.json --margin 99 >/dev/null || [ $? = 4 ]
# Answers whose marks rest on what is only close to lm-evaluation-harness's are counted and named.
echo '{"key": 1, "prompt": "the", "instruction_id_list": ["language:response_language"], "kwargs": [{"language": "de"}]}' >if.jsonl
echo '{"key": 2, "prompt": "of", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}' >>if.jsonl
nibble eval "$NBL" --task ifeval --data if.jsonl -q --overlong truncate --out if.json >text
grep -q '^the marks of 1 answers may be other ones' text
[ "$(jsonq approximate <if.json)" = 1 ]
[ "$(jsonq answers.0.approximate <if.json)" = true ]
[ "$(grep -c '"approximate": true' if.json)" = 1 ]
nibble compare if.json if.json --margin 99 --html if.html >/dev/null || [ $? = 4 ]
grep -q '"approximate": true' if.html
