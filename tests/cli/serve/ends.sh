# SIGTERM: what is under way is finished and nothing new is begun; what takes too long is cut; a time limit is kept.
. "$LIB"
. "$TESTS/serve/lib.sh"
command -v curl >/dev/null || skip "no curl"
case $(nibble serve "$NBL" --port 0 --api-key-file nofile 2>&1 || :) in *without\ libmicrohttpd*) skip "built without libmicrohttpd" ;; esac
toy long
sed -e 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 60000/' -e 's/"eos_token_id": [0-9]*/"eos_token_id": []/' "$TOY/config.json" >long/config.json
MODEL=long
ask() { post /v1/completions "{\"prompt\": \"the ant\", \"temperature\": 0, \"max_tokens\": $1, \"stream\": $2}" -N -o "$3" -w '%{http_code}'; }
# Waits until the stream has begun and the other text runs, or is over.
under_way() {
  i=0
  until [ -s stream ] && { [ -s whole ] || get "$url/metrics" | grep -q '^nibble_texts_running 2'; }; do
    sleep 0.1
    i=$((i + 1))
    [ $i -lt 300 ]
  done
}
serves --drain 60
ask 1500 true stream >code1 &
one=$!
ask 1500 false whole >code2 &
two=$!
under_way
ended TERM
wait $one
wait $two
[ "$(cat code1)" = 200 ]
tail -n 2 stream | grep -q DONE
[ "$(cat code2)" = 200 ]
[ "$(jsonq choices.0.finish_reason <whole)" = length ]
curl -s -m 5 "$url/health" >/dev/null && exit 1
# Cut: the waiting one gets an error, the stream does not end as if it were whole.
rm stream whole
serves --drain 0
ask 50000 true stream >code1 &
one=$!
ask 50000 false whole >code2 &
two=$!
under_way
ended TERM
wait $one || : && wait $two || :
tail -n 2 stream | grep -q DONE && exit 1
# A limit on time.
serves --timeout 1
[ "$(ask 50000 false whole)" = 503 ]
[ "$(jsonq error.code <whole)" = timeout ]
ask 50000 true stream >/dev/null
grep -q 'longer than --timeout' stream
# A client that hangs up frees its place.
timeout 1 curl -sN -H 'Content-Type: application/json' -d '{"prompt": "x", "max_tokens": 50000, "stream": true}' "$url/v1/completions" >/dev/null || :
i=0
until get "$url/metrics" | grep -q '^nibble_texts_running 0'; do
  sleep 0.1
  i=$((i + 1))
  [ $i -lt 100 ]
done
ended TERM
