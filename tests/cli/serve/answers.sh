# Texts are those of `nibble generate`, whole and streamed, alone and together; log-probs, stops, several texts.
. "$LIB"
. "$TESTS/serve/lib.sh"
command -v curl >/dev/null || skip "no curl"
nibble serve "$NBL" --port 99999 2>/dev/null && exit 1
case $(nibble serve "$NBL" --port 0 --host 127.0.0.1 --api-key-file nofile 2>&1 || :) in *without\ libmicrohttpd*) skip "built without libmicrohttpd" ;; esac
serves --name toy
want=$(nibble generate "$NBL" -q -p 'the ant' -n 12)
chat='{"messages": [{"role": "user", "content": "the ant"}], "max_tokens": 12, "temperature": 0'
post /v1/chat/completions "$chat}" >a
[ "$(jsonq choices.0.message.content <a)" = "$want" ]
[ "$(jsonq model <a)" = toy ]
[ "$(jsonq object <a)" = chat.completion ]
# A NUL, which a model may have written and a client sends back, counts as U+FFFD.
post /v1/completions '{"prompt": "a\u0000b", "max_tokens": 8, "temperature": 0}' >a
post /v1/completions '{"prompt": "a\ufffdb", "max_tokens": 8, "temperature": 0}' >b
[ "$(jsonq choices.0.text <a)" = "$(jsonq choices.0.text <b)" ]
[ "$(jsonq usage.prompt_tokens <a)" = "$(jsonq usage.prompt_tokens <b)" ]
# As a stream: the pieces make the text, and the end is said.
post /v1/chat/completions "$chat, \"stream\": true, \"stream_options\": {\"include_usage\": true}}" >s
[ "$(tail -n 2 s | head -n 1)" = 'data: [DONE]' ]
grep '^data: {' s | sed 's/^data: //' | while read -r line; do
  printf '%s' "$(printf '%s' "$line" | jsonq choices.0.delta.content 2>/dev/null || :)x" | sed 's/x$//'
done >text
[ "$(cat text)" = "$want" ]
grep -q '"usage": {"prompt_tokens": [0-9]*, "completion_tokens": [0-9]*' s
# Sampled: choice 0 has the seed itself.
sampled=$(nibble generate "$NBL" -q -p 'the ant' -n 12 --temperature 1.5 --top-p 0.9 --seed 7)
post /v1/chat/completions '{"messages": [{"role": "user", "content": "the ant"}], "max_tokens": 12, "temperature": 1.5, "top_p": 0.9, "seed": 7, "n": 3}' >a
[ "$(jsonq choices.0.message.content <a)" = "$sampled" ]
[ "$(jsonq choices.2.index <a)" = 2 ]
# Completions: texts, ids, echo, a stop string.
raw=$(nibble generate "$NBL" -q --raw -p 'the ant' -n 8)
post /v1/completions '{"prompt": "the ant", "max_tokens": 8, "temperature": 0, "echo": true, "logprobs": 2}' >a
[ "$(jsonq choices.0.text <a)" = "the ant$raw" ]
ids=$(nibble tokenize "$NBL" -s -p "the ant" --json | jsonq ids | tr -d ' \n')
n=$(echo "$ids" | tr ',' '\n' | wc -l)
post /v1/completions "{\"prompt\": $ids, \"max_tokens\": 8, \"temperature\": 0, \"logprobs\": 0}" >b
[ "$(jsonq choices.0.text <b)" = "$raw" ]
[ "$(jsonq choices.0.logprobs.token_logprobs.0 <b)" = "$(jsonq choices.0.logprobs.token_logprobs.$n <a)" ]
post /v1/completions "{\"prompt\": \"the ant\", \"max_tokens\": 8, \"temperature\": 0, \"stop\": [\"no such\", \"$(printf '%s' "$raw" | cut -c 2-3 | sed 's/[\\"]/\\&/g')\"]}" >a
[ "$(jsonq choices.0.finish_reason <a)" = stop ]
[ "$(jsonq choices.0.text <a)" = "$(printf '%s' "$raw" | cut -c 1)" ]
# A long prompt beside it, which the context has no more room for, does not shorten a text.
long=$(awk 'BEGIN { for (i = 0; i < 14; i++) printf "the ant " }')
post /v1/completions "{\"prompt\": [\"the ant\", \"$long\"], \"max_tokens\": 40, \"temperature\": 0}" >a
post /v1/completions '{"prompt": "the ant", "max_tokens": 40, "temperature": 0}' >b
[ "$(jsonq choices.0.text <a)" = "$(jsonq choices.0.text <b)" ]
[ "$(jsonq usage.completion_tokens <a)" -gt "$(jsonq usage.completion_tokens <b)" ]
# The same in a full batch: twenty clients at a time.
i=0
while [ $i -lt 20 ]; do
  post /v1/chat/completions "$chat}" >t.$i &
  clients="$clients $!"
  i=$((i + 1))
done
wait $clients
i=0
while [ $i -lt 20 ]; do
  [ "$(jsonq choices.0.message.content <t.$i)" = "$want" ]
  i=$((i + 1))
done
# A conversation goes on from the cache.
before=$(get "$url/metrics" | sed -n 's/^nibble_shared_tokens_total //p')
[ "$before" -gt 0 ]
get "$url/metrics" | grep -q '^nibble_requests_total{path="/v1/chat/completions",code="200"} [1-9]'
get "$url/health" | grep -q '"ok"'
[ "$(get "$url/v1/models" | jsonq data.0.id)" = toy ]
[ "$(get "$url/v1/models/toy" | jsonq id)" = toy ]
get "$url/" | grep -q '<title>nibble chat</title>'
ended TERM
