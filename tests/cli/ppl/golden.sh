# Perplexity of a text equals what lm-evaluation-harness and transformers give (tests/golden/ppl.json), whatever the batch; windows that
# are cut short count what they predicted; wrong sizes and texts are said.
. "$LIB"
golden=$TESTS/golden/ppl.json
jsonq text <"$golden" | head -c "$(jsonq bytes <"$golden")" >text
near() { echo "$1 $2" | awk '{ d = $1 / $2 - 1; exit d * d > 1e-10 }' || { echo "$1 is not $2" >&2; exit 1; }; }
ln -s "$DATA/demo" demo # its path may hold blanks
run="nibble ppl demo -t 1 -q --json --kv f32 --text text"
for i in 0 1; do
  ctx=$(jsonq rolling.$i.ctx <"$golden")
  $run --bos yes --ctx "$ctx" --stride "$ctx" >a.json
  [ "$(jsonq bos <a.json)" = "$(jsonq rolling.$i.prefix <"$golden")" ]
  near "$(jsonq nll <a.json)" "$(jsonq rolling.$i.nll <"$golden")"
done
[ "$(jsonq bytes <a.json)" = "$(jsonq bytes <"$golden")" ]
[ "$(jsonq words <a.json)" = "$(jsonq words <"$golden")" ]
near "$(jsonq bits_per_byte <a.json)" "$(echo "$(jsonq nll <a.json)" "$(jsonq bytes <a.json)" | awk '{ printf "%.12g", $1 / log(2) / $2 }')"
for i in 0 1 2; do
  $run --bos no --ctx "$(jsonq sliding.$i.ctx <"$golden")" --stride "$(jsonq sliding.$i.stride <"$golden")" >b.json
  near "$(jsonq nll <b.json)" "$(jsonq sliding.$i.nll <"$golden")"
  [ "$(jsonq tokens <b.json)" = "$(jsonq sliding.$i.tokens <"$golden")" ]
done
$run --bos no --ctx 100 --stride 100 >c.json
$run --bos no --ctx 100 --stride 100 --batch 16 >d.json
[ "$(jsonq nll <c.json)" = "$(jsonq nll <d.json)" ]
$run --bos no --ctx 100 --stride 100 --batch 16 --each >d.json
[ "$(jsonq logprobs.0 <d.json)" != "$(jsonq logprobs.1 <d.json)" ]
sum=$(jsonq logprobs <d.json | tr -d '[] \n' | tr , '\n' | awk '{ s -= $1; n++ } END { printf "%d %.12g", n, s }')
[ "${sum% *}" = "$(jsonq tokens <d.json)" ]
near "${sum#* }" "$(jsonq nll <c.json)"
fails 2 '*--each is for --json*' nibble ppl "$NBL" --text text --each
$run --bos no --ctx 100 --stride 100 --windows 2 >e.json
[ "$(jsonq tokens <e.json)" = 200 ]
[ "$(jsonq windows <e.json)" = 2 ]
[ "$(jsonq bytes <e.json)" -lt "$(jsonq bytes <c.json)" ]
nibble ppl "$NBL" -t 1 -q --text text --ctx 40 >out
grep -q 'bits a byte' out
fails 2 '*--stride 20 is more than --ctx 10*' nibble ppl "$NBL" --text text --ctx 10 --stride 20
fails 2 '*--text FILE is missing*' nibble ppl "$NBL"
printf 'a' >short
fails 2 '*nothing to predict*' nibble ppl "$DATA/demo" -q --bos no --text short
# Names of special tokens are text unless asked for as tokens, and the output says which. What was noted at opening is said.
for i in $(seq 1 60); do echo "the ant<|end|> in the thing $i"; done >special
nibble ppl "$NBL" --text special >out 2>err
grep -q '^60 names of special tokens in the text, read as text' out
[ ! -s err ]
nibble ppl "$NBL" --text special --special --json >j
[ "$(jsonq special_names <j)" = 60 ]
[ "$(jsonq special_names_as <j)" = tokens ]
[ "$(jsonq tokens <j)" -lt "$(sed -n 's/.*; \([0-9]*\) tokens predicted.*/\1/p' out)" ]
mkdir noted
cp "$TOY"/* noted
mv noted/model.safetensors noted/one.safetensors
printf '{"weight_map": {"lm_head.weight": "one.safetensors", "visual.weight": "one.safetensors"}}' >noted/model.safetensors.index.json
for command in "ppl noted --text special" "bench noted --prefill 8 --decode 0 -n 1 --seconds 0" "probe noted --text special -o p.jsonl --texts 1 --lengths 300"; do
  nibble $command >out 2>err
  grep -q '^nibble: note: noted: .*visual.weight' err || { cat err >&2; exit 1; }
done
