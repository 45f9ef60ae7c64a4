# Data that cannot be read whole end the run, named; no result file is left.
. "$LIB"
questions good.jsonl 4
fails 1 '*nowhere*' nibble eval "$NBL" --data nowhere
fails 1 '*nowhere*' nibble eval nowhere --data good.jsonl --task custom
fails '[12]' '*nosuchtask*' nibble eval "$NBL" --data good.jsonl --task nosuchtask
: >empty.jsonl
fails 1 '*empty.jsonl*' nibble eval "$NBL" --task custom --data empty.jsonl --out r.json
{ cat good.jsonl; echo '{"question": "x", "choices": ["a", "b"], "answer": "C"}'; } >outside.jsonl
fails 1 '*outside.jsonl:5*' nibble eval "$NBL" --task custom --data outside.jsonl --out r.json
{ cat good.jsonl; echo '{"question": "x", "choices": ["a", "b"], "answer": '; } >broken.jsonl
fails 1 '*broken.jsonl:[56]*' nibble eval "$NBL" --task custom --data broken.jsonl --out r.json
mkdir -p mmlu/test mmlu/dev
echo 'question,a,b,c,A' >mmlu/test/things_test.csv
fails 1 '*things_test.csv:1*' nibble eval "$NBL" --data mmlu --shots 0 --out r.json
echo 'q,a,b,c,d,E' >mmlu/test/things_test.csv
fails 1 '*things_test.csv:1*' nibble eval "$NBL" --data mmlu --shots 0 --out r.json
# A question that does not fit the model's 64 positions is named.
echo 'a question that is long enough,a,b,c,d,A' >mmlu/test/things_test.csv
fails '[12]' '*things*64*' nibble eval "$NBL" --data mmlu --shots 0 --out r.json
[ ! -e r.json ]

# What is no data, but another file of those that lie about, is named, with what to do.
nibble eval "$NBL" --task custom --data good.jsonl -q --out result.json >/dev/null
is() { # FILE WHAT ADVICE
  fails 1 "nibble: $1 is $2, not a *: $3" nibble eval "$NBL" --task custom --data "$1" --out r.json
}
judged='`nibble compare` judges it; --data takes the questions themselves'
is result.json 'a result of nibble eval' "$judged"
tr -d '\n' <result.json >line.json # in one line it is JSON, but no row
is line.json 'a result of nibble eval' "$judged"
echo '{"results": {"arc": {"acc,none": 0.3}}, "configs": {}}' >harness.json
is harness.json 'a result of lm-evaluation-harness' "$judged"
printf '{"doc_id": 0, "doc": {}}\n' >samples.jsonl
is samples.jsonl 'a sample of lm-evaluation-harness' "$judged"
cp "$NBL" m.json
is m.json 'a .nbl file' 'the model comes first*'
is "$TOY/model.safetensors" 'a .safetensors file' 'the model comes first*'
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 1234\n' 7 >lfs.parquet
is lfs.parquet 'a pointer of git-lfs*' '*git lfs pull*'
cp lfs.parquet lfs.csv
is lfs.csv 'a pointer of git-lfs*' '*git lfs pull*'
printf 'PAR1.....' >table.jsonl
is table.jsonl 'a Parquet file*' '*ending .parquet'
mv table.jsonl cut.parquet
fails 1 '*cut.parquet: a Parquet file that was cut short*' nibble eval "$NBL" --task custom --data cut.parquet
[ ! -e r.json ]
