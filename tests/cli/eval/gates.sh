. "$LIB"
questions q.jsonl 12
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --min-accuracy 100 --junit j.xml --summary s.md --html r.html >out || code=$?
[ "$code" = 3 ]
grep -q '^fail  *min_accuracy: ' out
grep -q '<failure message="acc [0-9.]* %, at least 100 asked for"' j.xml
grep -q '^## nibble: FAIL$' s.md
grep -q '</html>' r.html
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --min-accuracy 100 --github >out || code=$?
[ "$code" = 3 ]
grep -q '^::error title=nibble min_accuracy fail::' out
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --min-accuracy 100 --json >out || code=$?
[ "$code" = 3 ]
[ "$(jsonq verdicts.0.gates.0.verdict <out)" = fail ]
# Several models, one comparison: a suite for each that is judged, and the baseline is held to no limit.
nibble eval "$NBL" "$TOY" --task custom --data q.jsonl -q --margin 99 --min-accuracy 0 --junit j.xml >out
[ "$(grep -c '<testsuite ' j.xml)" = 1 ]
[ "$(grep -c '<testcase ' j.xml)" = 2 ]
nibble eval "$NBL" --task custom --data q.jsonl -q --min-accuracy 0 >out 2>err
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --max-memory 1K >out 2>err || code=$?
[ "$code" = 3 ]
# A run ended at its ceiling is a failed test too, and a gate file's ceiling ends it like the option's.
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --max-memory 1K --junit j.xml --github >out 2>err || code=$?
[ "$code" = 3 ]
grep -q '<failure message=".*over the ceiling' j.xml
grep -q '^::error title=nibble max_memory fail::' out
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --max-total-memory 1K --github >out 2>err || code=$?
[ "$code" = 3 ]
grep -q '^::error title=nibble max_total_memory fail::' out
echo '{"min_accuracy": 0, "max_memory": 1024}' >gate.json
code=0
nibble eval "$NBL" "$NBL" --task custom --data q.jsonl -q --gate gate.json >out 2>err || code=$?
[ "$code" = 3 ]
grep -q 'over the ceiling' err
