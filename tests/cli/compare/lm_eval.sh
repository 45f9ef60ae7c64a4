# Runs of lm-evaluation-harness (tests/golden/lmeval: the demo checkpoint by transformers in float32) beside nibble's of the same
# checkpoint: the same documents by their prompts, log-probs equal to float's accuracy; samples written by nibble hash documents,
# prompts and targets alike; what cannot be compared is refused.
. "$LIB"
theirs=$TESTS/golden/lmeval
date=2026-01-01T00-00-00.000000
ln -s "$DATA/demo" demo # its path may hold blanks
run="nibble eval demo -q -t 1 --kv f32 --shots 0"
same() { # TASK DATA
  $run --task "$1" --data "$TESTS/golden/$2" --out ours.json >/dev/null
  nibble compare --json --margin 50 "$theirs/samples_$3_$date.jsonl" ours.json >a.json 2>notes || [ $? = 4 ]
  [ "$(jsonq statistics.n <a.json)" = 3 ]
  [ "$(jsonq statistics.gained <a.json)" = 0 ]
  [ "$(jsonq statistics.lost <a.json)" = 0 ]
  jsonq statistics.kl_mean <a.json | awk '$1 > 1e-7 { exit 1 }'
  # The other way round, and by the file of sums.
  nibble compare --json --margin 50 ours.json "$theirs/results_$date.json" >b.json 2>notes || [ $? = 4 ]
  grep -q "9 documents, of which 3 have a prompt" notes
  [ "$(jsonq statistics.n <b.json)" = 3 ]
}
same arc_easy hub/ai2_arc arc_easy
same commonsenseqa hub/commonsense_qa commonsense_qa
same winogrande mcq/winogrande winogrande

# Nibble's samples of the hub's rows and theirs: the same hashes of document, prompt and target, the same texts.
$run --task arc_easy --data "$TESTS/golden/hub/ai2_arc" --out-format lm-eval --out samples_arc_easy_mine.jsonl >/dev/null
fields() { grep -o '"\(doc_hash\|prompt_hash\|target_hash\|arg_[01]\|target\)": "[^"]*"' "$1"; }
fields samples_arc_easy_mine.jsonl | sort >x
fields "$theirs/samples_arc_easy_$date.jsonl" | sort | cmp x -
[ "$(wc -l <x)" -gt 30 ]
nibble compare -q --margin 50 "$theirs/samples_arc_easy_$date.jsonl" samples_arc_easy_mine.jsonl >out || [ $? = 4 ]

$run --task arc_easy --data "$TESTS/golden/hub/ai2_arc" --out ours.json >/dev/null
fails 2 '*of 3 documents*none has a prompt*' nibble compare -q "$theirs/samples_winogrande_$date.jsonl" ours.json
cp "$theirs/results_$date.json" results_alone.json
fails 2 '*results_alone.json holds sums only*--log_samples*' nibble compare -q results_alone.json ours.json
sed 's/"acc": 0.0/"acc": 1.0/' "$theirs/samples_arc_easy_$date.jsonl" >samples_arc_x.jsonl
fails 1 '*samples_arc_x.jsonl:*does not follow*' nibble compare -q samples_arc_x.jsonl ours.json
echo '{"doc_id": 0, "arguments": {"gen_args_0": {"arg_0": "q", "arg_1": {"until": []}}}}' >samples_gen_x.jsonl
fails 1 '*samples_gen_x.jsonl:1*written answers*' nibble compare -q samples_gen_x.jsonl ours.json
