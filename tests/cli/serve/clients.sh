# Real clients: the openai package; some seconds of load with broken, slow and hostile ones; the page in a browser.
. "$LIB"
command -v python3 >/dev/null || skip "no python3"
case $(nibble serve "$NBL" --port 0 --api-key-file nofile 2>&1 || :) in *without\ libmicrohttpd*) skip "built without libmicrohttpd" ;; esac
nibble quantize "$DATA/demo" -o demo.nbl -q --fast >/dev/null
# A sanitizer, whose build does not start with so little, keeps what was released for a while.
judged=
(ulimit -v 200000 && nibble --version >/dev/null 2>&1) || judged=any-memory
timeout 300 python3 "$TESTS/serve/load.py" "$(command -v nibble)" demo.nbl 0.2 16 $judged >log 2>&1 || { tail -n 60 log >&2; exit 1; }
find_browser
if [ -n "$browser" ]; then
  code=0
  timeout 300 python3 "$TESTS/serve/page.py" "$(command -v nibble)" demo.nbl "$browser" >log 2>&1 || code=$?
  [ "$code" = 0 ] || [ "$code" = 77 ] || { cat log >&2; exit 1; }
fi
# NB_CLIENTS names a Python that has the packages.
code=0
timeout 300 "${NB_CLIENTS:-python3}" "$TESTS/serve/openai_client.py" "$(command -v nibble)" demo.nbl >log 2>&1 || code=$?
[ "$code" = 0 ] || [ "$code" = 77 ] || { cat log >&2; exit 1; }
[ "$code" = 0 ] || skip "no openai package (NB_CLIENTS=PYTHON)"
code=0
timeout 500 "${NB_CLIENTS:-python3}" "$TESTS/serve/lm_eval_client.py" "$(command -v nibble)" "$DATA/demo" 5 >log 2>&1 || code=$?
[ "$code" = 0 ] || [ "$code" = 77 ] || { tail -n 20 log >&2; exit 1; }
