. "$LIB"
nibble bench "$NBL" -q --prefill 16 --decode 0,8 -n 4 --seconds 0.02 --by-threads 1,2 --cold --html page.html --json >j
jsonq <j
[ "$(jsonq runs.0.threads <j)" = 1 ]
[ "$(jsonq runs.1.threads <j)" = 2 ]
[ "$(jsonq runs.1.decode.1.tokens <j)" = 8 ]
grep -q '"huge_pages":' page.html
# The first token: opening is a part of it; cold where the system drops the file's pages, or why not.
[ "$(jsonq first_token.tokens <j)" -ge 1 ]
awk "BEGIN { exit !($(jsonq first_token.open_s <j) > 0 && $(jsonq first_token.first_s <j) > $(jsonq first_token.open_s <j)) }"
[ "$(jsonq first_token.cold.first_s <j || echo none)$(jsonq first_token.not_measured_cold <j || echo none)" != nonenone ]
# Each limit with the loop that reached it; no row is silent about a limit that it exceeds.
for limit in int8_macs f32_macs read_bytes; do
  [ -n "$(jsonq runs.0.limits.$limit.instruction <j)" ]
  [ "$(jsonq runs.0.limits.$limit.clock_hz <j | cut -d. -f1)" -gt 1000000 ]
done
[ "$(jsonq runs.0.limits.int8_macs.chains <j)" -ge 1 ]
[ "$(jsonq runs.0.decode.0.limit.streams <j)" -ge 1 ]
[ "$(jsonq runs.0.prefill.0.fault <j)" != null ]
fails 1 '*page*' nibble bench "$NBL" -q --prefill 16 --decode 0 -n 1 --seconds 0 --html nowhere/page.html
nibble bench "$NBL" -q --prefill 16 --decode 0 -n 4 --seconds 0.02 >table
grep -q 'int8 multiply-adds/s (.*chains, .*GHz' table
grep -q 'GB/s read (.* a thread, .* pages' table
nibble bench kernels -q --rows 32 --inputs 64 --seconds 0.001 --json | jsonq
# Known answers: a row a kind; what cannot be replayed is said with its line.
printf '%s\n' '{"kind": "copy", "prompt": "the ant and the bee", "answer": "the ant and the bee and the ant"}' \
  '{"kind": "new", "prompt": "the ant", "answer": "a bee"}' >known.jsonl
nibble bench "$NBL" -q --replay known.jsonl --repeat 1 --json >j
[ "$(jsonq replay.0.kind <j)" = copy ]
[ "$(jsonq replay.1.texts <j)" = 1 ]
[ "$(jsonq replay.0.accepted <j)" -le "$(jsonq replay.0.drafted <j)" ]
nibble bench "$NBL" -q --replay known.jsonl --repeat 1 >table
grep -q '^copy ' table
echo '{"kind": "copy", "prompt": "the ant"}' >known.jsonl
fails 1 '*known.jsonl:1*answer*' nibble bench "$NBL" --replay known.jsonl
: >known.jsonl
fails 1 '*known.jsonl*no records*' nibble bench "$NBL" --replay known.jsonl
fails 1 '*nowhere*' nibble bench nowhere
fails 2 '*many*' nibble bench "$NBL" --decode many
fails 2 '*--by-threads takes*from 1 to 1024*0*' nibble bench "$NBL" --by-threads 0
fails 2 '*--html*' nibble bench kernels --html x.html
# Ctrl-C is heard between kernels.
command -v timeout >/dev/null || exit 0
code=0
timeout --preserve-status -s INT 1 nibble bench kernels >out 2>err || code=$?
[ "$code" = 1 ]
[ ! -s out ]
grep -q '^nibble: interrupted' err
# timeout signals the program and then its group: two requests at once are one.
nibble bench kernels >out 2>err &
sleep 1
kill -TERM $!
sleep 0.1
kill -TERM $! || :
code=0
wait $! || code=$?
[ "$code" = 1 ]
grep -q '^nibble: interrupted' err
