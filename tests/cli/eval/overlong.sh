# Prompts that do not fit are all named before the first question is run, with advice that helps, and CI is told.
. "$LIB"
toy small
edit small/config.json 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 60/'
questions q.jsonl 12
long=$(printf '%0200d' 0)
for i in 3 7; do
  edit q.jsonl "s/\"the $i?\"/\"the $i? $long\"/"
done
code=0
nibble eval small --task custom --data q.jsonl --junit j.xml --out a.json >out 2>err || code=$?
[ "$code" = 2 ]
grep -q '^nibble: note: question q3 has [0-9]* tokens, small takes 60$' err
grep -q '^nibble: note: question q7 ' err
grep -q '^nibble: small: 2 of 12 prompts do not fit: question q3, the first, has .*--overlong' err
grep -q 'shots' err && exit 1
[ ! -s out ]
[ ! -e a.json ]
grep -q '<failure message="small: 2 of 12 prompts do not fit' j.xml
nibble eval small --task custom --data q.jsonl -q --overlong wrong --out wrong.json >/dev/null 2>err
grep -q '2 of 12 prompts are too long for small and count as wrong' err
[ "$(grep -c '"fit": "not"' wrong.json)" = 2 ]
nibble eval small --task custom --data q.jsonl -q --overlong truncate --out cut.json >/dev/null 2>err
grep -q 'lose their beginning' err
[ "$(grep -c '"fit": "cut"' cut.json)" = 2 ]
nibble compare wrong.json wrong.json --margin 60 >/dev/null
fails 2 '*not comparable: question "q3" has another part of its prompt*' nibble compare wrong.json cut.json
# That two models, or a run and its baseline, were asked other things is said before anything is run.
differ() { # PATTERN COMMAND...
  pattern=$1 code=0
  shift
  "$@" --task custom --data q.jsonl -q --overlong truncate >out 2>err || code=$?
  [ "$code" = 2 ]
  [ ! -s out ]
  grep -q "^nibble: not comparable: $pattern" err
}
differ 'of question q3 another prompt, or part of it, fits into' nibble eval "$NBL" small
nibble eval "$NBL" --task custom --data q.jsonl -q --overlong truncate --out long.json >/dev/null 2>&1
differ 'question "q3" has another part' nibble eval small --against long.json
