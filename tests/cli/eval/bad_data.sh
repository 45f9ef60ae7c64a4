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
