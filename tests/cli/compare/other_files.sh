# Whatever is given for a result and is none is named, with what to do.
. "$LIB"
questions q.jsonl 12
nibble eval "$NBL" --task custom --data q.jsonl -q --out a.json >/dev/null
is() { fails 1 "$2" nibble compare a.json "$1" --html r.html; [ ! -e r.html ]; }
printf 'PAR1\025\004\025\020' >x.parquet
is x.parquet '*x.parquet is a Parquet file of a data set, not a result of nibble eval: give the file that*nibble eval --out*'
is "$NBL" '*.nbl is a .nbl file, not a result of nibble eval: run it with*'
is "$TOY/model.safetensors" '* is a .safetensors file*'
is "$TOY/config.json" "*is the configuration of a checkpoint*"
is "$TOY/tokenizer.json" '*is a tokenizer*'
is q.jsonl '*q.jsonl is a file of questions*: give it to `nibble eval --data`'
is "$DATA/tasks/custom.json" '* is a task description*'
printf 'GGUF\003\000\000\000' >m.gguf
is m.gguf '*m.gguf is a GGUF file*'
echo '{"results": {"arc": {"acc,none": 0.3}}, "configs": {}, "versions": {}}' >lm.json
is lm.json '* is a result of lm-evaluation-harness*'
echo '{"config_general": {}, "results": {}}' >light.json
is light.json '* is a result of lighteval*'
printf '\ntask\tacc_norm\t95%% confidence interval\n1\t100.00000000%%\t[20.6543%%, 100.0000%%]\n' >hs.log
is hs.log "*hs.log is a log of llama.cpp's llama-perplexity, not a result of nibble eval: it does not name its questions*"
printf '\ntask\tacc_norm\n1\t0.00000000\n2\t50.00000000\n' >mc.log
is mc.log "* is a log of llama.cpp's llama-perplexity*"
printf '{"doc_id": 0, "doc": {}}\n{"doc_id": 1, "doc": {}}\n' >samples.jsonl
is samples.jsonl '* is a sample of lm-evaluation-harness*'
nibble compare a.json a.json --margin 60 --json >c.json
is c.json "* is a comparison's verdict*"
nibble eval "$NBL" "$NBL" --task custom --data q.jsonl -q --json >two.json
is two.json '* is what `nibble eval --json` says of several runs*'
if nibble eval "$NBL" --task custom --data q.jsonl -q --bundle b.zip >/dev/null 2>&1; then
  is b.zip '*b.zip is a bundle of nibble eval, not a result of nibble eval: give the result.json in it'
fi
echo '[]' >list.json
is list.json '* is a list*'
echo '{"a": 1}' >empty.json
is empty.json '*not a result of nibble eval*'
fails 1 '*x.parquet is a Parquet file*' nibble merge x.parquet a.json --out m.json
