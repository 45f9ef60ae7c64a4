# SPDX-License-Identifier: MIT
# Functions for the cases of tests/cli/serve: a server of their own on a free port.

# serves [OPTIONS]: starts one with $MODEL (by default the toy's file); $url, $pid. It is ended with the case.
serves() {
  rm -f served
  nibble serve "${MODEL:-$NBL}" --port 0 -q -t 1 "$@" >served 2>served.err &
  pid=$!
  trap 'kill $pid 2>/dev/null || :' EXIT
  serve_i=0
  until [ -s served ]; do
    kill -0 $pid 2>/dev/null || { cat served.err >&2; exit 1; }
    serve_i=$((serve_i + 1))
    [ $serve_i -lt 300 ]
    sleep 0.1
  done
  url=$(sed 's|/$||;q' served)
}

# ended SIGNAL: sends it, and the server must end with 0.
ended() {
  kill "-$1" $pid
  ended_code=0
  wait $pid || ended_code=$?
  trap - EXIT
  [ $ended_code = 0 ] || { cat served.err >&2; exit 1; }
}

get() { curl -sS -m 30 "$@"; }
# post PATH JSON [OPTIONS]
post() {
  post_path=$1 post_body=$2
  shift 2
  get -H 'Content-Type: application/json' -d "$post_body" "$@" "$url$post_path"
}
# status CODE NAME COMMAND...: the answer has that status and is an error of that name in OpenAI's form.
status() {
  status_want=$1 status_name=$2
  shift 2
  "$@" -o answer -w '%{http_code}' >code
  [ "$(cat code)" = "$status_want" ] || { echo "status $(cat code), not $status_want: $* $(cat answer)" >&2; exit 1; }
  [ "$(jsonq error.code <answer)" = "$status_name" ] || { cat answer >&2; exit 1; }
  [ -n "$(jsonq error.message <answer)" ] && [ -n "$(jsonq error.type <answer)" ]
}
