# What is refused, each with its status and in OpenAI's form: paths, methods, types, keys, hosts, bodies, parameters.
. "$LIB"
. "$TESTS/serve/lib.sh"
command -v curl >/dev/null || skip "no curl"
printf 'first\n\nsecond-key\n' >keys
printf '\n \n' >no_keys
case $(nibble serve "$NBL" --port 0 --api-key-file no_keys 2>&1 || :) in
*without\ libmicrohttpd*) skip "built without libmicrohttpd" ;;
*'no_keys: holds no API key'*) ;;
*) exit 1 ;;
esac
fails '[12]' '*nowhere*' nibble serve nowhere.nbl
fails '[12]' '*--host*' nibble serve "$NBL" --port 0 --host no.such.host.invalid
serves --body 2000 --queue 0 --parallel 2 --context 40
fails 1 '*cannot listen*' nibble serve "$NBL" --port "${url##*:}"
status 404 unknown_path get "$url/v1"
status 404 unknown_path get "$url/../etc/passwd" --path-as-is
status 404 model_not_found get "$url/v1/models/other"
status 405 wrong_method get -X DELETE "$url/health"
status 405 wrong_method get "$url/v1/completions"
status 405 wrong_method get -X OPTIONS "$url/v1/completions"
status 415 wrong_content_type get -d '{}' "$url/v1/completions"
status 415 wrong_content_type get -H 'Content-Type: application/jsonp' -d '{}' "$url/v1/completions"
status 400 invalid_request get -H 'Content-Type: application/JSON; charset=utf-8' -d '{}' "$url/v1/completions"
status 403 wrong_host get -H 'Host: evil.example' "$url/health"
get -H 'Host: localhost:1' "$url/health" | grep -q ok
status 400 unsupported_endpoint post /v1/embeddings '{"input": "x"}'
bad() { status 400 "$1" post /v1/completions "$2"; }
bad invalid_request ''
bad invalid_request '['
bad invalid_request '[]'
bad invalid_request '{}'
bad invalid_request '{"prompt": []}'
bad invalid_request '{"prompt": [[]]}'
bad invalid_request '{"prompt": [1.5]}'
bad invalid_request '{"prompt": [-1]}'
bad invalid_request '{"prompt": [99999999]}'
bad invalid_request '{"prompt": "x", "prompt": "y"}'
bad invalid_request '{"prompt": "x", "n": 1e9}'
bad invalid_request '{"prompt": "x", "n": 0}'
bad invalid_request '{"prompt": "x", "temperature": 1e400}'
bad invalid_request '{"prompt": "x", "temperature": -1}'
bad invalid_request '{"prompt": "x", "top_p": 2}'
bad invalid_request '{"prompt": "x", "seed": 0.5}'
bad invalid_request '{"prompt": "x", "max_tokens": -1}'
bad invalid_request '{"prompt": "x", "max_tokens": 0}'
bad invalid_request '{"prompt": "x", "logprobs": 21}'
bad invalid_request '{"prompt": "x", "stop": 3}'
bad invalid_request '{"prompt": "x", "stream": "yes"}'
bad invalid_request "$(printf '{"prompt": "\377"}')"
bad invalid_request "$(awk 'BEGIN { for (i = 0; i < 500; i++) printf "[" }')"
bad unsupported_parameter '{"prompt": "x", "frequency_penalty": 0.1}'
bad unsupported_parameter '{"prompt": "x", "logit_bias": {"5": 1}}'
bad unsupported_parameter '{"prompt": "x", "top_k": 40}'
bad context_length_exceeded "{\"prompt\": \"$(awk 'BEGIN { for (i = 0; i < 60; i++) printf "the ant " }')\"}"
status 404 model_not_found post /v1/completions '{"prompt": "x", "model": "gpt-4"}'
status 400 unsupported_parameter post /v1/chat/completions '{"messages": [{"role": "user", "content": "x"}], "tools": [{}]}'
status 400 invalid_request post /v1/chat/completions '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}'
status 503 overloaded post /v1/completions '{"prompt": "x", "n": 3}'
# Neutral values of what is not supported are none of its business.
post /v1/completions '{"prompt": "the", "max_tokens": 2, "frequency_penalty": 0, "top_k": -1, "tools": [], "unknown": 1}' | grep -q '"finish_reason"'
# Bodies that are too long, with their length and in chunks.
awk 'BEGIN { printf "{\"prompt\": \""; for (i = 0; i < 3000; i++) printf "x"; print "\"}" }' >long
status 413 request_too_large post /v1/completions @long
status 413 request_too_large post /v1/completions @long -H 'Transfer-Encoding: chunked'
ended TERM
# Keys.
serves --api-key-file keys
get "$url/health" | grep -q ok
get "$url/" | grep -q nibble
for k in '' 'Bearer wrong' 'Bearer ' 'Bearer firs' 'Bearer firstx' 'Basic first' 'first'; do
  status 401 invalid_api_key get -H "Authorization: $k" "$url/v1/models"
done
status 401 invalid_api_key get "$url/metrics"
status 401 invalid_api_key post /v1/completions '{}'
get -H 'Authorization: Bearer second-key' "$url/v1/models" | grep -q '"list"'
ended TERM
