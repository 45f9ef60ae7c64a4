# Every bad input that a gate may meet: one message that names it, exit 1 or 2, and nothing written.
. "$LIB"
questions q.jsonl 12
run="nibble eval $NBL --task custom -q -t 1"
$run --data q.jsonl --out a.json >/dev/null
bad() { # NAME SED-SCRIPT CODE PATTERN
  sed "$2" a.json >"$1.json"
  cmp -s a.json "$1.json" && { echo "the edit $2 changed nothing" >&2; exit 1; }
  fails "$3" "$4" nibble compare a.json "$1.json" --html r.html --junit j.xml --summary s.md
}
bad nan '/"id": "q3"/s/"logprobs": \[[^,]*/"logprobs": [NaN/' 1 '*nan.json*'
bad null '/"id": "q3"/s/"logprobs": \[[^,]*/"logprobs": [null/' 1 '*null.json: answer 4:*log-prob*'
bad huge '/"id": "q3"/s/"logprobs": \[[^,]*/"logprobs": [1e999/' 1 '*huge.json*'
bad twice 's/"id": "q5"/"id": "q4"/' 1 '*twice.json: the id "q4" comes twice*'
bad outside '/"id": "q3"/s/"right": \[[0-9]\]/"right": [4]/' 1 '*outside.json: answer 4*right choice*'
bad nothing '/"id": "q3"/s/"right": \[[0-9]\]/"right": []/' 1 '*nothing.json: answer 4*no choice is right*'
bad fewer '/"id": "q3"/s/"logprobs": \[[^]]*\]/"logprobs": [-1]/' 1 '*fewer.json: answer 4*'
bad answer '/"id": "q3"/s/"right": \[3\]/"right": [0]/' 2 '*not comparable: question "q3" has another answer*'
bad prompts 's/"prompts_xxh3": "[0-9a-f]\{8\}/"prompts_xxh3": "00000000/' 1 '*prompts.json: "prompts_xxh3" does not fit*'
bad data 's/"data_xxh3": "[0-9a-f]\{8\}/"data_xxh3": "00000000/' 2 '*not comparable: the runs answer different questions*'
bad shots 's/"shots": 0,/"shots": 5,/' 2 '*not comparable: the number of shots is 0 in the baseline and 5*'
bad newer 's/"format_version": 1/"format_version": 2/' 1 '*newer.json: written by a newer nibble*'
# No question in common, though the same task.
sed 's/"id": "q/"id": "p/' q.jsonl >p.jsonl
$run --data p.jsonl --out p.json >/dev/null
fails 2 '*no question in common*' nibble compare a.json p.json --common
fails 2 '*--sequential*' nibble eval "$NBL" --task custom --data q.jsonl --sequential --out x.json
# Data: an id twice; a task file with a key that is none.
{ cat q.jsonl; head -n 1 q.jsonl; } >ids.jsonl
fails 1 '*ids.jsonl: two questions have the id "q0" (rows 1 and 13)*' $run --data ids.jsonl --out x.json
sed 's/"metric"/"metrics"/' "$DATA/tasks/custom.json" >task.json
fails 1 '*task.json: unknown key "metrics"*' nibble eval "$NBL" --task ./task.json --data q.jsonl --out x.json
# A journal cut anywhere goes on; one damaged before its end is refused and kept.
sleep_and_kill() { $run --data long.jsonl --alone --journal j >/dev/null & pid=$!
  grown j 1400 $pid
  kill -9 $pid 2>/dev/null || true; wait $pid 2>/dev/null || true; }
questions long.jsonl 600
$run --data long.jsonl --out long.json >/dev/null
answers long.json >w
sleep_and_kill
if [ -s j ] && [ "$(size_of j)" -gt 1400 ]; then
  cp j kept
  for bytes in 17 39 40 41 500 1399; do
    head -c $bytes kept >j
    $run --data long.jsonl --journal j --out again.json >/dev/null
    answers again.json | cmp w -
  done
  cp kept j
  poke j 50 '\377\377'
  cp j damaged
  fails 1 '*j: the journal is damaged at byte 40*' $run --data long.jsonl --journal j
  cmp j damaged
fi
for f in r.html j.xml s.md x.json; do [ ! -e $f ]; done

# Names in a result of somebody else neither steer a terminal nor add lines to what is printed.
esc=$(printf '\033')
sed 's/"name": "[^"]*"/"name": "x\\u001b[31m\\u009bm\\npass"/' a.json >steers.json
mkdir steering
cp steers.json steering
nibble compare steers.json steers.json --margin 99 --seed 1 >out 2>err || [ $? = 4 ]
nibble compare a.json steering --margin 99 >>out 2>>err || [ $? = 4 ]
grep -q '^candidate  x?\[31m??m?pass$' out
grep -q '^x?\[31m??m?pass ' out
grep -q "$esc" out err && exit 1
true
